// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// enoughToScale is how many passes an operation may take.
const enoughToScale = 80

func (s *scene) counts(coordinators, datanodes int32) {
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Coordinators.Count, c.Spec.Datanodes.Count = coordinators, datanodes
	})
}

// operations in the order of their names.
func (s *scene) operations() []v1alpha1.AntDBOperation {
	all := &v1alpha1.AntDBOperationList{}
	if err := s.api.World.List(s.ctx, all); err != nil {
		s.t.Fatalf("%v", err)
	}
	slices.SortFunc(all.Items, func(a, b v1alpha1.AntDBOperation) int { return strings.Compare(a.Name, b.Name) })
	return all.Items
}

func (s *scene) operationNamed(name string) *v1alpha1.AntDBOperation {
	for _, o := range s.operations() {
		if o.Name == name {
			return &o
		}
	}
	return nil
}

// ask makes an operation as a user does.
func (s *scene) ask(name string, spec v1alpha1.AntDBOperationSpec) {
	spec.Cluster = "demo"
	op := &v1alpha1.AntDBOperation{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, CreationTimestamp: metav1.NewTime(s.clock)}, Spec: spec}
	if err := s.api.World.Create(s.ctx, op); err != nil {
		s.t.Fatalf("%v", err)
	}
}

func (s *scene) cancel(name string) {
	op := s.operationNamed(name)
	op.Spec.Cancel = true
	if err := s.api.World.Update(s.ctx, op); err != nil {
		s.t.Fatalf("%v", err)
	}
}

// members in words.
func (s *scene) members() []string {
	var out []string
	for _, m := range s.cluster().Status.Members {
		out = append(out, m.Name+" "+string(m.State))
	}
	return out
}

// has checks everything that must hold once the cluster has settled with these nodes.
func (s *scene) has(nodes ...string) {
	s.t.Helper()
	want := slices.Concat([]string{"gc"}, nodes)
	slices.Sort(want)
	for name, rows := range s.world.Catalogs() {
		var have []string
		for _, r := range rows {
			have = append(have, strings.Fields(r)[0])
		}
		if d := cmp.Diff(want, have); d != "" {
			s.t.Errorf("the catalog of %s (-want +got):\n%s", name, d)
		}
	}
	var active []string
	for _, m := range s.cluster().Status.Members {
		if m.State == v1alpha1.MemberActive {
			active = append(active, m.Name)
		}
		if m.State != v1alpha1.MemberActive && m.State != v1alpha1.MemberRetained {
			s.t.Errorf("%s is still %s", m.Name, m.State)
		}
	}
	if d := cmp.Diff(nodes, active); d != "" {
		s.t.Errorf("members (-want +got):\n%s", d)
	}
	if s.world.Locked() {
		s.t.Errorf("DDL is still kept out")
	}
	var pods []string
	for name := range s.pods() {
		node, _, err := naming.ParseInstance("demo", name)
		if err != nil {
			s.t.Errorf("%v", err)
		}
		pods = append(pods, node)
	}
	slices.Sort(pods)
	if d := cmp.Diff(want, pods); d != "" {
		s.t.Errorf("pods (-want +got):\n%s", d)
	}
	for _, o := range s.operations() {
		if o.Status.EndedAt == nil || len(o.Finalizers) > 0 {
			s.t.Errorf("operation %s is %s (finalizers %v): %s", o.Name, o.Status.Phase, o.Finalizers, o.Status.Message)
		}
	}
	if t := s.t; len(s.members()) > 0 {
		if refusal := s.world.DDL("gc"); refusal != "" {
			t.Errorf("DDL is refused: %s", refusal)
		}
	}
}

// spread checks that every table lies on these datanodes.
func (s *scene) spread(datanodes ...string) {
	s.t.Helper()
	for table, on := range s.world.Tables() {
		if d := cmp.Diff(datanodes, slices.Sorted(slices.Values(on))); d != "" {
			s.t.Errorf("table %s (-want +got):\n%s", table, d)
		}
	}
}

func (s *scene) claims() []string {
	all := &corev1.PersistentVolumeClaimList{}
	if err := s.api.World.List(s.ctx, all); err != nil {
		s.t.Fatalf("%v", err)
	}
	var out []string
	for i := range all.Items {
		out = append(out, all.Items[i].Labels[naming.LabelNode])
	}
	slices.Sort(out)
	return out
}

func (s *scene) ended(name string, phase v1alpha1.OperationPhase, words ...string) {
	s.t.Helper()
	op := s.operationNamed(name)
	if op == nil {
		s.t.Fatalf("there is no operation %s\n%s", name, s)
	}
	if op.Status.Phase != phase {
		s.t.Fatalf("operation %s is %s, not %s: %s\n%s", name, op.Status.Phase, phase, op.Status.Message, s)
	}
	for _, w := range words {
		if !strings.Contains(op.Status.Message, w) {
			s.t.Errorf("operation %s does not say %q: %s", name, w, op.Status.Message)
		}
	}
}

