// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheProgramCopiesItselfIntoAFolderOrToAFileAndOverAnOlderCopy(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for destination, file := range map[string]string{
		folder:                            filepath.Join(folder, filepath.Base(self)),
		filepath.Join(folder, "instance"): filepath.Join(folder, "instance"),
	} {
		for range 2 {
			if err := command([]string{"copy", destination}); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("copy to %s: %d bytes, %v, want %d", destination, len(got), err, len(want))
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 2 {
		t.Errorf("%d files, want 2: something was left behind", len(entries))
	}
}

func TestAnUnknownCommandAndAnEmptyEnvironmentAreExplained(t *testing.T) {
	if err := command([]string{"walk"}); err == nil || !strings.Contains(err.Error(), "unknown command") {
		t.Errorf("got %v", err)
	}
	t.Setenv("ANTDB_CLUSTER", "")
	if err := command([]string{"run"}); err == nil || !strings.Contains(err.Error(), "ANTDB_CLUSTER is not set") {
		t.Errorf("got %v", err)
	}
}
