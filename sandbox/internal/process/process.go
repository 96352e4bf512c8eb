// SPDX-License-Identifier: Apache-2.0

// Package process knows which hosts are switched on: it finds their first processes in /proc, by the
// name they run under. The process table is the only record of that which a crash cannot make wrong.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Title is argv[0] of the first process of a host; argv[1] is the host's name, argv[2] its state directory.
const Title = "antdb-sandbox-host"

// MachineVariable is the environment variable by which a host's first process names the network namespace
// in which it is plugged in. A sandbox in a container has another one and is in nobody's way.
const MachineVariable = "SANDBOX_MACHINE"

// Machine is the identity of the network namespace of a process.
func Machine(proc, pid string) (string, error) {
	id, err := os.Readlink(filepath.Join(proc, pid, "ns", "net"))
	if err != nil {
		return "", fmt.Errorf("read network namespace: %w", err)
	}
	return id, nil
}

// Host is the first process of a running host.
type Host struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in clock ticks since boot: tells this process from a later one with its number
	Name  string `json:"name"`
	State string `json:"state"`
}

// Hosts finds every running host of every sandbox on the given machine.
func Hosts(proc, machine string) ([]Host, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var hosts []Host
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A process that ends while we look is simply not there.
		if h, ok := host(proc, pid); ok && on(proc, pid, machine) {
			hosts = append(hosts, h)
		}
	}
	return hosts, nil
}

// on says whether a host is plugged into the given machine; one that does not say so counts as that.
func on(proc string, pid int, machine string) bool {
	text, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "environ"))
	if err != nil {
		return true
	}
	for variable := range strings.SplitSeq(string(text), "\x00") {
		if value, found := strings.CutPrefix(variable, MachineVariable+"="); found {
			return value == machine
		}
	}
	return true
}

func host(proc string, pid int) (Host, bool) {
	line, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return Host{}, false
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if len(args) != 3 || args[0] != Title {
		return Host{}, false
	}
	stat, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return Host{}, false
	}
	state, start, err := ParseStat(string(stat))
	if err != nil || state == "Z" || state == "X" {
		return Host{}, false
	}
	return Host{PID: pid, Start: start, Name: args[1], State: args[2]}, true
}

// ParseStat reads the state and the start time out of a /proc/PID/stat line. The command name in it may
// contain spaces and parentheses, so the fields are counted from the last one.
func ParseStat(stat string) (state string, start uint64, err error) {
	i := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[i+1:])
	if i < 0 || len(fields) < 20 {
		return "", 0, fmt.Errorf("parse process status %q: too few fields", stat)
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return "", 0, fmt.Errorf("parse process start: %w", err)
	}
	return fields[0], start, nil
}

// Kill switches a host off as a power failure would, and waits until its last process has gone:
// the kernel ends a PID namespace with its first process, and lets go of its mounts then.
func Kill(ctx context.Context, h Host) error {
	fd, err := unix.PidfdOpen(h.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d of host %s: %w", h.PID, h.Name, err)
	}
	defer func() { _ = unix.Close(fd) }()
	// The number may have been given to another process since it was read; the handle cannot change any more.
	if now, ok := host("/proc", h.PID); !ok || now.Start != h.Start {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill host %s: %w", h.Name, err)
	}
	return waitGone(ctx, fd, h)
}

func waitGone(ctx context.Context, fd int, h Host) error {
	const limit = 20 * time.Second
	deadline := time.Now().Add(limit)
	for ctx.Err() == nil {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("kill host %s: process %d is still there after %s", h.Name, h.PID, limit)
		}
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(min(left, time.Second).Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for host %s to end: %w", h.Name, err)
		}
		if ready > 0 {
			return nil
		}
	}
	return ctx.Err()
}
