// SPDX-License-Identifier: Apache-2.0

// Package engine is the stand-in's command line: initdb, postgres, pg_ctl, pg_basebackup, pg_rewind and pg_dumpall as AntDB
// has them, over PostgreSQL 15's. It refuses to know SQL and protocol.
package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// defaultBin is where Debian keeps PostgreSQL 15.
const defaultBin = "/usr/lib/postgresql/15/bin"

// Home is the PostgreSQL underneath.
type Home struct{ Bin string }

// FindHome takes the folder of PostgreSQL's programs from the environment variable STANDIN_PGBIN, or Debian's.
func FindHome() Home {
	if b := os.Getenv("STANDIN_PGBIN"); b != "" {
		return Home{b}
	}
	return Home{defaultBin}
}

func (h Home) program(name string) string { return filepath.Join(h.Bin, name) }

// become replaces the process by one of PostgreSQL's programs.
func (h Home) become(name string, args []string) int {
	err := syscall.Exec(h.program(name), append([]string{h.program(name)}, args...), os.Environ())
	return complain(name, err)
}

// version prints a program's version, with a word that tells the stand-in from PostgreSQL.
func (h Home) version(name string) int {
	out, err := exec.Command(h.program(name), "--version").Output()
	if err != nil {
		return complain(name, err)
	}
	fields := strings.Fields(string(out))
	fmt.Printf("%s (AntDB stand-in)\n", strings.Join(fields[:min(3, len(fields))], " "))
	return 0
}

func complain(name string, err error) int {
	fmt.Fprintf(os.Stderr, "%s: error: %v\n", name, err)
	return 1
}

// Main runs the program under whose name the binary was called.
func Main(name string, args []string) int {
	h := FindHome()
	if len(args) == 1 && (args[0] == "--version" || args[0] == "-V") {
		return h.version(name)
	}
	switch name {
	case "initdb":
		return h.initdb(args)
	case "postgres":
		return h.postgres(args)
	case "pg_ctl":
		return h.pgCtl(args)
	case "pg_basebackup":
		return h.baseBackup(args)
	case "pg_rewind":
		return h.rewind(args)
	case "pg_dump", "pg_dumpall":
		return h.dump(name, args)
	}
	return complain(name, fmt.Errorf("the stand-in is called as initdb, postgres, pg_ctl, pg_basebackup, pg_rewind, pg_dump or pg_dumpall"))
}

// takeOption removes an option with a value from an argument list, in both its spellings.
func takeOption(args []string, names ...string) (value string, found bool, rest []string) {
	for i := 0; i < len(args); i++ {
		hit := false
		for _, n := range names {
			switch {
			case args[i] == n && i+1 < len(args):
				value, hit = args[i+1], true
				i++
			case strings.HasPrefix(n, "--") && strings.HasPrefix(args[i], n+"="):
				value, hit = args[i][len(n)+1:], true
			case !strings.HasPrefix(n, "--") && strings.HasPrefix(args[i], n) && len(args[i]) > len(n) && !strings.HasPrefix(args[i], "--"):
				value, hit = args[i][len(n):], true
			}
			if hit {
				break
			}
		}
		if hit {
			found = true
			continue
		}
		rest = append(rest, args[i])
	}
	return value, found, rest
}

// dump is PostgreSQL's without AntDB's own options. They add to a coordinator's dump what a datanode's does not have:
// the clauses and the catalog of distribution.
func (h Home) dump(name string, args []string) int {
	own := []string{"--include-nodes", "--dump-nodes", "--dump-adb_slot"}
	return h.become(name, slices.DeleteFunc(slices.Clone(args), func(a string) bool { return slices.Contains(own, a) }))
}

// baseBackup is PostgreSQL's, with AntDB's mandatory --nodename: it would only rename tablespace folders.
func (h Home) baseBackup(args []string) int {
	_, found, rest := takeOption(args, "--nodename")
	if !found && len(args) > 0 && args[0] != "--help" {
		return complain("pg_basebackup", fmt.Errorf("Postgres-XC node name is mandatory")) //nolint:staticcheck // the engine's words
	}
	return h.become("pg_basebackup", rest)
}
