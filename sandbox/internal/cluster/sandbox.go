// SPDX-License-Identifier: Apache-2.0

// Package cluster is the sandbox as a whole: it brings the machine from whatever it finds to a running
// cluster, and back to nothing. It knows the order of things; how each thing is done is in other packages.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/cgroup"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/network"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/owner"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/process"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/progress"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/sysctl"
)

const (
	procDir   = "/proc"
	cgroupDir = "/sys/fs/cgroup"
)

// Sandbox is one state directory and what is done with it.
type Sandbox struct {
	State  layout.State
	Source string // directory of the sandbox's source, for Build and Up
	Cache  artifact.Cache
	Out    *progress.Printer
}

// settings are what a state remembers about itself.
type settings struct {
	Workers int `json:"workers"`
}

const settingsFile = "sandbox.json"

func (s Sandbox) readSettings() (settings, error) {
	var have settings
	data, err := os.ReadFile(s.State.Path(settingsFile))
	if errors.Is(err, os.ErrNotExist) {
		return have, nil
	}
	if err != nil {
		return have, fmt.Errorf("read settings: %w", err)
	}
	if err := json.Unmarshal(data, &have); err != nil {
		return have, fmt.Errorf("read settings %s (delete the file to start anew): %w", s.State.Path(settingsFile), err)
	}
	return have, nil
}

// workers is how many workers there are, or were when the sandbox was last up.
func (s Sandbox) workers() (int, error) {
	have, err := s.readSettings()
	if have.Workers < 1 || have.Workers > layout.MaxWorkers {
		have.Workers = 2
	}
	return have.Workers, err
}

// scene is what the machine shows at this moment.
func (s Sandbox) scene() (owner.Scene, error) {
	running, err := hosts()
	if err != nil {
		return owner.Scene{}, err
	}
	record, err := owner.Read(owner.Dir)
	if err != nil {
		return owner.Scene{}, err
	}
	links, err := network.Leaves()
	if err != nil {
		return owner.Scene{}, err
	}
	leaves := len(links) > 0
	if tree, err := cgroup.Detect(cgroupDir); err == nil && tree.Exists() {
		leaves = true
	}
	return owner.Scene{State: string(s.State), Record: record, Running: running, Leaves: leaves}, nil
}

// hosts are those of every sandbox on this machine.
func hosts() ([]process.Host, error) {
	machine, err := process.Machine(procDir, "self")
	if err != nil {
		return nil, err
	}
	return process.Hosts(procDir, machine)
}

// running are the hosts of this state that are switched on, by name.
func (s Sandbox) running() (map[string]process.Host, error) {
	all, err := hosts()
	if err != nil {
		return nil, err
	}
	mine := map[string]process.Host{}
	for _, h := range all {
		if h.State == string(s.State) {
			mine[h.Name] = h
		}
	}
	return mine, nil
}

// ForeignError says that another sandbox holds the machine.
type ForeignError struct{ State string }

func (e ForeignError) Error() string {
	return fmt.Sprintf("another sandbox is up on this machine, with its state in %s; take it down first: sandbox down --state %s",
		e.State, e.State)
}

func (s Sandbox) lock(ctx context.Context, verb string) (unlock func(), err error) {
	what := fmt.Sprintf("sandbox %s of %s (process %d)", verb, s.State, os.Getpid())
	return owner.Lock(ctx, owner.Dir, what, func(holder string) { s.Out.Step("waiting for %s", holder) })
}

// sweep removes what a sandbox without any running host left in the kernel, and puts the machine's
// settings back as its record has them.
func sweep(ctx context.Context, record *owner.Record) error {
	failed := []error{network.Remove(ctx)}
	if tree, err := cgroup.Detect(cgroupDir); err == nil {
		failed = append(failed, tree.RemoveAll(ctx))
	}
	boot, err := owner.Boot()
	failed = append(failed, err)
	if record.Valid(boot) {
		failed = append(failed, sysctl.Settings{Root: "/proc/sys"}.Restore(record.Sysctl))
	}
	if record != nil {
		for _, dir := range record.Dirs {
			// Only if it is empty, as it was made.
			_ = os.Remove(dir)
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return owner.Remove(owner.Dir)
}

// until asks again and again, ten times a second, and gives up with the last answer at the limit.
func until(ctx context.Context, what string, limit time.Duration, done func(ctx context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		ok, err := done(ctx)
		if ok && err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return errors.Join(fmt.Errorf("wait for %s: not after %s", what, limit), last)
		case <-ticker.C:
		}
	}
}

// replace writes a file in one step.
func replace(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
