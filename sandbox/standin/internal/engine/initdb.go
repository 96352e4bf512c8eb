// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/catalog"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/conf"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/front"
)

// initdb makes a data directory: PostgreSQL's, the stand-in's catalog in every database, a database antdb, and
// the node's name. Nothing is synced to disk before the end, so that it takes no longer than PostgreSQL's alone.
func (h Home) initdb(args []string) int {
	if slices.Contains(args, "--help") || slices.Contains(args, "-?") || slices.Contains(args, "--sync-only") || slices.Contains(args, "-S") {
		return h.become("initdb", args)
	}
	node, found, rest := takeOption(args, "--nodename")
	if !found || node == "" {
		fmt.Fprintln(os.Stderr, "Postgres-XC node name is mandatory")
		return 1
	}
	user, given, _ := takeOption(rest, "-U", "--username")
	if given && user != front.Superuser {
		return complain("initdb", fmt.Errorf("AntDB stand-in: the superuser must be called %s, not %q", front.Superuser, user))
	}
	dir, found, _ := takeOption(rest, "-D", "--pgdata")
	if !found {
		if dir = os.Getenv("PGDATA"); dir == "" {
			dir = rest[len(rest)-1]
		}
	}
	if err := h.create(dir, node, rest); err != nil {
		return complain("initdb", err)
	}
	return 0
}

func (h Home) create(dir, node string, args []string) error {
	lazy := slices.Contains(args, "--no-sync") || slices.Contains(args, "-N")
	if err := h.run(nil, "initdb", append(args, "--no-sync")...); err != nil {
		return err
	}
	objects := catalog.Database()
	for _, step := range []struct{ database, sql string }{
		{"template1", objects + "\n" + catalog.OwnRow(dialect.Literal(node)) + "CREATE DATABASE antdb STRATEGY file_copy;\n\n"},
		{front.Superuser, objects},
		{"template0", objects},
	} {
		if err := h.single(dir, step.database, step.sql); err != nil {
			return fmt.Errorf("write catalog of %s: %w", step.database, err)
		}
	}
	f, err := os.OpenFile(filepath.Join(dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write node name: %w", err)
	}
	_, err = fmt.Fprintf(f, "pgxc_node_name = %s\n", conf.Quote(node))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write node name: %w", err)
	}
	if lazy {
		return nil
	}
	return h.run(nil, "initdb", "--sync-only", "-D", dir)
}

// run runs one of PostgreSQL's programs with the caller's output.
func (h Home) run(env []string, name string, args ...string) error {
	cmd := exec.Command(h.program(name), args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdout, os.Stderr, env
	if slices.Contains(args, "--sync-only") {
		cmd.Stdout = nil
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	return nil
}

// single feeds a script to a single-user server. It goes on after an error, so its log is searched for one.
func (h Home) single(dir, database, script string) error {
	cmd := exec.Command(h.program("postgres"), "--single", "-O", "-j", "-D", dir, "-c", "fsync=off", "-c", "log_checkpoints=off",
		"-c", "log_min_messages=error", "-c", "log_error_verbosity=terse", database)
	var log bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(script), &log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, log.String())
	}
	if strings.Contains(log.String(), "ERROR:") || strings.Contains(log.String(), "FATAL:") {
		return errors.New(log.String())
	}
	return nil
}
