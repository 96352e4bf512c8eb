// SPDX-License-Identifier: Apache-2.0

package archtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	root       = "../.."
	codeMap    = "docs/architecture.md"
	mapHeading = "## Code map"
)

// mapRow is a row of the table whose first cell is one path.
var mapRow = regexp.MustCompile("^\\| `([^`]+)` \\| [^|]+ \\|$")

// mapped are the paths in the code map.
func mapped(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, codeMap))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+mapHeading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", codeMap, mapHeading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	paths := map[string]bool{}
	for line := range strings.Lines(section) {
		if m := mapRow.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			if paths[m[1]] {
				t.Errorf("%s stands twice in the code map", m[1])
			}
			paths[m[1]] = true
		} else if strings.HasPrefix(line, "| `") {
			t.Errorf("row of the code map that is not \"| `path` | words |\": %s", line)
		}
	}
	return paths
}

func TestEveryPackageStandsInTheCodeMap(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	paths, packages := mapped(t), strings.Fields(string(out))
	if len(packages) == 0 {
		t.Fatal("go list found no package")
	}
	for _, p := range packages {
		if rel := strings.TrimPrefix(p, module); !paths[rel] {
			t.Errorf("%s is missing: add a row for it to %q in %s", rel, mapHeading, codeMap)
		}
	}
}

func TestEveryPathInTheCodeMapExists(t *testing.T) {
	paths := mapped(t)
	if len(paths) == 0 {
		t.Fatalf("the code map in %s has no row", codeMap)
	}
	for p := range paths {
		if info, err := os.Stat(filepath.Join(root, p)); err != nil || !info.IsDir() {
			t.Errorf("%s stands in the code map and is no folder of the project", p)
		}
	}
}
