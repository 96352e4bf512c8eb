// SPDX-License-Identifier: Apache-2.0

// Command sandbox runs a real Kubernetes cluster on one Debian machine, without Docker and without a
// registry: up, down, status, load, host, kubeconfig, build.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/cluster"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/machine"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/process"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/progress"
)

func main() {
	// The same file is the first process of every host; it is recognised by the name it was started under.
	if os.Args[0] == process.Title {
		exit(machine.Main(os.Args))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := root().ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		err = errors.New("interrupted; run the same command again to go on, or sandbox down")
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// options are the flags that every verb has.
type options struct{ state, source string }

func root() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:               "sandbox",
		Short:             "A real Kubernetes cluster on this machine alone",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	cmd.PersistentFlags().StringVar(&o.state, "state", "", "state directory (default .sandbox of the project around the current directory)")
	cmd.PersistentFlags().StringVar(&o.source, "source", "", "the sandbox's source (default sandbox/ of that project)")
	cmd.AddCommand(up(&o), down(&o), status(&o), load(&o), host(&o), kubeconfig(&o), build(&o))
	return cmd
}

// sandbox finds state and source.
func (o options) sandbox() (cluster.Sandbox, error) {
	project, err := findProject()
	if err != nil {
		return cluster.Sandbox{}, err
	}
	if project == "" && o.state == "" {
		return cluster.Sandbox{}, errors.New("no project around the current directory: go into the checkout, or give --state and --source")
	}
	if o.state == "" {
		o.state = filepath.Join(project, ".sandbox")
	}
	if o.source == "" {
		o.source = filepath.Join(project, "sandbox")
	}
	state, err := resolve(o.state)
	if err != nil {
		return cluster.Sandbox{}, err
	}
	source, err := filepath.Abs(o.source)
	if err != nil {
		return cluster.Sandbox{}, err
	}
	cache, err := artifact.UserCache()
	if err != nil {
		return cluster.Sandbox{}, err
	}
	return cluster.Sandbox{
		State: layout.State(state), Source: source, Cache: cache, Out: progress.New(os.Stdout, time.Now),
	}, nil
}

// resolve is the one name of a directory that may not exist yet: under two names, one state would be
// taken for two, and the sandbox would refuse itself.
func resolve(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real, nil
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		return filepath.Join(parent, filepath.Base(dir)), nil
	}
	return dir, nil
}

// findProject is the nearest directory, from the current one upwards, with the sandbox's source in it.
func findProject() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "sandbox", "kubernetes", "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", nil
		}
	}
}
