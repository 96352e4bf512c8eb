// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/deploy"
)

func TestTheInstallationIsThatOfTheFiles(t *testing.T) {
	objects, err := deploy.Objects("elsewhere", "registry.example/operator:1")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, o := range objects {
		kinds[o.GetKind()]++
		text, err := json.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), deploy.Namespace) || strings.Contains(string(text), deploy.DevelopmentImage) {
			t.Errorf("%s %s still names the namespace or the image of the files", o.GetKind(), o.GetName())
		}
	}
	documents := 0
	for _, pattern := range []string{"crds/*.yaml", "policy.yaml", "operator.yaml", "rbac/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			documents += strings.Count("\n"+string(text), "\nkind: ")
		}
	}
	if len(objects) != documents {
		t.Errorf("%d objects, the files have %d", len(objects), documents)
	}
	last := objects[len(objects)-1]
	if last.GetKind() != "Deployment" || last.GetNamespace() != "elsewhere" || kinds["CustomResourceDefinition"] != 2 || objects[0].GetKind() != "CustomResourceDefinition" {
		t.Errorf("%v, the last one is %s", kinds, last.GetKind())
	}
	text, _ := json.Marshal(last.Object)
	if strings.Count(string(text), "registry.example/operator:1") != 2 {
		t.Errorf("the image does not stand in both places: %s", text)
	}
}