func TestNodesAreAddedByTheCounts(t *testing.T) {
	for name, c := range map[string]struct {
		coordinators, datanodes int32
		want                    []string
	}{
		"a coordinator":  {3, 2, []string{"cn1", "cn2", "cn3", "dn1", "dn2"}},
		"two datanodes":  {2, 4, []string{"cn1", "cn2", "dn1", "dn2", "dn3", "dn4"}},
		"both, in order": {4, 3, []string{"cn1", "cn2", "cn3", "cn4", "dn1", "dn2", "dn3"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := settled(t)
			s.counts(c.coordinators, c.datanodes)
			s.settle(enoughToScale)
			s.has(c.want...)
			var dns []string
			for _, n := range c.want {
				if strings.HasPrefix(n, "dn") {
					dns = append(dns, n)
				}
			}
			s.spread(dns...)
			for _, o := range s.operations() {
				s.ended(o.Name, v1alpha1.OperationCompleted)
			}
			if len(s.operations()) > 2 {
				t.Errorf("%d operations", len(s.operations()))
			}
			if s.events.count(v1alpha1.EventNodeAdded) == 0 || s.events.count(v1alpha1.EventDDLLocked) == 0 {
				t.Errorf("the events do not tell of it: %v", s.events.last(30))
			}
		})
	}
}

func TestNodesAreRemovedByTheCounts(t *testing.T) {
	s := settled(t)
	s.world.SetSessions("cn2", 4)
	s.counts(1, 1)
	s.settle(2 * enoughToScale)
	s.has("cn1", "dn1")
	s.spread("dn1")
	if d := cmp.Diff([]string{"cn1", "cn2", "dn1", "dn2", "gc"}, s.claims()); d != "" {
		t.Errorf("claims that are kept (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"cn1 Active", "cn2 Retained", "dn1 Active", "dn2 Retained"}, s.members()); d != "" {
		t.Errorf("members (-want +got):\n%s", d)
	}
	s.clock = s.clock.Add(25 * time.Hour)
	s.settle(10)
	if d := cmp.Diff([]string{"cn1", "dn1", "gc"}, s.claims()); d != "" {
		t.Errorf("claims after their time (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"cn1 Active", "dn1 Active"}, s.members()); d != "" {
		t.Errorf("members (-want +got):\n%s", d)
	}
}

func TestAKeptNameIsNotUsedAgainAndAFreeOneIs(t *testing.T) {
	s := settled(t)
	s.counts(1, 2)
	s.settle(enoughToScale)
	s.counts(2, 2)
	s.settle(enoughToScale)
	s.has("cn1", "cn3", "dn1", "dn2")
	s.clock = s.clock.Add(25 * time.Hour)
	s.settle(10)
	s.counts(3, 2)
	s.settle(enoughToScale)
	s.has("cn1", "cn2", "cn3", "dn1", "dn2")
}

func TestAnyNodeCanBeRemovedByName(t *testing.T) {
	s := settled(t)
	s.ask("mine", v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRemoveNodes, Nodes: []string{"dn1"}})
	s.counts(2, 1)
	s.settle(enoughToScale)
	s.ended("mine", v1alpha1.OperationCompleted)
	s.has("cn1", "cn2", "dn2")
	s.spread("dn2")
	if rows := strings.Join(s.world.Catalogs()["gc"], "; "); !strings.Contains(rows, "dn2 D demo-dn2-h.ns.svc:5432 primary") {
		t.Errorf("dn2 is not the primary datanode: %s", rows)
	}
}

func TestWhatIsNotAllowedIsRefusedWithItsReason(t *testing.T) {
	for name, c := range map[string]struct {
		spec  v1alpha1.AntDBOperationSpec
		words []string
	}{
		"a node that is not there": {v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRemoveNodes, Nodes: []string{"cn7"}}, []string{`"cn7" is not a node`}},
		"the last datanodes":       {v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRemoveNodes, Nodes: []string{"dn1", "dn2"}}, []string{"no datanode", "at least one"}},
		"a node that is there":     {v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationAddNodes, Nodes: []string{"cn2"}}, []string{`"cn2" is a node`}},
		"a pinned table":           {v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationDrainNodes, Nodes: []string{"dn2"}}, []string{"alone", "mine.own"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := settled(t)
			s.world.Pin("mine.own", "dn2")
			s.ask("bad", c.spec)
			s.settle(20)
			s.ended("bad", v1alpha1.OperationRefused, c.words...)
			s.has("cn1", "cn2", "dn1", "dn2")
		})
	}
}

func TestTooLittleSpaceIsRefusedBeforeAnythingMoves(t *testing.T) {
	s := settled(t)
	s.world.Free["dn1"] = 1000
	s.counts(2, 1)
	for range 30 {
		if err := s.pass(); err != nil {
			t.Fatal(err)
		}
	}
	s.ended("demo-op1", v1alpha1.OperationRefused, "dn1 has 1k free", "90 %")
	s.expect(v1alpha1.ConditionProgressing, v1alpha1.ReasonOperationFailed, "RemoveNodes dn2", "tried again")
	s.has("cn1", "cn2", "dn1", "dn2")
	s.world.Free["dn1"] = 1 << 30
	s.clock = s.clock.Add(6 * time.Minute)
	s.settle(enoughToScale)
	s.ended("demo-op2", v1alpha1.OperationCompleted)
	s.has("cn1", "cn2", "dn1")
}

