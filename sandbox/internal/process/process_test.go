// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/process"
)

// stat is a /proc/PID/stat line of a process with a nasty name.
func stat(state string) string {
	return "12 (a ) b (c) " + state + " 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1000 1 18446744073709551615 1\n"
}

func proc(t *testing.T, pids map[string][2]string) string {
	t.Helper()
	dir := t.TempDir()
	for pid, files := range pids {
		if err := os.Mkdir(filepath.Join(dir, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"cmdline", "stat"} {
			if err := os.WriteFile(filepath.Join(dir, pid, name), []byte(files[i]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestHostsAreFoundByTheNameTheyRunUnder(t *testing.T) {
	line := func(args ...string) string { return strings.Join(args, "\x00") + "\x00" }
	dir := proc(t, map[string][2]string{
		"10":   {line(process.Title, "node1", "/a b/.sandbox"), stat("S")},
		"11":   {line(process.Title, "node2", "/a b/.sandbox"), stat("Z")}, // killed, not yet reaped
		"12":   {line("/usr/bin/grep", process.Title, "x"), stat("S")},
		"13":   {line("sandbox", "up"), stat("S")},
		"14":   {"", stat("S")}, // a kernel thread
		"self": {line(process.Title, "node3", "/x"), stat("S")},
	})
	got, err := process.Hosts(dir, "net:[1]")
	if err != nil {
		t.Fatal(err)
	}
	want := []process.Host{{PID: 10, Start: 987654, Name: "node1", State: "/a b/.sandbox"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

func TestAHostInAContainerIsInNobodysWay(t *testing.T) {
	line := func(name string) string { return strings.Join([]string{process.Title, name, "/s"}, "\x00") + "\x00" }
	dir := proc(t, map[string][2]string{
		"10": {line("here"), stat("S")}, "11": {line("elsewhere"), stat("S")}, "12": {line("silent"), stat("S")},
	})
	for pid, environment := range map[string]string{
		"10": "PATH=/bin\x00SANDBOX_MACHINE=net:[1]\x00", "11": "PATH=/bin\x00SANDBOX_MACHINE=net:[2]\x00", "12": "PATH=/bin\x00",
	} {
		if err := os.WriteFile(filepath.Join(dir, pid, "environ"), []byte(environment), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hosts, err := process.Hosts(dir, "net:[1]")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	if diff := cmp.Diff([]string{"here", "silent"}, names); diff != "" {
		t.Errorf("hosts of this machine (-want +got):\n%s", diff)
	}
}

func TestAStatusThatIsCutShortIsAnError(t *testing.T) {
	for _, text := range []string{"", "12 (x) S 1 2", "no parenthesis"} {
		if _, _, err := process.ParseStat(text); err == nil {
			t.Errorf("ParseStat(%q) has no error", text)
		}
	}
}
