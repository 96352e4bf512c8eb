// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
)

// undecided is the file with the two-phase transactions that a coordinator has not finished.
const undecided = "pg_rxlog/rxact"

// refused imitates a source that does not answer or does not let one in.
func refused(program string) bool {
	whileOn(HangCopy)
	if !isOn(FailCopy) {
		return false
	}
	fmt.Fprintln(os.Stderr, program+`: could not connect to server: FATAL:  no pg_hba.conf entry for replication connection`)
	return true
}

// baseBackup makes what a copy of cn1 looks like.
func baseBackup(args []string) int {
	data, wal := option(args, "-D"), option(args, "--waldir")
	note("pg_basebackup %s", strings.Join(args, " "))
	if refused("pg_basebackup") {
		return 1
	}
	files := map[string]string{
		"PG_VERSION":              "11\n",
		"postgresql.conf":         "# made by initdb\npgxc_node_name = 'cn1'\n",
		"postgresql.auto.conf":    "# made by ALTER SYSTEM\n",
		"antdb-instance.json":     `{"cluster":"demo","node":"cn1"}`,
		".s.PGPOOL.lock":          "1\n",
		undecided:                 "T741",
		"pg_twophase/.keep":       "",
		"pg_wal/0000000100000001": "",
		"catalog.json":            `{"nodes":[{"name":"cn1","type":"C","host":"cn1-h","port":5432}]}`,
	}
	if wal != "" {
		if err := os.MkdirAll(wal, 0o700); err != nil {
			return fatal(err.Error())
		}
		if err := os.MkdirAll(data, 0o700); err != nil {
			return fatal(err.Error())
		}
		if err := os.Symlink(wal, filepath.Join(data, "pg_wal")); err != nil {
			return fatal(err.Error())
		}
	}
	if isOn(Prepared) {
		files["pg_twophase/000002E5"] = ""
	}
	for name, text := range files {
		path := filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fatal(err.Error())
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fatal(err.Error())
		}
	}
	if err := os.Remove(filepath.Join(data, "pg_twophase/.keep")); err != nil {
		return fatal(err.Error())
	}
	return 0
}

// recoverAlone is the single-user server that recovers a copy. It notes whether undecided transactions were left to it.
func recoverAlone(data string, args []string) int {
	_, err := os.Stat(filepath.Join(data, undecided))
	note("recover %s with-undecided=%t", strings.Join(args, " "), err == nil)
	return 0
}

func dumpAll(args []string) int {
	note("pg_dumpall %s", strings.Join(args, " "))
	if refused("pg_dumpall") {
		return 1
	}
	if err := os.WriteFile(option(args, "-f"), []byte("CREATE ROLE app;\n"), 0o600); err != nil {
		return fatal(err.Error())
	}
	return 0
}

// load runs a dump and complains of what initdb has made already, as psql does.
func load(args []string) int {
	note("psql %s", strings.Join(args, " "))
	file := option(args, "-f")
	for _, message := range []string{`role "postgres" already exists`, `schema "dbms_lock" already exists`,
		`function "put_line" already exists with same argument types`} {
		fmt.Fprintf(os.Stderr, "psql:%s:12: ERROR:  %s\n", file, message)
	}
	if isOn(FailLoad) {
		fmt.Fprintf(os.Stderr, "psql:%s:77: ERROR:  could not access file \"$libdir/postgis\"\n", file)
	}
	return 0
}

func freeze(args []string) int {
	note("vacuumdb %s", strings.Join(args, " "))
	return 0
}

func allDatabases(string) pgfake.Reply {
	return pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("datname")}, Rows: [][]string{{"template1"}, {"postgres"}, {"app"}}}
}

func lockDDL(string) pgfake.Reply {
	if isOn(Locked) {
		return pgfake.Refuse("55P03", "cannot lock cluster for backup, lock is already held")
	}
	return pgfake.Reply{}
}

func strangers(string) pgfake.Reply {
	count := "0"
	if isOn(Stranger) {
		count = "1"
	}
	return pgfake.Reply{Columns: []pgfake.Column{pgfake.Int("count")}, Rows: [][]string{{count}}}
}
