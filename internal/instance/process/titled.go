// SPDX-License-Identifier: Apache-2.0

package process

import (
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
	booted, err := bootTime()
	if err != nil {
		return nil, err
	}
	var titled []Process
	for _, p := range all() {
		if !RunsIn(p.pid, folder) {
			continue
		}
		if shown := arguments(p.pid); len(shown) > 0 && strings.HasPrefix(shown[0], title) {
			titled = append(titled, Process{PID: p.pid, Started: booted.Add(time.Duration(p.ticks) * time.Second / ticks)})
		}
	}
	return titled, nil
}

// ticks are those of a second in /proc, on every architecture.
const ticks = 100

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
