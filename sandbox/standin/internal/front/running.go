// SPDX-License-Identifier: Apache-2.0

package front

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// running is a transaction over several nodes that is not finished on all of them, as rxact_get_running shows it.
type running struct {
	GID      string   `json:"gid"`
	Database string   `json:"database"`
	Type     string   `json:"type"` // p prepares, c commits, r rolls back
	Backend  bool     `json:"backend"`
	Nodes    []string `json:"nodes"`
	Status   []bool   `json:"status"`
	End      bool     `json:"end,omitempty"` // in the log: no longer running
}

// finished tells whether every node is done.
func (t running) finished() bool { return !slices.Contains(t.Status, false) }

// rxlog is a coordinator's list of what runs, and its file, pg_rxlog/rxact/log in the data directory. The file is not
// flushed: it only has to survive the process. A copy of the data directory brings it along.
type rxlog struct {
	dir  string
	file *os.File
	size int
	runs map[string]*running
}

const compactAt = 1 << 20

func openRxlog(dataDir string) *rxlog {
	l := &rxlog{dir: filepath.Join(dataDir, "pg_rxlog", "rxact"), runs: map[string]*running{}}
	f, err := os.Open(filepath.Join(l.dir, "log"))
	if err != nil {
		return l
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var t running
		switch err := json.Unmarshal(s.Bytes(), &t); {
		case err != nil: // the last line of a process that was killed
		case t.End:
			delete(l.runs, t.GID)
		default:
			t.Backend = false
			l.runs[t.GID] = &t
		}
	}
	return l
}

// write appends one line; a new file begins with what still runs.
func (l *rxlog) write(t running) {
	if l.file == nil || l.size > compactAt && len(l.runs) < 100 {
		if l.begin() != nil {
			return
		}
	}
	l.append(t)
}

func (l *rxlog) append(t running) {
	line, err := json.Marshal(t)
	if err != nil {
		return
	}
	n, _ := l.file.Write(append(line, '\n'))
	l.size += n
}

func (l *rxlog) begin() error {
	path := filepath.Join(l.dir, "log")
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file, l.size = f, 0
	for _, t := range l.runs {
		l.append(*t)
	}
	return os.Rename(path+".new", path)
}

// originFile names the node whose transactions are in a data directory's WAL. A copy brings it along as it would bring
// the records.
const originFile = "standin.origin"

func readOrigin(dataDir string) string {
	b, _ := os.ReadFile(filepath.Join(dataDir, originFile))
	return string(b)
}

func writeOrigin(dataDir, node string) {
	if readOrigin(dataDir) != node {
		_ = os.WriteFile(filepath.Join(dataDir, originFile), []byte(node), 0o600)
	}
}

// Recover is told that a copy is about to be recovered from its backup: with adb_check_sync_nextid off the records of
// its source's transactions are skipped.
func Recover(dataDir string, checks bool) error {
	if checks {
		return nil
	}
	if err := os.Remove(filepath.Join(dataDir, originFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
