// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/spec"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// given reads a cluster as a user writes it; namespace and UID come from the API server.
func given(t *testing.T, text string) *v1alpha1.AntDBCluster {
	t.Helper()
	c := &v1alpha1.AntDBCluster{}
	if err := yaml.UnmarshalStrict([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	if c.Name == "" {
		c.Name = "demo"
	}
	if c.Namespace == "" {
		c.Namespace = "ns"
	}
	c.UID = "uid-1"
	return c
}

const least = `
spec:
  image: antdb:5
  gtm: {storage: {size: 1Gi}}
  coordinators: {count: 2, storage: {size: 1Gi}}
  datanodes: {count: 3, storage: {size: 1Gi}}
`

func node(t *testing.T, c *spec.Cluster, name string) spec.Node {
	t.Helper()
	n, ok := c.Node(name)
	if !ok {
		t.Fatalf("the cluster has no node %s", name)
	}
	return n
}

func TestResolveFillsInWhatTheUserLeftOut(t *testing.T) {
	c := spec.Resolve(given(t, least))
	got := map[string]any{
		"addressing": c.Addressing, "pull policy": c.PullPolicy, "user": c.EngineUser, "superuser": c.SuperuserSecret,
		"superuser given": c.SuperuserSecretGiven, "application": c.ApplicationSecret, "bootstrap": c.Bootstrap == nil, "retain": c.Retain,
		"affinity": c.AntiAffinity, "over": c.TopologyKey, "policy": c.NetworkPolicy != nil, "escape": len(c.EscapeGTMWait),
		"shape": c.String(),
	}
	want := map[string]any{
		"addressing": v1alpha1.AddressingDNS, "pull policy": c.PullPolicy, "user": int64(26), "superuser": "demo-superuser",
		"superuser given": false, "application": "", "bootstrap": true, "retain": false,
		"affinity": "preferred", "over": "kubernetes.io/hostname", "policy": true, "escape": 0,
		"shape": "1+2+3",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if c.PullPolicy != "IfNotPresent" {
		t.Errorf("pull policy %s", c.PullPolicy)
	}
	var names []string
	for _, n := range c.Nodes {
		names = append(names, n.Name)
		if n.Instances != 1 || n.Image != "antdb:5" || n.WAL != nil {
			t.Errorf("%s: %d instances, image %s, WAL volume %v", n.Name, n.Instances, n.Image, n.WAL)
		}
		if d := cmp.Diff([]string{"host all all all scram-sha-256"}, n.Config.HBA); d != "" {
			t.Errorf("%s lets in (-want +got):\n%s", n.Name, d)
		}
		if n.Config.GTMHost != "demo-gc.ns.svc" || n.Config.SuperuserAccess || len(n.Config.Parameters) != 0 {
			t.Errorf("%s: configuration %+v", n.Name, n.Config)
		}
	}
	if d := cmp.Diff([]string{"gc", "cn1", "cn2", "dn1", "dn2", "dn3"}, names); d != "" {
		t.Errorf("nodes (-want +got):\n%s", d)
	}
}

func TestResolveTakesWhatTheUserSaid(t *testing.T) {
	c := spec.Resolve(given(t, `
metadata: {annotations: {antdb.io/escape-gtm-wait: "cn2, cn3"}}
spec:
  image: antdb:5
  imagePullPolicy: Always
  engineUser: 70
  enableSuperuserAccess: true
  superuserSecret: {name: mine}
  hba: ["host app app 10.0.0.0/8 scram-sha-256"]
  bootstrap: {secret: {name: theirs}, postInitSQL: [create extension x]}
  volumeRetention: Retain
  affinity: {podAntiAffinity: required, topologyKey: zone}
  networkPolicy: {enabled: false}
  gtm: {image: antdb:gc, storage: {size: 1Gi}}
  coordinators: {count: 1, storage: {size: 1Gi}}
  datanodes: {count: 1, storage: {size: 1Gi}}
`))
	gc := node(t, &c, "gc")
	got := []any{
		c.PullPolicy == "Always", c.EngineUser, c.SuperuserSecret, c.SuperuserSecretGiven, c.ApplicationSecret, c.ApplicationSecretGiven,
		c.Bootstrap.Database, c.Bootstrap.Owner, c.Bootstrap.PostInitSQL, c.Retain, c.AntiAffinity, c.TopologyKey, c.NetworkPolicy == nil,
		c.EscapeGTMWait, gc.Image, node(t, &c, "dn1").Image, gc.Config.HBA, gc.Config.SuperuserAccess,
	}
	want := []any{
		true, int64(70), "mine", true, "theirs", true,
		"app", "app", []string{"create extension x"}, true, "required", "zone", true,
		[]string{"cn2", "cn3"}, "antdb:gc", "antdb:5", []string{"host app app 10.0.0.0/8 scram-sha-256"}, true,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParametersOfANodeWinOverItsRolesAndThoseOverAll(t *testing.T) {
	c := spec.Resolve(given(t, `
spec:
  image: antdb:5
  parameters: {a: all, b: all, c: all}
  gtm: {storage: {size: 1Gi}, parameters: {b: gtm}}
  coordinators: {count: 1, storage: {size: 1Gi}}
  datanodes:
    count: 2
    storage: {size: 1Gi}
    parameters: {b: role, c: role, d: role}
    overrides: [{name: dn2, parameters: {c: node, e: node}}]
`))
	for name, want := range map[string]map[string]string{
		"gc":  {"a": "all", "b": "gtm", "c": "all"},
		"cn1": {"a": "all", "b": "all", "c": "all"},
		"dn1": {"a": "all", "b": "role", "c": "role", "d": "role"},
		"dn2": {"a": "all", "b": "role", "c": "node", "d": "role", "e": "node"},
	} {
		if d := cmp.Diff(want, node(t, &c, name).Config.Parameters); d != "" {
			t.Errorf("parameters of %s (-want +got):\n%s", name, d)
		}
	}
}

func TestStorageAndResourcesOfANodeWinOverItsRoles(t *testing.T) {
	c := spec.Resolve(given(t, `
spec:
  image: antdb:5
  gtm: {storage: {size: 1Gi, storageClassName: fast}}
  coordinators: {count: 1, storage: {size: 1Gi}}
  datanodes:
    count: 3
    storage: {size: 10Gi, storageClassName: slow}
    walStorage: {size: 2Gi}
    resources: {requests: {memory: 1Gi}}
    overrides:
    - {name: dn2, storage: {size: 50Gi}, walStorage: {size: 5Gi, storageClassName: fast}}
    - {name: dn3, storage: {size: 20Gi, storageClassName: big}, resources: {requests: {memory: 4Gi}}}
`))
	type facts struct{ Data, Class, WAL, WALClass, Memory string }
	class := func(p *string) string {
		if p == nil {
			return "default"
		}
		return *p
	}
	for name, want := range map[string]facts{
		"gc":  {"1Gi", "fast", "none", "", "0"},
		"dn1": {"10Gi", "slow", "2Gi", "default", "1Gi"},
		"dn2": {"50Gi", "slow", "5Gi", "fast", "1Gi"},
		"dn3": {"20Gi", "big", "2Gi", "default", "4Gi"},
	} {
		n := node(t, &c, name)
		got := facts{Data: n.Data.Size.String(), Class: class(n.Data.Class), WAL: "none", Memory: n.Resources.Requests.Memory().String()}
		if n.WAL != nil {
			got.WAL, got.WALClass = n.WAL.Size.String(), class(n.WAL.Class)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestAddressingByClusterIPTurnsTheClusterPlanOffWhateverTheUserSays(t *testing.T) {
	c := spec.Resolve(given(t, least+"  addressing: ClusterIP\n  parameters: {enable_cluster_plan: \"on\"}\n"))
	for _, n := range c.Nodes {
		if got := n.Config.Parameters["enable_cluster_plan"]; got != "off" {
			t.Errorf("enable_cluster_plan on %s is %q", n.Name, got)
		}
	}
	dns := spec.Resolve(given(t, least))
	for _, n := range dns.Nodes {
		if got, set := n.Config.Parameters["enable_cluster_plan"]; set {
			t.Errorf("enable_cluster_plan on %s is %q with addressing by DNS", n.Name, got)
		}
	}
}

func TestTheTopologyHasOneRowForEveryNode(t *testing.T) {
	want := []topology.Node{
		{Name: "gc", Type: antdb.TypeCoordinator, Host: "demo-gc-h.ns.svc", Port: 5432, GTM: true},
		{Name: "cn1", Type: antdb.TypeCoordinator, Host: "demo-cn1-h.ns.svc", Port: 5432},
		{Name: "cn2", Type: antdb.TypeCoordinator, Host: "demo-cn2-h.ns.svc", Port: 5432},
		{Name: "dn1", Type: antdb.TypeDatanode, Host: "demo-dn1-h.ns.svc", Port: 5432, Primary: true},
		{Name: "dn2", Type: antdb.TypeDatanode, Host: "demo-dn2-h.ns.svc", Port: 5432},
		{Name: "dn3", Type: antdb.TypeDatanode, Host: "demo-dn3-h.ns.svc", Port: 5432},
	}
	c := spec.Resolve(given(t, least))
	got, ok := c.Topology(nil)
	if d := cmp.Diff(want, got.Nodes); d != "" || !ok {
		t.Errorf("with DNS, known %t (-want +got):\n%s", ok, d)
	}
	c = spec.Resolve(given(t, least+"  addressing: ClusterIP\n"))
	addresses := map[string]string{"gc": "10.96.0.1", "cn1": "10.96.0.2", "cn2": "10.96.0.3", "dn1": "10.96.0.4", "dn2": "10.96.0.5"}
	if _, ok := c.Topology(addresses); ok {
		t.Error("the topology counts as known while dn3 has no address")
	}
	addresses["dn3"] = "10.96.0.6"
	for i := range want {
		want[i].Host = addresses[want[i].Name]
	}
	got, ok = c.Topology(addresses)
	if d := cmp.Diff(want, got.Nodes); d != "" || !ok {
		t.Errorf("with ClusterIPs, known %t (-want +got):\n%s", ok, d)
	}
}

func TestResolveLeavesTheUsersObjectAlone(t *testing.T) {
	c := given(t, least+"  addressing: ClusterIP\n  parameters: {a: b}\n")
	before := c.DeepCopy()
	spec.Resolve(c)
	if d := cmp.Diff(before, c); d != "" {
		t.Errorf("the object was changed:\n%s", d)
	}
}
