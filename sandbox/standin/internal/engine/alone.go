// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/conf"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/front"
)

// alone is postgres --single with a role or with --localxid: PostgreSQL recovers and reads statements from its input,
// while nothing of this program runs beside it. A copied data directory is recovered by the same rules as by a server.
func (h Home) alone(inv invocation) int {
	if inv.role != "" {
		inv.settings["adb_node_type"] = string(inv.role)
	}
	c, err := conf.Load(inv.dataDir, inv.settings, nil)
	if err != nil {
		return fatal(err)
	}
	if exists(filepath.Join(inv.dataDir, "backup_label")) {
		if err := front.Recover(inv.dataDir, c.Bool("adb_check_sync_nextid")); err != nil {
			return fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "antdb-standin-")
	if err != nil {
		return fatal(err)
	}
	defer os.RemoveAll(dir)
	main, err := c.Mirror(dir, "[]")
	if err != nil {
		return fatal(err)
	}
	args := append([]string{"--single", "-D", inv.dataDir, "-c", "config_file=" + main}, c.ChildArgs()...)
	for name, value := range inv.settings {
		if _, ok := conf.Lookup(name); !ok {
			args = append(args, "-c", name+"="+value)
		}
	}
	cmd := exec.Command(h.program("postgres"), append(args, inv.pass...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if slices.Contains(inv.pass, "-j") {
		script, err := io.ReadAll(os.Stdin)
		if err != nil {
			return fatal(err)
		}
		cmd.Stdin = strings.NewReader(inSQL(string(script)))
	}
	if err := cmd.Run(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exit.ExitCode()
		}
		return fatal(err)
	}
	return 0
}

// inSQL writes the node statements of a script for postgres --single -j as calls of the procedures that carry them out.
// There a statement ends with a semicolon and an empty line.
func inSQL(script string) string {
	const end = ";\n\n"
	parts := strings.Split(script, end)
	for i, part := range parts {
		if steps := dialect.Parse(part).Steps; len(steps) == 1 && steps[0].Kind == dialect.Nodes {
			parts[i] = steps[0].Text
		}
	}
	return strings.Join(parts, end)
}
