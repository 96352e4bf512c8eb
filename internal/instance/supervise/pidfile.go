// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const pidFileName = "postmaster.pid"

// statusReady is what a server writes when it takes connections. A standby that does not yet take any says "standby".
const statusReady = "ready"

// pidFile is postmaster.pid, in which a server tells how far it is.
type pidFile struct {
	pid    int
	began  string
	status string
}

// readPidFile returns the zero value if there is none.
func readPidFile(data string) pidFile {
	text, err := os.ReadFile(filepath.Join(data, pidFileName))
	if err != nil {
		return pidFile{}
	}
	lines := strings.Split(string(text), "\n")
	line := func(n int) string {
		if n > len(lines) {
			return ""
		}
		return strings.TrimSpace(lines[n-1])
	}
	pid, err := strconv.Atoi(line(1))
	if err != nil {
		return pidFile{}
	}
	return pidFile{pid: pid, began: line(3), status: line(8)}
}

// sameServer tells whether two readings speak of one server.
func (p pidFile) sameServer(other pidFile) bool { return p.pid == other.pid && p.began == other.began }

// pidWatch tells when postmaster.pid may have changed.
type pidWatch struct {
	changed chan struct{}
	close   func()
}

// lookAnyway is how often the file is read where the kernel refuses to watch it: the number of watches per user is
// limited and shared with all pods of a host.
const lookAnyway = 500 * time.Millisecond

func watchPidFile(data string, log *slog.Logger) *pidWatch {
	w := &pidWatch{changed: make(chan struct{}, 1)}
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		err = watcher.Add(data)
	}
	if err != nil {
		log.Warn("the kernel does not watch the data directory, so it is read every half second", "error", err)
		w.tick()
		return w
	}
	w.close = func() { _ = watcher.Close() }
	go func() {
		for {
			select {
			case e, open := <-watcher.Events:
				if !open {
					return
				}
				if filepath.Base(e.Name) == pidFileName {
					w.notify()
				}
			case _, open := <-watcher.Errors: // events were lost
				if !open {
					return
				}
				w.notify()
			}
		}
	}()
	return w
}

func (w *pidWatch) tick() {
	done, ticker := make(chan struct{}), time.NewTicker(lookAnyway)
	w.close = func() { ticker.Stop(); close(done) }
	go func() {
		for {
			select {
			case <-ticker.C:
				w.notify()
			case <-done:
				return
			}
		}
	}()
}

func (w *pidWatch) notify() {
	select {
	case w.changed <- struct{}{}:
	default: // a notice is waiting already
	}
}
