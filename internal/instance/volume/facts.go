// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
)

// MarkName is the name of the file with the Mark.
const MarkName = "antdb-instance.json"

// Observe looks at the volumes.
func Observe(l pod.Launch, p pod.Paths, engineMajor int) (Facts, error) {
	f := Facts{
		Self:        l.Identity,
		EngineMajor: strconv.Itoa(engineMajor),
		DataPath:    p.Data(),
		WALPath:     p.WAL(),
		HasWAL:      l.WALVolume,
	}
	var err, problems error
	f.Data, err = observeFolder(f.DataPath)
	problems = errors.Join(problems, err)
	f.DataHalf, err = exists(pod.HalfMade(f.DataPath))
	problems = errors.Join(problems, err)
	if f.HasWAL {
		f.WAL, err = observeFolder(f.WALPath)
		problems = errors.Join(problems, err)
		f.WALHalf, err = exists(pod.HalfMade(f.WALPath))
		problems = errors.Join(problems, err)
	}
	if target, err := os.Readlink(filepath.Join(f.DataPath, "pg_wal")); err == nil {
		f.WALLink = target
	}
	return f, problems
}

func observeFolder(path string) (Folder, error) {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return Folder{}, nil
	}
	if err != nil {
		return Folder{}, fmt.Errorf("look at %s: %w", path, err)
	}
	f := Folder{Exists: true}
	version, err := os.ReadFile(filepath.Join(path, "PG_VERSION"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Folder{}, fmt.Errorf("look at %s: %w", path, err)
	}
	f.Major = strings.TrimSpace(string(version))
	var m Mark
	switch found, err := durable.ReadJSON(filepath.Join(path, MarkName), &m); {
	case err != nil:
		f.Unreadable = err.Error()
	case found:
		f.Mark = &m
	}
	return f, nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Lock keeps a second instance manager on the same host off the volume until it is released, at the latest with the
// end of this process. The lock file of the server cannot do that: it holds a process number, which means nothing in
// another container.
func Lock(volume string) (release func(), err error) {
	path := filepath.Join(volume, ".antdb-instance.lock")
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock volume %s: %w", volume, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = errors.Join(err, unix.Close(fd))
		return nil, fmt.Errorf("lock volume %s: another instance manager uses it: %w", volume, err)
	}
	return func() { _ = unix.Close(fd) }, nil
}
