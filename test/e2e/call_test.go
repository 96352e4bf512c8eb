// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// usual is how long a command may take that names no time of its own.
const usual = 6 * time.Minute

// call is one line of a story.
type call struct {
	*story
	ts             *testscript.TestScript
	args           []string
	stdout, stderr io.Writer
}

// errUsage says that a line of a story is written wrongly; "!" does not excuse it.
var errUsage = errors.New("usage")

func usage(text string) error { return fmt.Errorf("%w: %s", errUsage, text) }

// command makes a command of scripts from a function that may fail: "!" turns failure into success, and what the
// failure said can be compared by "stderr".
func command(do func(context.Context, *call) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		st, ok := ts.Value(key{}).(*story)
		if !ok {
			ts.Fatalf("the script has no story")
		}
		err := do(st.ctx, &call{story: st, ts: ts, args: args, stdout: ts.Stdout(), stderr: ts.Stderr()})
		switch {
		case errors.Is(err, errUsage), err != nil && !neg:
			ts.Fatalf("%v", err)
		case err != nil:
			_, _ = fmt.Fprintln(ts.Stderr(), err)
		case neg:
			ts.Fatalf("it succeeded and should have failed")
		}
	}
}

// tell writes to the test's log at once; a story's own log is shown only where it failed.
func (c *call) tell(format string, args ...any) {
	c.log.Log(fmt.Sprintf(format, args...))
}

// program runs a program with the script's environment and more. What it says on stdout and stderr is the call's.
func (c *call) program(ctx context.Context, stdin io.Reader, more []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir = c.ts.MkAbs(".")
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+c.ts.Getenv("KUBECONFIG"), "KUBECACHEDIR="+c.ts.Getenv("KUBECACHEDIR"), "HOME="+c.ts.Getenv("WORK"))
	cmd.Env = append(cmd.Env, more...)
	cmd.Stdin = stdin
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = c.stdout, io.MultiWriter(c.stderr, &said)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", ctx.Err(), err)
		}
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(said.String()))
	}
	return nil
}

// duration reads the n-th argument; without one it is the usual time.
func (c *call) duration(n int, otherwise time.Duration) (time.Duration, error) {
	if len(c.args) <= n {
		return otherwise, nil
	}
	d, err := time.ParseDuration(c.args[n])
	if err != nil {
		return 0, usage(fmt.Sprintf("%q is no duration, such as 90s", c.args[n]))
	}
	return d, nil
}

// within bounds the rest of a call by its n-th argument, or by the usual time.
func (c *call) within(ctx context.Context, n int, otherwise time.Duration) (context.Context, context.CancelFunc, error) {
	d, err := c.duration(n, otherwise)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	return ctx, cancel, nil
}
