// SPDX-License-Identifier: Apache-2.0

// Command kubectl-antdb is the plugin `kubectl antdb`; it runs as well under the name antdb.
package main

import (
	"context"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/go-logr/logr"

	"github.com/antdb-operator/antdb-operator/internal/cli"
)

// version is set when a release is built.
var version = "dev"

func main() {
	klog.SetLogger(logr.Discard()) // what goes wrong is told once, as the error of the command
	ctrllog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	code := cli.Main(ctx, environment(), os.Args[1:])
	stop()
	os.Exit(code)
}

func environment() *cli.Env {
	out := int(os.Stdout.Fd())
	env := &cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal:    term.IsTerminal(out),
		Interactive: term.IsTerminal(int(os.Stdin.Fd())),
		Now:         time.Now,
		Ticks: func() (<-chan time.Time, func()) {
			t := time.NewTicker(time.Second)
			return t.C, t.Stop
		},
		Raw:     raw,
		Connect: cli.Connect,
		Version: version,
	}
	if env.Terminal {
		env.Size = func() (int, int) {
			width, height, err := term.GetSize(out)
			if err != nil {
				return 0, 0
			}
			return width, height
		}
		_, plain := os.LookupEnv("NO_COLOR")
		env.Colour = !plain && os.Getenv("TERM") != "dumb"
	}
	return env
}

// raw hands the keyboard to a program in a pod, and tells it the size of the window.
func raw(ctx context.Context) (remotecommand.TerminalSizeQueue, func(), error) {
	in := int(os.Stdin.Fd())
	before, err := term.MakeRaw(in)
	if err != nil {
		return nil, nil, err
	}
	s := &sizes{ctx: ctx, changed: make(chan os.Signal, 1)}
	s.changed <- unix.SIGWINCH // the first size is asked for at once
	signal.Notify(s.changed, unix.SIGWINCH)
	return s, func() {
		signal.Stop(s.changed)
		_ = term.Restore(in, before) // nothing can be done about a terminal that is gone
	}, nil
}

// sizes are those of the window, each time it changes.
type sizes struct {
	ctx     context.Context
	changed chan os.Signal
}

// Next waits for the next size; nil ends the queue.
func (s *sizes) Next() *remotecommand.TerminalSize {
	select {
	case <-s.ctx.Done():
		return nil
	case <-s.changed:
	}
	width, height, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return nil
	}
	return &remotecommand.TerminalSize{Width: uint16(width), Height: uint16(height)}
}
