// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Process is one that runs.
type Process struct {
	PID     int
	Started time.Time
}

// Titled lists the processes that run in the folder under a title, which is what a server shows of its own processes in
// place of their command lines.
func Titled(folder, title string) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	booted, err := bootTime()
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !RunsIn(pid, folder) {
			continue
		}
		shown, err := os.ReadFile(procfs(pid, "cmdline"))
		if err != nil || !strings.HasPrefix(string(shown), title) {
			continue // one that ends meanwhile is not there
		}
		text, err := os.ReadFile(procfs(pid, "stat"))
		if err != nil {
			continue
		}
		after, err := age(text)
		if err != nil {
			return nil, err
		}
		found = append(found, Process{PID: pid, Started: booted.Add(after)})
	}
	return found, nil
}

// ticks are those of a second in /proc, on every architecture.
const ticks = 100

// age is how long after the machine a process was started: the 22nd field of its stat.
func age(stat []byte) (time.Duration, error) {
	const field = 22 - 3 // after the name in brackets, which is the second
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= field {
		return 0, fmt.Errorf("read the start of a process: %q", stat)
	}
	n, err := strconv.ParseInt(fields[field], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the start of a process: %w", err)
	}
	return time.Duration(n) * time.Second / ticks, nil
}

func bootTime() (time.Time, error) {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return time.Time{}, err
	}
	up, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(up, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read /proc/uptime: %w", err)
	}
	return time.Now().Add(-time.Duration(seconds * float64(time.Second))), nil
}
