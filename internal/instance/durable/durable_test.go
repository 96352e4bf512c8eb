// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
)

func TestAFileIsReplacedWholeAndWithItsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"one", "two"} {
		if err := durable.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("read %q, %v, want %q", got, err, text)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files, want one: a temporary one was left behind", len(entries))
	}
}

func TestAFileThatHoldsTheContentIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := durable.WriteFile(path, []byte("same"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("same"), 0o600); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("it was replaced (%v)", err)
	}
}

func TestAFailedWriteKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(path, 0o700); err != nil { // a file cannot take the place of a folder
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("x"), 0o600); err == nil {
		t.Error("got no error")
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d entries, want the folder alone", len(entries))
	}
}

func TestJSONComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	var got map[string]int
	if found, err := durable.ReadJSON(path, &got); found || err != nil {
		t.Errorf("without a file: %v, %v", found, err)
	}
	if err := durable.WriteJSON(path, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if found, err := durable.ReadJSON(path, &got); !found || err != nil || got["a"] != 1 {
		t.Errorf("got %v, %v, %v", got, found, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.ReadJSON(path, &got); err == nil {
		t.Error("broken JSON is read")
	}
}

func TestTheVolumeOfAFolderIsSynced(t *testing.T) {
	dir := t.TempDir()
	if err := durable.SyncVolume(dir); err != nil {
		t.Error(err)
	}
	if err := durable.SyncVolume(filepath.Join(dir, "missing")); err == nil {
		t.Error("the volume of a folder that is not there was synced")
	}
}