func TestDrainingRebalancingAndPlanning(t *testing.T) {
	s := settled(t)
	s.ask("plan", v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationDrainNodes, Nodes: []string{"dn2"}, PlanOnly: true})
	s.settle(enoughToScale)
	s.ended("plan", v1alpha1.OperationCompleted, "nothing was changed")
	if m := s.operationNamed("plan").Status.Move; m == nil || m.TablesTotal == 0 || m.TablesDone != 0 {
		t.Errorf("the plan is %+v", m)
	}
	s.spread("dn1", "dn2")
	s.ask("drain", v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationDrainNodes, Nodes: []string{"dn2"}})
	s.settle(enoughToScale)
	s.ended("drain", v1alpha1.OperationCompleted)
	s.spread("dn1")
	s.ask("even", v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRebalance})
	s.settle(enoughToScale)
	s.ended("even", v1alpha1.OperationCompleted)
	s.spread("dn1", "dn2")
	s.has("cn1", "cn2", "dn1", "dn2")
}

func TestUndecidedTransactionsKeepACoordinator(t *testing.T) {
	s := settled(t)
	s.world.Undecided["cn2"] = []string{"T17"}
	s.counts(1, 2)
	s.until("the operation has failed", 200, func() bool {
		op := s.operationNamed("demo-op1")
		return op != nil && op.Status.Phase == v1alpha1.OperationFailed
	})
	for range 5 {
		if err := s.pass(); err != nil {
			t.Fatal(err)
		}
	}
	s.ended("demo-op1", v1alpha1.OperationFailed, "cn2 holds undecided transactions (T17)")
	s.has("cn1", "cn2", "dn1", "dn2")
}

func TestASecondOperationWaitsAndSaysForWhat(t *testing.T) {
	s := settled(t)
	s.ask("first", v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRebalance})
	s.clock = s.clock.Add(time.Second)
	s.ask("second", v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRebalance})
	s.until("the second waits", 10, func() bool {
		op := s.operationNamed("second")
		return op.Status.Phase == v1alpha1.OperationPending && strings.Contains(op.Status.Message, "first")
	})
	s.settle(enoughToScale)
	s.ended("first", v1alpha1.OperationCompleted)
	s.ended("second", v1alpha1.OperationCompleted)
}

func TestMembersAreFoundAgainByTheirClaims(t *testing.T) {
	s := settled(t)
	s.counts(3, 1)
	s.settle(3 * enoughToScale)
	before := s.members()
	c := s.cluster()
	c.Status.Members = nil
	if err := s.api.World.Status().Update(s.ctx, c); err != nil {
		t.Fatal(err)
	}
	s.settle(10)
	if d := cmp.Diff(before, s.members()); d != "" {
		t.Errorf("members (-before +after):\n%s", d)
	}
}

func TestADeletedClusterLetsItsOperationsGo(t *testing.T) {
	s := settled(t)
	s.counts(3, 2)
	s.until("the copy runs", enoughToScale, func() bool { return s.runs("demo-op1", "Copy") })
	if err := s.api.World.Delete(s.ctx, s.cluster()); err != nil {
		t.Fatal(err)
	}
	_, err := s.operator.Reconcile(s.ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if op := s.operationNamed("demo-op1"); len(op.Finalizers) > 0 || op.Status.Phase != v1alpha1.OperationCancelled {
		t.Errorf("the operation is %s with finalizers %v", op.Status.Phase, op.Finalizers)
	}
}

func TestTheHistoryOfOperationsIsBounded(t *testing.T) {
	s := settled(t)
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.OperationHistoryLimit = 2 })
	s.counts(3, 2)
	s.settle(enoughToScale)
	for _, name := range []string{"a", "b", "c"} {
		s.clock = s.clock.Add(time.Minute)
		s.ask(name, v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRebalance})
		s.settle(enoughToScale)
	}
	has := func(want ...string) {
		t.Helper()
		var have []string
		for _, o := range s.operations() {
			have = append(have, o.Name)
		}
		if d := cmp.Diff(want, have); d != "" {
			t.Errorf("operations (-want +got):\n%s", d)
		}
	}
	has("a", "b", "c", "demo-op1") // whoever waits for one sees its end
	s.clock = s.clock.Add(5 * time.Minute)
	s.settle(5)
	has("b", "c", "demo-op1") // the last one of the operator's own stays, beyond what is kept
	s.counts(2, 2)
	s.settle(enoughToScale)
	s.clock = s.clock.Add(5 * time.Minute)
	s.settle(5)
	has("c", "demo-op2")
}
