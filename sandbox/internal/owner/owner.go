// SPDX-License-Identifier: Apache-2.0

// Package owner says whose sandbox is in the kernel of this machine. There is one set of names and
// addresses, so there can be one sandbox at a time; several checkouts may want it.
package owner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/process"
)

// Dir holds the record and the lock. It lies outside every checkout: a checkout may be deleted while
// its sandbox runs, and others must still be able to see whose it is.
const Dir = "/run/antdb-sandbox"

// Record is what a sandbox writes down before it changes anything in the kernel.
type Record struct {
	State  string            `json:"state"`           // state directory of the owner
	Boot   string            `json:"boot"`            // boot of the machine in which it was written
	Sysctl map[string]string `json:"sysctl"`          // settings of the machine as they were before
	Dirs   []string          `json:"dirs,omitempty"`  // mount points that had to be made
	Hosts  []process.Host    `json:"hosts,omitempty"` // first processes of the hosts, for people who look
}

// Verdict is who holds the sandbox's place in the kernel.
type Verdict string

const (
	// Free means that nothing is there.
	Free Verdict = "free"
	// Mine means that hosts of this state directory run.
	Mine Verdict = "mine"
	// Dead means that no host runs, but something is left, of this state directory or of another one.
	Dead Verdict = "dead"
	// Foreign means that hosts of another state directory run.
	Foreign Verdict = "foreign"
)

// Scene is all that a verdict depends on.
type Scene struct {
	State   string         // our own state directory
	Record  *Record        // nil when there is none
	Running []process.Host // of all sandboxes on the machine
	Leaves  bool           // links, namespaces, routes or cgroups with the sandbox's names exist
}

// Judge gives the verdict and the state directory it is about.
func Judge(s Scene) (Verdict, string) {
	mine := false
	for _, h := range s.Running {
		if h.State != s.State {
			return Foreign, h.State
		}
		mine = true
	}
	switch {
	case mine:
		return Mine, s.State
	case s.Record != nil:
		return Dead, s.Record.State
	case s.Leaves:
		return Dead, ""
	}
	return Free, ""
}

// Valid says whether the old settings in a record may be put back: after a reboot the machine has its
// own settings again, and those of the record may be wrong by now.
func (r *Record) Valid(boot string) bool { return r != nil && r.Boot == boot }

// Read reads the record below dir; there may be none. A record that cannot be understood counts as none:
// it was written by a version that is not here to say what it meant, and what it stands for is found by name.
func Read(dir string) (*Record, error) {
	data, err := os.ReadFile(filepath.Join(dir, "owner.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // that there is no record is an answer, which Judge and Valid take as it is
	}
	if err != nil {
		return nil, fmt.Errorf("read owner record: %w", err)
	}
	r := &Record{}
	if json.Unmarshal(data, r) != nil || r.State == "" {
		r = nil
	}
	return r, nil
}

// Write replaces the record below dir.
func Write(dir string, r *Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode owner record: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make owner directory: %w", err)
	}
	temporary := filepath.Join(dir, "owner.json.new")
	if err := os.WriteFile(temporary, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write owner record: %w", err)
	}
	if err := os.Rename(temporary, filepath.Join(dir, "owner.json")); err != nil {
		return fmt.Errorf("write owner record: %w", err)
	}
	return nil
}

// Remove deletes the record below dir.
func Remove(dir string) error {
	if err := os.Remove(filepath.Join(dir, "owner.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove owner record: %w", err)
	}
	return nil
}

// Boot is the identity of the running kernel's boot.
func Boot() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}
