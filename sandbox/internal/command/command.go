// SPDX-License-Identifier: Apache-2.0

// Package command runs programs of the machine and turns their failure into one readable error.
package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Run runs a program and returns what it printed; its error carries what it complained about.
func Run(ctx context.Context, name string, args ...string) (string, error) {
	return RunInput(ctx, nil, name, args...)
}

// RunInput is Run with something to read on standard input.
func RunInput(ctx context.Context, input io.Reader, name string, args ...string) (string, error) {
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &out, &complaint
	if err := cmd.Run(); err != nil {
		return out.String(), Explain(err, complaint.String(), name, args...)
	}
	return out.String(), nil
}

// Explain is the error of a program that failed: what was run, how it ended, and its last complaint.
func Explain(err error, complaint, name string, args ...string) error {
	line := strings.Join(append([]string{name}, args...), " ")
	if len(line) > 120 {
		line = line[:117] + "..."
	}
	lines := strings.Split(strings.TrimSpace(complaint), "\n")
	if len(lines) > 3 {
		lines = lines[len(lines)-3:]
	}
	if said := strings.Join(lines, "; "); said != "" {
		return fmt.Errorf("run %s: %w: %s", line, err, said)
	}
	return fmt.Errorf("run %s: %w", line, err)
}
