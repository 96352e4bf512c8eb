// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/instance/process"
)

// removeStaleLocks removes what a server left behind that died with its container. A server refuses to start when its
// predecessor's number belongs to a living process, and in a new container it often does: to another program, or even
// to a thread. Only a process that runs in the data directory is a server of it.
func (s *Supervisor) removeStaleLocks() error {
	var problems error
	for _, path := range append(socketLocks(s.o.Sockets), filepath.Join(s.o.Data, pidFileName)) {
		pid := lockHolder(path)
		if pid == 0 || process.RunsIn(pid, s.o.Data) {
			continue
		}
		if err := os.Remove(path); err != nil {
			problems = errors.Join(problems, fmt.Errorf("remove lock of a dead server: %w", err))
			continue
		}
		s.o.Log.Info("removed the lock of a server that is gone", "path", path, "pid", pid)
	}
	return problems
}

// socketLocks are the lock files of unix sockets. The folder outlives a container that is restarted in its pod.
func socketLocks(folder string) []string {
	var paths []string
	_ = filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.HasPrefix(e.Name(), ".s.") && strings.HasSuffix(e.Name(), ".lock") {
			paths = append(paths, path)
		}
		return nil // what cannot be read holds no lock of ours
	})
	return paths
}

// lockHolder is the process that a lock file names; 0 if it names none.
func lockHolder(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}
