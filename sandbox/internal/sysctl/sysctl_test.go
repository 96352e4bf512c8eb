// SPDX-License-Identifier: Apache-2.0

package sysctl_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/sysctl"
)

// settings is a /proc/sys with the given values; the others are 0.
func settings(t *testing.T, values map[string]string) sysctl.Settings {
	t.Helper()
	s := sysctl.Settings{Root: t.TempDir()}
	for _, name := range []string{
		"fs.inotify.max_user_instances", "fs.inotify.max_user_watches",
		"vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops",
	} {
		path := filepath.Join(s.Root, strings.ReplaceAll(name, ".", "/"))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		value := values[name]
		if value == "" {
			value = "0"
		}
		if err := os.WriteFile(path, []byte(value+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestLimitsAreRaisedAndPutBack(t *testing.T) {
	s := settings(t, map[string]string{"fs.inotify.max_user_instances": "128", "fs.inotify.max_user_watches": "99999999"})
	before, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Raise(); err != nil {
		t.Fatal(err)
	}
	raised, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	if raised["fs.inotify.max_user_instances"] != "8192" {
		t.Errorf("a low limit is now %s", raised["fs.inotify.max_user_instances"])
	}
	if raised["fs.inotify.max_user_watches"] != "99999999" {
		t.Errorf("a high limit was lowered to %s", raised["fs.inotify.max_user_watches"])
	}
	if err := s.Restore(before); err != nil {
		t.Fatal(err)
	}
	after, err := s.Read()
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("put back: %v\n%s", err, diff)
	}
}

func TestOneSettingThatIsRefusedDoesNotKeepTheOthers(t *testing.T) {
	s := settings(t, nil)
	err := s.Restore(map[string]string{"no.such.setting": "1", "kernel.panic": "7"})
	if err == nil || !strings.Contains(err.Error(), "no.such.setting") {
		t.Errorf("error %v, want one that names the setting", err)
	}
	if now, err := s.Read(); err != nil || now["kernel.panic"] != "7" {
		t.Errorf("kernel.panic = %s (%v), want 7", now["kernel.panic"], err)
	}
}
