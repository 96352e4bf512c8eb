// SPDX-License-Identifier: Apache-2.0

// Package cgroup keeps the sandbox's own tree of control groups, in every hierarchy of version 1 or in the
// one of version 2. The tree holds one directory per host, and the kubelet hangs its pods below that.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
)

// needed are the controllers without which a kubelet does not start.
var needed = []string{"cpu", "cpuset", "memory", "pids"}

// daemons is the leaf for the host's own programs: version 2 allows processes only in leaves.
const daemons = "system"

// Tree is what the machine offers at Root.
type Tree struct {
	Version     int
	hierarchies []string // directories that hold a hierarchy
	extra       []string // where containerd makes groups of the same names by itself
}

// Detect looks at the control groups mounted at root (/sys/fs/cgroup).
func Detect(root string) (Tree, error) {
	if kind(root) == unix.CGROUP2_SUPER_MAGIC {
		_, err := controllers(root)
		return Tree{Version: 2, hierarchies: []string{root}}, err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return Tree{}, fmt.Errorf("look for control groups: %w", err)
	}
	t := Tree{Version: 1}
	for _, e := range entries {
		// cpu and cpuacct are often links to one directory with both: the directory counts, once.
		dir := filepath.Join(root, e.Name())
		switch {
		case e.IsDir() && kind(dir) == unix.CGROUP_SUPER_MAGIC:
			t.hierarchies = append(t.hierarchies, dir)
		case e.IsDir() && kind(dir) == unix.CGROUP2_SUPER_MAGIC:
			// Version 2 without controllers beside version 1, as systemd mounts it for itself.
			t.extra = append(t.extra, dir)
		}
	}
	for _, controller := range needed {
		if kind(filepath.Join(root, controller)) != unix.CGROUP_SUPER_MAGIC {
			return Tree{}, fmt.Errorf("control groups at %s: no %s controller; "+
				"mount version 2 there, or version 1 with %s", root, controller, strings.Join(needed, ", "))
		}
	}
	return t, nil
}

func kind(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return s.Type
}

// Make creates the directories of a host and returns the files into which its first process writes itself.
func (t Tree) Make(host string) (procs []string, err error) {
	for _, h := range t.hierarchies {
		base := filepath.Join(h, layout.CgroupName)
		leaf := filepath.Join(base, host, daemons)
		if err := os.MkdirAll(leaf, 0o755); err != nil {
			return nil, fmt.Errorf("make control group: %w", err)
		}
		switch {
		case t.Version == 2:
			err = delegate(h, base, filepath.Join(base, host))
		case exists(filepath.Join(h, "cpuset.cpus")):
			err = inheritCPUs(h, base, filepath.Join(base, host), leaf)
		}
		if err == nil {
			err = weigh(base, runtime.NumCPU())
		}
		if err != nil {
			return nil, err
		}
		procs = append(procs, filepath.Join(leaf, "cgroup.procs"))
	}
	return procs, nil
}

// controllers are those that a directory of version 2 offers.
func controllers(dir string) ([]string, error) {
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil, fmt.Errorf("read controllers: %w", err)
	}
	have := strings.Fields(string(available))
	for _, c := range needed {
		if !slices.Contains(have, c) {
			return nil, fmt.Errorf("control groups at %s: no %s controller, the kubelet needs %s; "+
				"is it taken by version 1, or not passed to this container?", dir, c, strings.Join(needed, ", "))
		}
	}
	return have, nil
}

// delegate turns the available controllers on for the children of each directory (version 2).
func delegate(dirs ...string) error {
	for _, dir := range dirs {
		have, err := controllers(dir)
		if err != nil {
			return err
		}
		for _, c := range have {
			// Optional ones may be refused, as cpu is while a realtime process lives in the root group.
			err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0)
			if err != nil && slices.Contains(needed, c) {
				return fmt.Errorf("enable controller %s in %s: %w", c, dir, err)
			}
		}
	}
	return nil
}

// inheritCPUs copies the parent's processors and memory nodes down: a new cpuset of version 1 has none,
// and no process can enter it.
func inheritCPUs(from string, dirs ...string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for _, dir := range dirs {
			if err := os.WriteFile(filepath.Join(dir, name), value, 0); err != nil {
				return fmt.Errorf("set %s of %s: %w", name, dir, err)
			}
		}
	}
	return nil
}

// weigh gives the tree the weight of as many processes as there are processors: with the weight of one, as new groups
// have it, one other busy process would leave half a processor to all hosts together.
func weigh(base string, processors int) error {
	for name, weight := range map[string]int{"cpu.shares": min(1024*processors, 1<<18), "cpu.weight": min(100*processors, 10000)} {
		path := filepath.Join(base, name)
		if !exists(path) {
			continue
		}
		if err := os.WriteFile(path, []byte(strconv.Itoa(weight)), 0); err != nil {
			return fmt.Errorf("weigh control group: %w", err)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (t Tree) all() []string { return slices.Concat(t.hierarchies, t.extra) }

// Exists says whether anything of the sandbox's tree is there.
func (t Tree) Exists() bool {
	return slices.ContainsFunc(t.all(), func(h string) bool { return exists(filepath.Join(h, layout.CgroupName)) })
}

// RemoveHost removes what a dead host left: the kubelet waits seconds for every pod's group that it finds.
func (t Tree) RemoveHost(ctx context.Context, host string) error {
	return t.remove(ctx, filepath.Join(layout.CgroupName, host))
}

// RemoveAll removes the whole tree.
func (t Tree) RemoveAll(ctx context.Context) error { return t.remove(ctx, layout.CgroupName) }

// remove tries until the groups are gone: a group stays busy until its last killed process is reaped.
func (t Tree) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		var failed []error
		for _, h := range t.all() {
			failed = append(failed, prune(filepath.Join(h, name)))
		}
		err := errors.Join(failed...)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove control group %s: %w", name, err)
		case <-ticker.C:
		}
	}
}

func prune(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	slices.Reverse(dirs) // children first
	for _, d := range dirs {
		if e := unix.Rmdir(d); e != nil && !errors.Is(e, unix.ENOENT) {
			err = errors.Join(err, fmt.Errorf("%s: %w", d, e))
		}
	}
	return err
}
