// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// picture is everything of the machine that a sandbox could leave behind, as sorted lines.
type picture []string

func takePicture(t *testing.T) picture {
	t.Helper()
	var lines []string
	for _, c := range [][]string{
		{"ip", "-oneline", "link"}, {"ip", "-oneline", "address"}, {"ip", "rule"},
		{"ip", "route", "show", "table", "all"}, {"nft", "list", "ruleset"},
		{"sysctl", "fs.inotify.max_user_instances", "fs.inotify.max_user_watches", "vm.overcommit_memory",
			"vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops"},
	} {
		out, err := exec.CommandContext(t.Context(), c[0], c[1:]...).Output()
		if errors.Is(err, exec.ErrNotFound) {
			continue // not installed yet, so it has set nothing
		}
		if err != nil {
			t.Fatalf("look at the machine with %v: %v", c, err)
		}
		for line := range strings.Lines(string(out)) {
			lines = append(lines, c[0]+": "+steady(line))
		}
	}
	for _, glob := range []string{"/run/netns/*", "/var/run/netns/*", "/var/lib/kubelet", "/var/lib/cni", "/run/antdb-sandbox/owner.json"} {
		found, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, found...)
	}
	lines = append(lines, mounts(t)...)
	lines = append(lines, groups(t)...)
	for _, pid := range firstProcesses(t, "") {
		lines = append(lines, "host process "+strconv.Itoa(pid))
	}
	slices.Sort(lines)
	return lines
}

// steady takes out what changes by itself: lifetimes of addresses and numbers of links.
func steady(line string) string {
	line = regexp.MustCompile(`(valid_lft|preferred_lft|expires) \S+`).ReplaceAllString(line, "$1")
	return strings.TrimSpace(regexp.MustCompile(`^\d+: `).ReplaceAllString(line, ""))
}

func mounts(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		lines = append(lines, "mount "+fields[3]+" at "+fields[4])
	}
	return lines
}

// groups are the control groups with the sandbox's name, in whatever hierarchy.
func groups(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "antdb-sandbox" {
			found = append(found, path)
		}
		return nil // groups come and go while we look
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// firstProcesses are the numbers of the first processes of hosts, of one state or ("") of all.
func firstProcesses(t *testing.T, state string) []int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(string(text), "\x00")
		if args[0] != "antdb-sandbox-host" || state != "" && args[2] != state {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// killAll kills every first process of a state, as a crash of the whole sandbox would, and waits for their end.
func killAll(t *testing.T, state string) {
	t.Helper()
	pids := firstProcesses(t, state)
	if len(pids) == 0 {
		t.Fatal("there is nothing to kill")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %d: %v", pid, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for len(firstProcesses(t, state)) > 0 {
		select {
		case <-ctx.Done():
			t.Fatalf("still there: %v", firstProcesses(t, state))
		case <-ticker.C:
		}
	}
}
