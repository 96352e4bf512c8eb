// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/plan"
	"github.com/antdb-operator/antdb-operator/internal/render"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

var update = flag.Bool("update", false, "write want.txt of every case as the plan is now; read the difference before you keep it")

var operator = render.Operator{Image: "operator:1", Namespace: "antdb-system", Labels: map[string]string{"app": "operator"}}

// TestThePlanIsWhatItsCasesSay runs testdata/*.txtar; how to read and write them is told in testdata/README.md.
func TestThePlanIsWhatItsCasesSay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in testdata (%v)", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runCase(t, file) })
	}
}

func runCase(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	given := parts(archive)
	got, err := answer(given)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		write(t, file, archive, got)
		return
	}
	if d := cmp.Diff(strings.Split(given["want.txt"], "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("the plan (-want +got):\n%s", d)
	}
}

func parts(a *txtar.Archive) map[string]string {
	out := map[string]string{}
	for _, f := range a.Files {
		out[f.Name] = string(f.Data)
	}
	return out
}

func write(t *testing.T, file string, a *txtar.Archive, want string) {
	a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return f.Name == "want.txt" })
	a.Files = append(a.Files, txtar.File{Name: "want.txt", Data: []byte(want)})
	if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
		t.Fatal(err)
	}
}

// answer plans one case and tells what follows in words.
func answer(given map[string]string) (string, error) {
	cluster, err := read(given["cluster.yaml"])
	if err != nil {
		return "", err
	}
	o := &observed{}
	if err := yaml.UnmarshalStrict([]byte(given["observed.yaml"]), o); err != nil {
		return "", fmt.Errorf("observed.yaml: %w", err)
	}
	cluster.Status.Members = o.Members
	want := spec.Resolve(cluster)
	operation.Arrange(&want, operation.Active(o.Operations))
	snap, err := o.snapshot(&want)
	if err != nil {
		return "", err
	}
	snap.Findings = spec.Check(cluster)
	earlier := cluster
	if text, changed := given["cluster-before.yaml"]; changed {
		if earlier, err = read(text); err != nil {
			return "", err
		}
	}
	if snap.Status, err = before(earlier, o.Before); err != nil {
		return "", err
	}
	snap.Status.Topology.Deregistered = o.Deregistered
	for i := range snap.Status.Nodes {
		n := &snap.Status.Nodes[i]
		n.Instances[0].RestartedFor = o.Nodes[n.Name].over(o.All).Told
	}
	if len(o.Members) > 0 {
		snap.Status.Members = o.Members
	}
	if len(o.ManagedRoles) > 0 {
		snap.Status.ManagedRoles = o.ManagedRoles
	}
	snap.Operations = o.Operations
	p := plan.Cluster(&want, snap, operator, now)
	return strings.ReplaceAll(tell(&want, snap, &p), o.roles(&want).Hash(), "ROLES"), nil
}

// read completes the spec of a case with what the CRD and the API server fill in.
func read(text string) (*v1alpha1.AntDBCluster, error) {
	c := &v1alpha1.AntDBCluster{}
	if err := yaml.UnmarshalStrict([]byte(text), c); err != nil {
		return nil, fmt.Errorf("cluster.yaml: %w", err)
	}
	c.Name, c.UID, c.Generation = "demo", uid, 1
	if c.Namespace == "" {
		c.Namespace = "ns"
	}
	return c, nil
}

// before is the last status: what plans leave behind when nothing, or everything, was there.
func before(c *v1alpha1.AntDBCluster, kind string) (v1alpha1.AntDBClusterStatus, error) {
	o := map[string]*observed{
		"": nil, "none": nil,
		"creating": {All: seen{Pod: "absent", Claim: "absent"}},
		"ready":    {All: seen{Bootstrap: "Done"}},
		"stopped":  {All: seen{Pod: "absent"}},
	}
	first, known := o[kind]
	if !known {
		return v1alpha1.AntDBClusterStatus{}, fmt.Errorf("observed.yaml: before: unknown word %q", kind)
	}
	if first == nil {
		return v1alpha1.AntDBClusterStatus{}, nil
	}
	if kind != "stopped" {
		status, _, err := settle(c, first, v1alpha1.AntDBClusterStatus{})
		return status, err
	}
	c = c.DeepCopy()
	c.Spec.Stopped = false
	ready, err := before(c, "ready")
	if err != nil {
		return ready, err
	}
	c.Spec.Stopped = true
	status, _, err := settle(c, first, ready)
	return status, err
}

