// SPDX-License-Identifier: Apache-2.0

// Package process starts the instance manager's child processes and reaps those that it inherits.
//
// The first process of a container becomes the parent of every orphan in it. An orphan that nobody reaps stays in the
// process table, and a server whose predecessor is still listed there refuses to start. The package knows processes;
// it does not know what they are for.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Children are the processes that were started here. Everything else that ends below this process is an orphan.
type Children struct {
	mu   sync.Mutex
	ours map[int]bool
}

// Start starts cmd. The returned wait must be called once.
func (c *Children) Start(cmd *exec.Cmd) (wait func() error, err error) {
	// Held over the start: a child that ends at once must be known as ours before the reaper looks.
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pid := cmd.Process.Pid
	if c.ours == nil {
		c.ours = map[int]bool{}
	}
	c.ours[pid] = true
	return func() error {
		err := cmd.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.ours, pid)
		return err
	}, nil
}

// lastWords is how long a program that has ended is listened to: a child of its own may keep its output open for ever.
const lastWords = 2 * time.Second

// Run runs cmd to its end and returns what it wrote. The error quotes the last line of its standard error.
func (c *Children) Run(cmd *exec.Cmd) (stdout, stderr string, err error) {
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	cmd.WaitDelay = lastWords
	wait, err := c.Start(cmd)
	if err == nil {
		err = wait()
	}
	name := filepath.Base(cmd.Path)
	if err != nil {
		lines := strings.Split(strings.TrimSpace(diagnostics.String()), "\n")
		err = fmt.Errorf("run %s: %w: %s", name, err, lines[len(lines)-1])
	}
	return out.String(), diagnostics.String(), err
}

// Adopt makes this process the parent of orphans below it and reaps them until ctx ends.
func (c *Children) Adopt(ctx context.Context) error {
	if os.Getpid() != 1 { // the first process of a container is the parent of orphans anyway
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("become parent of orphans: %w", err)
		}
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	defer signal.Stop(ended)
	for {
		c.reap()
		select {
		case <-ended:
		case <-ctx.Done():
			return nil
		}
	}
}

// reap removes every orphan that has ended. It asks for single processes: waiting for any would take the exit status
// of our own children away from those who wait for it.
func (c *Children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range offspring() {
		if p.ended && !c.ours[p.pid] {
			reapOne(p.pid)
		}
	}
}

func reapOne(pid int) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// Leftovers lists processes that run in the folder and were not started here: inherited ones, and those of the program
// whoever their parent is. A server that outlived its instance manager was inherited by somebody else, and its processes
// are nobody's orphans here. One that has the argument spare, and was not inherited, is left alone.
func (c *Children) Leftovers(folder, program, spare string) []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	self := os.Getpid()
	var pids []int
	for _, p := range all() {
		if p.ended || p.pid == self || c.ours[p.pid] || !RunsIn(p.pid, folder) {
			continue
		}
		if p.parent == self || runs(p.pid, program) && !slices.Contains(arguments(p.pid), spare) {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// runs tells whether pid is a process of the program, a path without symbolic links.
func runs(pid int, program string) bool {
	exe, err := os.Readlink(procfs(pid, "exe"))
	return err == nil && exe == program
}

// RunsIn tells whether pid is a process that runs in the folder.
func RunsIn(pid int, folder string) bool {
	at, err := os.Readlink(procfs(pid, "cwd"))
	return err == nil && at == folder
}

func arguments(pid int) []string {
	text, err := os.ReadFile(procfs(pid, "cmdline"))
	if err != nil {
		return nil
	}
	return strings.Split(string(text), "\x00")
}

type found struct {
	pid, parent int
	ended       bool
	ticks       int64 // from the start of the machine to its own
}

// offspring lists the children of this process, with those that ended and were not reaped.
func offspring() []found {
	self := os.Getpid()
	return slices.DeleteFunc(all(), func(p found) bool { return p.parent != self })
}

// all lists every process that can be seen.
func all() []found {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var processes []found
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(procfs(pid, "stat"))
		if err != nil {
			continue
		}
		// The name of the program stands in brackets and may hold any character.
		const state, parent, start = 0, 1, 19 // fields after it
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) <= start {
			continue
		}
		p := found{pid: pid, ended: fields[state] == "Z"}
		if p.parent, err = strconv.Atoi(fields[parent]); err != nil {
			continue
		}
		if p.ticks, err = strconv.ParseInt(fields[start], 10, 64); err != nil {
			continue
		}
		processes = append(processes, p)
	}
	return processes
}

func procfs(pid int, file string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), file)
}
