// SPDX-License-Identifier: Apache-2.0

package pod_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
)

func environment(change map[string]string) func(string) string {
	all := map[string]string{
		"ANTDB_CLUSTER": "demo", "ANTDB_CLUSTER_UID": "uid-1", "ANTDB_NODE": "dn1", "ANTDB_ROLE": "datanode",
		"POD_NAME": "demo-dn1-1", "POD_NAMESPACE": "ns",
	}
	for name, value := range change {
		all[name] = value
	}
	return func(name string) string { return all[name] }
}

func TestAPodTellsAnInstanceWhoItIs(t *testing.T) {
	got, err := pod.FromEnv(environment(map[string]string{
		"ANTDB_WAL_VOLUME": "true", "ANTDB_JOIN": "true", "ANTDB_BOOTSTRAP_DATABASE": "app", "ANTDB_BOOTSTRAP_OWNER": "owner",
		"ANTDB_TEMPLATE": "/opt/template",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := pod.Launch{
		Identity: pod.Identity{Cluster: "demo", ClusterUID: "uid-1", Namespace: "ns", Node: "dn1", Instance: "demo-dn1-1"},
		Role:     antdb.RoleDatanode, WALVolume: true, Join: true, Database: "app", Owner: "owner",
		Template: "/opt/template",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("launch (-want +got):\n%s", d)
	}
}

func TestEverythingThatIsMissingOrWrongIsNamedAtOnce(t *testing.T) {
	_, err := pod.FromEnv(environment(map[string]string{"ANTDB_CLUSTER_UID": "", "ANTDB_ROLE": "master", "POD_NAME": ""}))
	if err == nil {
		t.Fatal("got no error")
	}
	for _, part := range []string{"ANTDB_CLUSTER_UID is not set", "POD_NAME is not set", `ANTDB_ROLE is "master"`, "gtm, coordinator and datanode"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}
