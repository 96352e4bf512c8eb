// SPDX-License-Identifier: Apache-2.0

// Package cli is kubectl antdb: what a database administrator does with clusters, from one command line.
//
// It changes things through the Kubernetes API only, and reads the status that the operator writes. What it prints is
// made by its sub-package view. It knows nothing of how the operator or an instance does its work.
package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

// Env is where commands run.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal says that Out is one: what was drawn can be drawn again, in colour.
	Terminal bool
	// Colour allows colours.
	Colour bool
	// Size of the terminal in cells; it may change. Nil where there is none.
	Size func() (width, height int)
	// Interactive says that a person can be asked by In.
	Interactive bool
	Now         func() time.Time
	// Ticks gives a channel that a live view is drawn again by, and its end.
	Ticks func() (<-chan time.Time, func())
	// Raw hands the keyboard to a program in a pod, until it is restored.
	Raw func(context.Context) (sizes remotecommand.TerminalSizeQueue, restore func(), err error)
	// Connect makes the way to Kubernetes.
	Connect func(*genericclioptions.ConfigFlags) (*Kube, error)
	// Version of the program.
	Version string
}

func (e *Env) style() view.Style {
	s := view.Style{Colour: e.Colour, Now: e.Now()}
	s.Width, _ = e.size()
	return s
}

// say writes to standard output, warn to standard error. A reader that is gone ends the program by a signal.
func (e *Env) say(format string, args ...any)  { _, _ = fmt.Fprintf(e.Out, format, args...) }
func (e *Env) warn(format string, args ...any) { _, _ = fmt.Fprintf(e.Err, format, args...) }

// size of the terminal; zero where it is not known.
func (e *Env) size() (width, height int) {
	if e.Size == nil {
		return 0, 0
	}
	return e.Size()
}

// app is what every command has.
type app struct {
	*Env
	flags *genericclioptions.ConfigFlags
}

// NewCommand is the root of all commands.
func NewCommand(env *Env) *cobra.Command {
	a := &app{Env: env, flags: genericclioptions.NewConfigFlags(true)}
	root := &cobra.Command{
		Use:   "antdb",
		Short: "Look after AntDB clusters on Kubernetes",
		Long: `Look after AntDB clusters on Kubernetes.

Commands that take the name of a cluster need none where the namespace holds one cluster only.
Long work is done by the operator: a command that waits may be interrupted at any time, and the work goes on.`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl antdb"},
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	keep(a.flags).AddFlags(root.PersistentFlags())
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(a.install(), a.uninstall(), a.create(), a.stop(), a.start(), a.pause(), a.resume(), a.restart(), a.reload(), a.delete(), a.status(), a.list(), a.test(), a.doctor(), a.topology(), a.imports())
	root.AddCommand(a.user(), a.applyScript())
	root.AddCommand(a.node(), a.rebalance(), a.operations(), a.skew(), a.df(), a.top(), a.pgbench(), a.report(), a.config(), a.cat(), a.psql(), a.logs(), a.events(), a.version())
	return root
}

// keep leaves of kubectl's flags those that say where and as whom. --cluster would be taken for an AntDB cluster.
func keep(all *genericclioptions.ConfigFlags) *genericclioptions.ConfigFlags {
	all.CacheDir, all.ClusterName, all.AuthInfoName, all.APIServer, all.TLSServerName = nil, nil, nil, nil, nil
	all.Insecure, all.CertFile, all.KeyFile, all.CAFile, all.BearerToken = nil, nil, nil, nil, nil
	all.ImpersonateUID, all.ImpersonateUserExtra, all.DisableCompression = nil, nil, nil
	return all
}

// Main carries out a command line and returns the exit code.
func Main(ctx context.Context, env *Env, args []string) int {
	root := NewCommand(env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	return report(env, err)
}
