// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/render"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

var update = flag.Bool("update", false, "write testdata/*.yaml as the objects are now; read the difference before you keep it")

var operator = render.Operator{Image: "operator:1", Namespace: "antdb-system", Labels: map[string]string{"app.kubernetes.io/name": "antdb-operator"}}

// resolved is the effective cluster of a file; namespace and UID come from the API server.
func resolved(t *testing.T, text string) *spec.Cluster {
	t.Helper()
	c := &v1alpha1.AntDBCluster{}
	if err := yaml.UnmarshalStrict([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	c.Name, c.Namespace, c.UID, c.Generation = "demo", "ns", "uid-1", 1
	want := spec.Resolve(c)
	return &want
}

const plain = `
spec:
  image: antdb:5
  bootstrap: {database: app, owner: app}
  gtm: {storage: {size: 1Gi}}
  coordinators: {count: 1, storage: {size: 1Gi}}
  datanodes: {count: 1, storage: {size: 1Gi}}
`

const rich = `
spec:
  image: antdb:5
  imagePullPolicy: Always
  imagePullSecrets: [{name: registry}]
  engineUser: 70
  superuserSecret: {name: mine}
  volumeRetention: Retain
  affinity: {podAntiAffinity: required, topologyKey: topology.kubernetes.io/zone}
  networkPolicy:
    applicationPeers: [{namespaceSelector: {matchLabels: {team: shop}}}]
    monitoringPeers: [{podSelector: {matchLabels: {app: prometheus}}}]
  gtm: {storage: {size: 1Gi}}
  coordinators: {count: 1, storage: {size: 1Gi}}
  datanodes:
    count: 1
    image: antdb:5-big
    storage: {size: 10Gi, storageClassName: slow}
    walStorage: {size: 2Gi, storageClassName: fast}
    resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {memory: 2Gi}}
    nodeSelector: {disk: ssd}
    tolerations: [{key: database, operator: Exists, effect: NoSchedule}]
`

// objects are all objects of a cluster by the file that holds them, in the order of their making.
func objects(c *spec.Cluster) map[string][]any {
	out := map[string][]any{}
	for _, s := range render.Services(c) {
		out["services"] = append(out["services"], s)
	}
	var instances []string
	for _, n := range c.Nodes {
		instance := naming.Instance(c.Name, n.Name, 1)
		instances = append(instances, instance)
		out["pods"] = append(out["pods"], render.Pod(c, n, instance, operator, "1-2-3"))
		for _, v := range render.Volumes(n, instance) {
			out["claims"] = append(out["claims"], render.Claim(c, n, v))
		}
	}
	out["access"] = []any{render.ServiceAccount(c), render.Role(c, instances), render.RoleBinding(c)}
	for _, n := range render.NetworkPolicies(c, operator) {
		out["access"] = append(out["access"], n)
	}
	for _, b := range render.PodDisruptionBudgets(c) {
		out["access"] = append(out["access"], b)
	}
	out["configuration"] = []any{
		render.ConfigMap(c), render.SuperuserLogin(c, "secret word"),
		render.TLSSecret(c, naming.CASecret(c.Name), []byte("certificate"), []byte("key"), []byte("authority")),
	}
	if c.Bootstrap != nil {
		out["configuration"] = append(out["configuration"], render.ApplicationLogin(c, "it's: a/pass@word"))
	}
	return out
}

// TestTheObjectsOfAClusterAreAsInTheFiles compares every object with testdata/*.yaml.
func TestTheObjectsOfAClusterAreAsInTheFiles(t *testing.T) {
	for name, text := range map[string]string{"plain": plain, "rich": rich} {
		for kind, all := range objects(resolved(t, text)) {
			t.Run(name+"-"+kind, func(t *testing.T) {
				var got bytes.Buffer
				for i, o := range all {
					text, err := yaml.Marshal(o)
					if err != nil {
						t.Fatal(err)
					}
					if i > 0 {
						got.WriteString("---\n")
					}
					got.Write(text)
				}
				golden(t, name+"-"+kind+".yaml", got.String())
			})
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}
