// SPDX-License-Identifier: Apache-2.0

// Command mkimage makes a container image out of files, without Docker and without a registry.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/debian"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/image"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/progress"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/recipe"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/rootfs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

// options are the flags as they are written.
type options struct {
	out, ref, base, suite                 string
	include, exclude, adds, dirs, passwds []string
	labels, made                          []string
	config                                image.Config
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "mkimage -o OUT.tar -t REF [flags]",
		Short: "Make a container image out of files",
		Example: "  mkimage -o tool.tar -t localhost/tool:1 --add bin/tool:/tool:0755 --entrypoint /tool\n" +
			"  mkimage -o db.tar -t localhost/db:1 --debian bookworm --include postgresql-15 --passwd postgres:26:26",
		Args:         cobra.NoArgs,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE:              func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.out, "output", "o", "", "file to write (OCI layout and Docker archive in one tar)")
	f.StringVarP(&o.ref, "tag", "t", "", "name of the image, such as localhost/tool:1")
	f.StringVar(&o.base, "base", "", "start from this tar of a root file system, directory, or tar of an image")
	f.StringVar(&o.suite, "debian", "", "start from this release of Debian, such as bookworm (needs root)")
	f.StringSliceVar(&o.include, "include", nil, "packages for --debian")
	f.StringArrayVar(&o.exclude, "exclude-path", nil, "leave out what matches /PATTERN; * matches slashes too; may be repeated")
	f.StringArrayVar(&o.adds, "add", nil, "file SOURCE:/TARGET[:MODE]; all of them are the last layer; may be repeated")
	f.StringArrayVar(&o.dirs, "dir", nil, "directory SOURCE:/TARGET, a layer of its own; may be repeated")
	f.StringArrayVar(&o.made, "made", nil, "directory /DIR=COMMAND that a shell command makes inside the image as --user, a layer of its own (needs root); may be repeated")
	f.StringArrayVar(&o.passwds, "passwd", nil, "account NAME:UID:GID[:/HOME]; may be repeated")
	f.StringVar(&o.config.User, "user", "", "UID:GID to run as")
	f.StringArrayVar(&o.config.Env, "env", nil, "variable KEY=VALUE; may be repeated")
	f.StringSliceVar(&o.config.Entrypoint, "entrypoint", nil, "program and arguments, separated by commas")
	f.StringSliceVar(&o.config.Cmd, "cmd", nil, "default arguments, separated by commas")
	f.StringVar(&o.config.WorkingDir, "workdir", "", "working directory")
	f.StringVar(&o.config.StopSignal, "stop-signal", "", "signal that asks the program to end")
	f.StringArrayVar(&o.labels, "label", nil, "label KEY=VALUE; may be repeated")
	return cmd
}

func run(ctx context.Context, o options) error {
	r, err := o.recipe()
	if err != nil {
		return err
	}
	out := progress.New(os.Stdout, time.Now)
	cache, err := artifact.UserCache()
	if err != nil {
		return err
	}
	if r.Debian != nil {
		if err := ready(ctx, out); err != nil {
			return err
		}
	}
	made, err := r.Make(ctx, cache, out.Step)
	if err != nil {
		return err
	}
	out.Step("%s: %s, %s, %d layers, %.1f MB", r.Out, r.Ref, made.Digest, made.Layers, float64(made.Unpacked)/1e6)
	return nil
}

// ready makes sure that a root file system can be made.
func ready(ctx context.Context, out *progress.Printer) error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("you are user %d: --debian needs root (sudo)", uid)
	}
	missing, err := debian.Missing(ctx, debian.ForImages())
	if err != nil || len(missing) == 0 {
		return err
	}
	out.Step("installing with apt: %s", strings.Join(missing, " "))
	return debian.Install(ctx, missing)
}

func (o options) recipe() (recipe.Recipe, error) {
	r := recipe.Recipe{Out: o.out, Ref: o.ref, Base: o.base, Exclude: o.exclude, Config: o.config}
	if err := o.check(); err != nil {
		return r, err
	}
	for _, text := range o.passwds {
		a, err := rootfs.ParseAccount(text)
		if err != nil {
			return r, err
		}
		r.Accounts = append(r.Accounts, a)
	}
	for _, list := range []struct {
		texts []string
		to    *[]image.Add
	}{{o.adds, &r.Adds}, {o.dirs, &r.Dirs}} {
		for _, text := range list.texts {
			a, err := image.ParseAdd(text)
			if err != nil {
				return r, err
			}
			*list.to = append(*list.to, a)
		}
	}
	for _, text := range o.made {
		m, err := recipe.ParseMade(text)
		if err != nil {
			return r, err
		}
		r.Made = append(r.Made, m)
	}
	if o.suite != "" {
		r.Debian = &rootfs.Debian{Suite: o.suite, Include: o.include, Exclude: o.exclude, Accounts: r.Accounts}
	}
	labels, err := pairs("label", o.labels)
	r.Config.Labels = labels
	return r, err
}

// check refuses flags that do not go together.
func (o options) check() error {
	switch {
	case o.out == "" || o.ref == "":
		return errors.New("want -o OUT.tar and -t REF")
	case o.base != "" && o.suite != "":
		return errors.New("want --base or --debian, not both")
	case len(o.include) > 0 && o.suite == "":
		return errors.New("--include names packages of --debian, which is not given")
	}
	_, err := pairs("env", o.config.Env)
	return err
}

// pairs reads values of the form KEY=VALUE.
func pairs(what string, texts []string) (map[string]string, error) {
	read := map[string]string{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%s %q: want KEY=VALUE", what, text)
		}
		read[key] = value
	}
	return read, nil
}
