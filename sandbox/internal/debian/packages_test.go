// SPDX-License-Identifier: Apache-2.0

package debian_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/debian"
)

func TestReleaseIsReadWithAndWithoutQuotes(t *testing.T) {
	for text, want := range map[string][2]string{
		"PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\n": {"debian", "12"},
		"ID='fedora'\nVERSION_ID=41\nVERSION_CODENAME=\"\"\n":                 {"fedora", "41"},
		"": {"", ""},
	} {
		path := filepath.Join(t.TempDir(), "os-release")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		id, version, err := debian.Release(path)
		if err != nil || id != want[0] || version != want[1] {
			t.Errorf("Release(%q) = %q, %q, %v", text, id, version, err)
		}
	}
}
