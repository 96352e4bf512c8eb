// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/plan"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

const small = `
spec:
  image: antdb:5
  bootstrap: {database: app, owner: app}
  gtm: {storage: {size: 1Gi}}
  coordinators: {count: 2, storage: {size: 1Gi}}
  datanodes: {count: 2, storage: {size: 1Gi}}
`

func TestASettledClusterGetsAnEmptyPlan(t *testing.T) {
	c, err := read(small)
	if err != nil {
		t.Fatal(err)
	}
	o := &observed{All: seen{Bootstrap: "Done"}}
	status, p, err := settle(c, o, v1alpha1.AntDBClusterStatus{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Actions) > 0 || len(p.Events) > 0 {
		t.Errorf("there is still something to do: actions %v, events %v", p.Actions, p.Events)
	}
	want := spec.Resolve(c)
	snap, err := o.snapshot(&want)
	if err != nil {
		t.Fatal(err)
	}
	if made := objects(snap, slices.Concat(p.Claims, p.Then)); len(made) > 0 {
		t.Errorf("pods or claims are made: %v", made)
	}
	if status.Phase != "Ready" || status.ReadyNodes != "5/5" {
		t.Errorf("phase %s, ready nodes %s", status.Phase, status.ReadyNodes)
	}
	if d := cmp.Diff([]string{"gc", "cn1", "cn2"}, status.Topology.SyncedOn); d != "" {
		t.Errorf("catalogs equal on (-want +got):\n%s", d)
	}
}

func TestEveryPassAppliesTheObjectsThatOthersBuildOn(t *testing.T) {
	c, err := read(small)
	if err != nil {
		t.Fatal(err)
	}
	want := spec.Resolve(c)
	for name, o := range map[string]*observed{
		"nothing exists": {All: seen{Pod: "absent", Claim: "absent"}, Services: "absent"},
		"settled":        {All: seen{Bootstrap: "Done"}},
	} {
		snap, err := o.snapshot(&want)
		if err != nil {
			t.Fatal(err)
		}
		p := plan.Cluster(&want, snap, operator, now)
		have := map[string]int{}
		for _, x := range slices.Concat(p.First, p.Claims, p.Then) {
			have[unstructuredOf(x).GetKind()]++
		}
		for kind, n := range map[string]int{
			"Service": 11, "ServiceAccount": 1, "Role": 1, "RoleBinding": 1, "ConfigMap": 1, "PodDisruptionBudget": 3, "NetworkPolicy": 2,
			"PersistentVolumeClaim": 5,
		} {
			if have[kind] != n {
				t.Errorf("%s: %d objects of kind %s, not %d", name, have[kind], kind, n)
			}
		}
		for _, x := range p.First {
			if kind := unstructuredOf(x).GetKind(); kind == "Pod" || kind == "PersistentVolumeClaim" {
				t.Errorf("%s: a %s is made before the Services that it needs", name, kind)
			}
		}
	}
}

func TestNothingIsPlannedForAnInvalidSpec(t *testing.T) {
	c, err := read(small)
	if err != nil {
		t.Fatal(err)
	}
	want := spec.Resolve(c)
	snap, err := (&observed{All: seen{Pod: "failed", Claim: "absent"}}).snapshot(&want)
	if err != nil {
		t.Fatal(err)
	}
	snap.Findings = []string{"spec.x: wrong"}
	p := plan.Cluster(&want, snap, operator, now)
	if len(p.First)+len(p.Claims)+len(p.Then)+len(p.Actions) > 0 {
		t.Errorf("planned: %v, %v, %v, %v", p.First, p.Claims, p.Then, p.Actions)
	}
}

// draw draws an observation that need not make sense, as a cache and the network may show it.
func draw(t *rapid.T) *observed {
	o := &observed{Before: rapid.SampledFrom([]string{"none", "creating", "ready"}).Draw(t, "before"), Nodes: map[string]seen{}}
	if rapid.Bool().Draw(t, "cn2 is forgotten") {
		o.Deregistered = []string{"cn2"}
	}
	for _, name := range []string{"gc", "cn1", "cn2", "dn1", "dn2"} {
		pick := func(what string, usual string, other ...string) string {
			// The usual case twice, since a cluster in which everything is broken shows little.
			return rapid.SampledFrom(append([]string{usual, usual, usual}, other...)).Draw(t, what+" of "+name)
		}
		x := seen{
			Pod:      pick("pod", "running", "absent", "pending", "failed", "running deleting"),
			Template: pick("template", "same", "old"),
			Claim:    pick("claim", "bound", "absent", "foreign"),
			State:    pick("state", "Running", "Waiting", "Starting", "Restarting", "Stopped", "Initializing"),
			Catalog:  pick("catalog", "equal", "none", "old", "differs"),
			Config:   pick("config", "same", "old", "rejected"),
			Silent:   pick("silence", "", "no route to host", "gone"),
			Digest:   pick("schema", "d1", "d2"),
		}
		if rapid.Bool().Draw(t, "pending on "+name) {
			x.Pending = []string{"max_connections"}
		}
		o.Nodes[name] = x
	}
	return o
}

// facts are what the rules below ask of a snapshot.
type facts struct {
	pods map[string]bool // pods that have not ended
	snap *plan.Snapshot
}

func (f facts) status(instance string) *instanceapi.Status { return f.snap.Instances[instance].Status }

func (f facts) serves(instance string) bool {
	s := f.status(instance)
	if s == nil || !s.Serving {
		return false
	}
	for i := range f.snap.Pods {
		if f.snap.Pods[i].Name == instance {
			return f.snap.Pods[i].DeletionTimestamp == nil
		}
	}
	return false
}

func (f facts) accepts(instance string) bool { s := f.status(instance); return s != nil && s.Accepting }

// disturbed is the instance that an action takes away although its server may be at work.
func (f facts) disturbed(a plan.Action) string {
	switch a := a.(type) {
	case plan.RestartServer:
		return a.Instance
	case plan.DeletePod:
		if f.pods[a.Pod] && f.accepts(a.Pod) {
			return a.Pod
		}
	}
	return ""
}

func TestWhateverIsSeenNoPlanDoesHarm(t *testing.T) {
	c, err := read(strings.Replace(small, "\nspec:", "\nmetadata: {annotations: {antdb.io/escape-gtm-wait: cn2}}\nspec:", 1))
	if err != nil {
		t.Fatal(err)
	}
	want := spec.Resolve(c)
	rapid.Check(t, func(t *rapid.T) {
		o := draw(t)
		snap, err := o.snapshot(&want)
		if err != nil {
			t.Fatal(err)
		}
		if snap.Status, err = before(c, o.Before); err != nil {
			t.Fatal(err)
		}
		snap.Status.Topology.Deregistered = o.Deregistered
		was := snap.Status.DeepCopy()
		p := plan.Cluster(&want, snap, operator, now)
		if again := plan.Cluster(&want, snap, operator, now); !cmp.Equal(p.Status, again.Status) || !cmp.Equal(p.Events, again.Events) || !cmp.Equal(p.Actions, again.Actions) {
			t.Fatal("the same input gives another plan")
		}
		if d := cmp.Diff(*was, snap.Status); d != "" {
			t.Fatalf("planning changed what it was handed:\n%s", d)
		}
		f := facts{pods: map[string]bool{}, snap: snap}
		for i := range snap.Pods {
			f.pods[snap.Pods[i].Name] = snap.Pods[i].Status.Phase != "Failed"
		}
		checkDisturbance(t, &want, f, p.Actions)
		checkOrders(t, f, o, p.Actions)
	})
}

// checkDisturbance: at most one server is taken away, only while all others serve, and gc only while all others run.
func checkDisturbance(t *rapid.T, want *spec.Cluster, f facts, actions []plan.Action) {
	disturbed := map[string]bool{}
	for _, a := range actions {
		if name := f.disturbed(a); name != "" {
			disturbed[name] = true
		}
	}
	if len(disturbed) > 1 {
		t.Fatalf("disturbed at once: %v", slices.Sorted(maps.Keys(disturbed)))
	}
	for name := range disturbed {
		for _, n := range want.Nodes {
			if other := naming.Instance(want.Name, n.Name, 1); other != name && !f.serves(other) {
				t.Fatalf("%s is disturbed while %s does not serve", name, other)
			}
		}
	}
}

// takesTopology are the states in which a topology is taken: at once, or for when SQL runs.
var takesTopology = []instanceapi.State{instanceapi.StateInitializing, instanceapi.StateStarting, instanceapi.StateRunning}

// checkOrders: nobody is told what he cannot do, or what he holds already.
func checkOrders(t *rapid.T, f facts, o *observed, actions []plan.Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case plan.PutTopology:
			s := f.status(a.Instance)
			if s == nil || s.Catalog == nil || !slices.Contains(takesTopology, s.State) {
				t.Fatalf("%s, which cannot take it", a)
			}
			if s.Catalog.WantHash == a.Topology.Hash() && (s.Catalog.Have == a.Topology.Hash() || s.State != instanceapi.StateRunning) {
				t.Fatalf("%s, which knows it", a)
			}
		case plan.PutConfig:
			if s := f.status(a.Instance); s == nil || s.Config.Hash == a.Config.Hash() || s.Config.RejectedHash == a.Config.Hash() {
				t.Fatalf("%s, which runs with it or has refused it", a)
			}
		case plan.EscapeGTMWait:
			if !slices.Equal(o.Deregistered, a.Escape.Drop) {
				t.Fatalf("%s before it was written down", a)
			}
			if f.accepts("demo-cn2-1") {
				t.Fatalf("%s while cn2 runs", a)
			}
		case plan.StartBootstrap:
			for name := range o.Nodes {
				if !f.serves(naming.Instance("demo", name, 1)) {
					t.Fatalf("%s while %s does not serve", a, name)
				}
			}
		case plan.DeletePod, plan.NudgePod, plan.RestartServer, plan.ReloadServer, plan.ApplyCredentials, plan.ForgetRequest:
		default:
			t.Fatalf("unknown action %T", a)
		}
	}
}
