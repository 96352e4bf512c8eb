// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// former is a desk in a folder with the files of the former scripts.
func former(t *testing.T) *desk {
	t.Helper()
	d := sit(t)
	folder := t.TempDir()
	for _, name := range []string{"antdb_info.txt", "postgres-ha.yaml"} {
		text, err := os.ReadFile(filepath.Join("legacy", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(folder)
	return d
}

func TestImportPrintsYAMLWithNotesAsComments(t *testing.T) {
	d := former(t)
	d.want(0, nil, "import", "antdb_info.txt", "--postgres-ha", "postgres-ha.yaml", "--image", "x/antdb:5", "--name", "demo", "--storage-class", "fast")
	c := &v1alpha1.AntDBCluster{}
	if err := yaml.UnmarshalStrict([]byte(d.out.text()), c); err != nil {
		t.Fatal(err)
	}
	if c.Name != "demo" || c.Namespace != "pgouser1" || c.Spec.Image != "x/antdb:5" || *c.Spec.GTM.Storage.StorageClassName != "fast" || c.Spec.Bootstrap == nil {
		t.Errorf("%s", d.out.text())
	}
	d.want(0, []string{"# - agtm_host", `"namespace": "mine"`}, "import", "antdb_info.txt", "--postgres-ha", "postgres-ha.yaml", "-n", "mine", "-o", "json")
	if strings.Contains(d.out.text(), "#") {
		t.Error("there are comments in JSON")
	}
	d.want(1, []string{"no such file"}, "import", "nothing.txt")
	d.want(1, []string{"postgres-ha.yaml: line 1"}, "import", "postgres-ha.yaml")
	d.want(1, []string{"no such file"}, "import", "antdb_info.txt", "--postgres-ha", "nothing.yaml")
	d.want(1, []string{"takes exactly one FILE"}, "import")
}
