// SPDX-License-Identifier: Apache-2.0

// Package enginetest is a fake of the engine's programs: initdb, postgres and pg_controldata, as far as an instance
// manager sees them. A test binary runs itself under their names. Only tests import it.
//
// It imitates files, signals, exit codes and answers. It stores nothing but a node catalog, passwords and what it was
// asked to do.
package enginetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// controlVariable names the folder through which a test and its programs talk.
const controlVariable = "ENGINETEST_CONTROL"

// SystemIdentifier is what every fake data directory has.
const SystemIdentifier = "7711170310482305051"

// Main runs the program under whose name the test binary was started, and does not return then. A TestMain calls it
// first.
func Main() {
	if run, ok := programs()[filepath.Base(os.Args[0])]; ok {
		os.Exit(run(os.Args[1:]))
	}
}

func programs() map[string]func([]string) int {
	return map[string]func([]string) int{
		"initdb": initdb, "postgres": postgres, "pg_controldata": controldata,
		"pg_basebackup": baseBackup, "pg_dumpall": dumpAll, "psql": load, "vacuumdb": freeze,
	}
}

// Control is how a test steers the programs and sees what they did.
type Control struct {
	t      *testing.T
	folder string
}

// Install puts the programs in front of PATH.
func Install(t *testing.T) Control {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin, folder := t.TempDir(), t.TempDir()
	for name := range programs() {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv(controlVariable, folder)
	return Control{t, folder}
}

// Switches that change what the programs do while they are on.
const (
	HangInit  = "hang-init"  // initdb never ends
	HangFast  = "hang-fast"  // a fast shutdown never ends
	HangSQL   = "hang-sql"   // statements that need a snapshot do not come back
	HangStart = "hang-start" // postgres does not get as far as its signal handlers
	FailStart = "fail-start" // postgres gives up while it starts
	HangCopy  = "hang-copy"  // pg_basebackup and pg_dumpall do not end
	FailCopy  = "fail-copy"  // they are refused by their source
	FailLoad  = "fail-load"  // psql complains of something that is not to be expected
	Stranger  = "stranger"   // a session of an application is there
	Locked    = "locked"     // somebody has uncommitted DDL
	Prepared  = "prepared"   // the copied coordinator holds a prepared transaction
)

// On switches something on.
func (c Control) On(name string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.folder, name), nil, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// Off switches it off again.
func (c Control) Off(name string) {
	c.t.Helper()
	if err := os.Remove(filepath.Join(c.folder, name)); err != nil {
		c.t.Fatal(err)
	}
}

// Events lists what the programs did, in order, as far as it begins with one of the words.
func (c Control) Events(words ...string) []string {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.folder, "events"))
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	var events []string
	for line := range strings.Lines(string(text)) {
		word, _, _ := strings.Cut(line, " ")
		if len(words) == 0 || slices.Contains(words, strings.TrimSpace(word)) {
			events = append(events, strings.TrimSuffix(line, "\n"))
		}
	}
	return events
}

// Signals lists the signals that stopped servers, in order.
func (c Control) Signals() []string {
	c.t.Helper()
	return slices.DeleteFunc(c.Events("signal"), func(e string) bool { return e == "signal hangup" })
}

// isOn tells a program whether a switch is on.
func isOn(name string) bool {
	_, err := os.Stat(filepath.Join(os.Getenv(controlVariable), name))
	return err == nil
}

// note records what a program did.
func note(format string, args ...any) {
	f, err := os.OpenFile(filepath.Join(os.Getenv(controlVariable), "events"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	_, _ = fmt.Fprintf(f, format+"\n", args...) // in one write, so that programs do not mix their lines
}

// whileOn waits as long as a switch is on.
func whileOn(name string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for isOn(name) {
		<-tick.C
	}
}

// option is the value behind a flag, and the empty text without it.
func option(args []string, flag string) string {
	for i, a := range args {
		if a == flag && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

func initdb(args []string) int {
	data, wal := option(args, "-D"), option(args, "-X")
	note("initdb %s", strings.Join(args, " "))
	if err := os.MkdirAll(data, 0o700); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	whileOn(HangInit)
	files := map[string]string{
		"PG_VERSION":           "11\n",
		"postgresql.conf":      "# made by initdb\n",
		"postgresql.auto.conf": "# made by ALTER SYSTEM\n",
		"catalog.json":         fmt.Sprintf(`{"nodes":[{"name":%q,"type":"C","host":"localhost","port":5432}]}`, option(args, "--nodename")),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	link := filepath.Join(data, "pg_wal")
	err := os.Mkdir(link, 0o700)
	if wal != "" {
		_ = os.Remove(link)
		if err = os.MkdirAll(wal, 0o700); err == nil {
			err = os.Symlink(wal, link)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func controldata(args []string) int {
	if _, err := os.Stat(filepath.Join(option(args, "-D"), "PG_VERSION")); err != nil {
		fmt.Fprintln(os.Stderr, "pg_controldata: error:", err)
		return 1
	}
	fmt.Printf("pg_control version number:            1100\nDatabase system identifier:           %s\n"+
		"Latest checkpoint's TimeLineID:       1\n", SystemIdentifier)
	return 0
}
