// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"os"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/internal/cli/legacy"
	"github.com/antdb-operator/antdb-operator/internal/cli/manifest"
)

const former = "../../internal/cli/legacy/testdata/"

func TestTheClusterOfTheFormerScriptsIsTaken(t *testing.T) {
	c := connect(t)
	info, err := os.ReadFile(former + "antdb_info.txt")
	if err != nil {
		t.Fatal(err)
	}
	ha, err := os.ReadFile(former + "postgres-ha.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, image := range map[string]string{"with the images of the file": "", "with one image": "registry.example/antdb:5.0"} {
		t.Run(name, func(t *testing.T) {
			cluster, notes, err := legacy.Import(string(info), string(ha), legacy.Wish{Name: "antdb", Image: image, GTM: "2Gi", Coordinator: "2Gi", Datanode: "10Gi"})
			if err != nil || len(notes) == 0 {
				t.Fatalf("%v, notes %v", err, notes)
			}
			cluster.Namespace = "default" // pgouser1 is not there
			object, err := manifest.Cluster(cluster)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Create(within(t, 10*time.Second), &unstructured.Unstructured{Object: object}, client.DryRunAll); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}
