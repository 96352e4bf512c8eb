// SPDX-License-Identifier: Apache-2.0

// Package sysctl knows the kernel settings of the whole machine that a running sandbox changes.
package sysctl

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// raised are settings that several kubelets and containerds need higher than Debian has them.
var raised = map[string]int{"fs.inotify.max_user_instances": 8192, "fs.inotify.max_user_watches": 1048576}

// touched are settings that every kubelet changes for itself.
var touched = []string{"vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops"}

// Settings are those below Root, which is /proc/sys.
type Settings struct{ Root string }

func (s Settings) path(name string) string {
	return filepath.Join(s.Root, strings.ReplaceAll(name, ".", "/"))
}

// Read returns all settings that a sandbox changes.
func (s Settings) Read() (map[string]string, error) {
	values := map[string]string{}
	for _, name := range append(slices.Sorted(maps.Keys(raised)), touched...) {
		value, err := os.ReadFile(s.path(name))
		if err != nil {
			return nil, fmt.Errorf("read setting %s: %w", name, err)
		}
		values[name] = strings.TrimSpace(string(value))
	}
	return values, nil
}

// Raise lifts the limits that are too low; one that is higher already stays.
func (s Settings) Raise() error {
	now, err := s.Read()
	if err != nil {
		return err
	}
	for name, want := range raised {
		if have, err := strconv.Atoi(now[name]); err == nil && have >= want {
			continue
		}
		if err := s.Restore(map[string]string{name: strconv.Itoa(want)}); err != nil {
			return err
		}
	}
	return nil
}

// Restore sets the given values again, all of them even if one is refused.
func (s Settings) Restore(values map[string]string) error {
	var failed []error
	for name, value := range values {
		if err := os.WriteFile(s.path(name), []byte(value), 0); err != nil {
			failed = append(failed, fmt.Errorf("set %s to %s: %w", name, value, err))
		}
	}
	return errors.Join(failed...)
}