// settle plans over the same observation until the status stays as it is.
func settle(c *v1alpha1.AntDBCluster, o *observed, status v1alpha1.AntDBClusterStatus) (v1alpha1.AntDBClusterStatus, plan.Plan, error) {
	want := spec.Resolve(c)
	snap, err := o.snapshot(&want)
	if err != nil {
		return v1alpha1.AntDBClusterStatus{}, plan.Plan{}, err
	}
	snap.Status = status
	var p plan.Plan
	for range 5 {
		p = plan.Cluster(&want, snap, operator, now)
		if cmp.Equal(p.Status, snap.Status) {
			return p.Status, p, nil
		}
		snap.Status = p.Status
	}
	return p.Status, p, fmt.Errorf("the status does not settle: %+v", p.Status)
}

// tell puts a plan into words, without hashes that nobody can read.
func tell(want *spec.Cluster, snap *plan.Snapshot, p *plan.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "phase %s, ready nodes %s\n", p.Status.Phase, p.Status.ReadyNodes)
	if len(p.Status.Topology.Deregistered) > 0 {
		fmt.Fprintf(&b, "gc forgets %s\n", strings.Join(p.Status.Topology.Deregistered, ", "))
	}
	if p.Again > 0 {
		fmt.Fprintf(&b, "looks again after %d s\n", p.Again)
	}
	section(&b, "objects", objects(snap, slices.Concat(p.Claims, p.Then)))
	var actions, events []string
	for _, a := range p.Actions {
		actions = append(actions, a.String())
	}
	for _, e := range p.Events {
		kind := "Normal"
		if e.Warning {
			kind = "Warning"
		}
		events = append(events, kind+" "+e.Reason+": "+e.Message)
	}
	section(&b, "actions", actions)
	for _, m := range p.Status.Members {
		if m.State != v1alpha1.MemberActive {
			fmt.Fprintf(&b, "member %s is %s\n", m.Name, m.State)
		}
		if m.DownSince != nil {
			fmt.Fprintf(&b, "member %s is down since %s\n", m.Name, m.DownSince.Format(time.TimeOnly))
		}
	}
	for _, r := range p.Status.ManagedRoles {
		fmt.Fprintf(&b, "role %s is %s\n", r.Name, strings.TrimSuffix(strings.Join([]string{string(r.State), r.Message}, ": "), ": "))
	}
	for _, n := range p.Status.Nodes {
		if id := n.Instances[0].RestartedFor; id != "" {
			fmt.Fprintf(&b, "%s is restarted for %s\n", n.Name, id)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Operations)) {
		s := p.Operations[name]
		fmt.Fprintf(&b, "operation %s is %s: %s\n", name, s.Phase, s.Message)
	}
	section(&b, "conditions", unfine(p.Status.Conditions))
	section(&b, "events", events)
	t := wanted(want)
	pairs := []string{t.Hash(), "WANTED"}
	if gone := p.Status.Topology.Deregistered; len(gone) > 0 {
		pairs = append(pairs, t.Without(gone...).Hash(), "WITHOUT-"+strings.Join(gone, "-"))
	}
	for _, n := range want.Nodes {
		pairs = append(pairs, n.Config.Hash(), "CONFIG")
	}
	return strings.NewReplacer(pairs...).Replace(b.String())
}

func section(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		fmt.Fprintf(b, "%s: none\n", title)
		return
	}
	fmt.Fprintf(b, "%s:\n", title)
	for _, l := range lines {
		fmt.Fprintf(b, "  %s\n", l)
	}
}

// objects tells which pods and claims would be written: a claim that is there already as it is wanted would not.
func objects(snap *plan.Snapshot, then []runtime.ApplyConfiguration) []string {
	have := map[string]corev1.PersistentVolumeClaim{}
	for _, c := range snap.Claims {
		have[c.Name] = c
	}
	var out []string
	for _, o := range then {
		u := unstructuredOf(o)
		if u.GetKind() != "PersistentVolumeClaim" && u.GetKind() != "Pod" {
			continue
		}
		line := u.GetKind() + " " + u.GetName()
		if u.GetKind() == "PersistentVolumeClaim" {
			size, _, _ := unstructured.NestedString(u.Object, "spec", "resources", "requests", "storage")
			claim, exists := have[u.GetName()]
			requested := claim.Spec.Resources.Requests[corev1.ResourceStorage]
			if exists && requested.String() == size {
				continue
			}
			line += " " + size
			if exists {
				line += " in place of " + requested.String()
			}
		}
		out = append(out, line)
	}
	return out
}

func unstructuredOf(o any) *unstructured.Unstructured {
	text, err := json.Marshal(o)
	u := &unstructured.Unstructured{}
	if err == nil {
		err = u.UnmarshalJSON(text)
	}
	if err != nil {
		panic(err) // an apply configuration is an object
	}
	return u
}

// unfine are the conditions that somebody should read.
func unfine(all []metav1.Condition) []string {
	var out []string
	for _, c := range all {
		if c.Status == metav1.ConditionTrue && c.Type != v1alpha1.ConditionProgressing {
			continue
		}
		if c.Reason == v1alpha1.ReasonStable {
			continue
		}
		out = append(out, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	slices.Sort(out)
	return out
}
