// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/testkit/fakeantdb"
	"github.com/antdb-operator/antdb-operator/internal/testkit/kubelet"
)

// The settled cluster that most stories begin with is brought about once.
var (
	first     *scene
	firstOnce sync.Mutex
)

func settled(t *testing.T) *scene {
	t.Helper()
	firstOnce.Lock()
	defer firstOnce.Unlock()
	if first == nil {
		s := newScene(t.Context(), t, small)
		s.settle(30)
		first = s
	}
	return first.clone(t.Context(), t)
}

// pods are the UIDs of all pods.
func (s *scene) pods() map[string]types.UID {
	all := &corev1.PodList{}
	if err := s.api.World.List(s.ctx, all); err != nil {
		s.t.Fatalf("%v", err)
	}
	out := map[string]types.UID{}
	for _, p := range all.Items {
		out[p.Name] = p.UID
	}
	return out
}

func (s *scene) deletePod(node string) {
	if p := s.pod(node); p != nil {
		if err := client.IgnoreNotFound(s.api.World.Delete(s.ctx, p)); err != nil {
			s.t.Fatalf("%v", err)
		}
	}
}

func (s *scene) expect(kind, reason string, words ...string) {
	s.t.Helper()
	status, got, message := s.condition(kind)
	if got != reason {
		s.t.Fatalf("%s is %s with reason %s, not %s: %s\n%s", kind, status, got, reason, message, s)
	}
	for _, w := range words {
		if !strings.Contains(message, w) {
			s.t.Errorf("%s does not say %q: %s", kind, w, message)
		}
	}
}

// equalCatalogs: gc and every coordinator hold one row for each of all nodes.
func (s *scene) equalCatalogs() {
	s.t.Helper()
	all := s.world.Catalogs()
	for name, rows := range all {
		if d := cmp.Diff(all["gc"], rows); d != "" {
			s.t.Errorf("the catalog of %s differs from that of gc (-gc +%s):\n%s", name, name, d)
		}
		if len(rows) != 5 {
			s.t.Errorf("the catalog of %s has %d rows, not 5: %v", name, len(rows), rows)
		}
	}
}

func (s *scene) bootstrappedOnce() {
	s.t.Helper()
	want := map[string]int{"role app": 1, "database app": 1, "create extension one": 1, "create extension two": 1}
	if d := cmp.Diff(want, s.world.Bootstrapped()); d != "" {
		s.t.Errorf("how often each statement of the bootstrap ran (-want +got):\n%s", d)
	}
}

func TestAClusterComesUpAndIsLeftAlone(t *testing.T) {
	s := settled(t)
	s.equalCatalogs()
	s.bootstrappedOnce()
	before := s.pods()
	s.restartOperator()
	s.api.Writes()
	s.world.Orders()
	for range 3 {
		if err := s.pass(); err != nil {
			t.Fatal(err)
		}
	}
	if writes, orders := s.api.Writes(), s.world.Orders(); len(writes) > 0 || orders > 0 {
		t.Errorf("a new operator wrote %v and gave %d orders to a settled cluster", writes, orders)
	}
	if d := cmp.Diff(before, s.pods()); d != "" {
		t.Errorf("pods were touched:\n%s", d)
	}
}

func TestEverythingIsMadeInOnePass(t *testing.T) {
	s := newScene(t.Context(), t, small)
	if err := s.pass(); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, w := range s.api.Writes() {
		kinds[w.Kind]++
	}
	if kinds["Pod"] != 5 || kinds["PersistentVolumeClaim"] != 5 || kinds["Service"] != 11 || kinds["Secret"] != 4 {
		t.Errorf("made in the first pass: %v", kinds)
	}
}

func TestTheOperatorMayBeRestartedAtEveryPassOfACreation(t *testing.T) {
	s := newScene(t.Context(), t, small)
	s.until("the cluster is Ready", 30, func() bool { s.restartOperator(); return s.ready() })
	s.settle(5)
	s.bootstrappedOnce()
	if n := s.events.count("Ready"); n != 1 {
		t.Errorf("the event Ready was told %d times", n)
	}
}

func TestARestartGoesRoundOneByOneAndEndsWithGC(t *testing.T) {
	s := settled(t)
	before := s.pods()
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Parameters = v1alpha1.Parameters{"max_connections": "300"} })
	s.settle(60)
	var order []string
	for _, e := range s.events.last(1000) {
		if rest, ok := strings.CutPrefix(e, "Normal Restarting: "); ok {
			order = append(order, strings.Fields(rest)[0])
		}
	}
	if d := cmp.Diff([]string{"dn1", "dn2", "cn1", "cn2", "gc"}, order); d != "" {
		t.Errorf("restarted (-want +got):\n%s", d)
	}
	for node, value := range s.world.Parameters("max_connections") {
		if value != "300" {
			t.Errorf("%s runs with max_connections = %q", node, value)
		}
	}
	if d := cmp.Diff(before, s.pods()); d != "" {
		t.Errorf("a restart of servers touched pods:\n%s", d)
	}
}

func TestAReloadRestartsNobody(t *testing.T) {
	s := settled(t)
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Datanodes.Parameters = v1alpha1.Parameters{"work_mem": "8MB"} })
	s.settle(20)
	want := map[string]string{"gc": "", "cn1": "", "cn2": "", "dn1": "8MB", "dn2": "8MB"}
	if d := cmp.Diff(want, s.world.Parameters("work_mem")); d != "" {
		t.Errorf("work_mem (-want +got):\n%s", d)
	}
	if n := s.events.count("Restarting"); n > 0 {
		t.Errorf("%d restarts", n)
	}
}

func TestARejectedParameterLeavesTheClusterServing(t *testing.T) {
	s := settled(t)
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Parameters = v1alpha1.Parameters{"work_mem": fakeantdb.Rejected}
	})
	s.settle(20)
	s.expect(v1alpha1.ConditionConfigurationApplied, v1alpha1.ReasonParameterRejected, "dn1 refused work_mem", fakeantdb.Rejected)
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Parameters = v1alpha1.Parameters{"work_mem": "8MB"} })
	s.settle(20)
	s.expect(v1alpha1.ConditionConfigurationApplied, v1alpha1.ReasonApplied)
}

func TestANewImageReplacesOnePodAfterTheOther(t *testing.T) {
	s := settled(t)
	before := s.pods()
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Image = "antdb:6" })
	s.settle(120)
	after := s.pods()
	for name, uid := range before {
		if after[name] == uid || after[name] == "" {
			t.Errorf("pod %s was not replaced", name)
		}
	}
	s.equalCatalogs()
	s.bootstrappedOnce()
}

func TestABrokenImageStopsAtTheFirstPodAndTheMendedOneHealsIt(t *testing.T) {
	s := settled(t)
	before := s.pods()
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Image = kubelet.Broken })
	for range 30 {
		if err := s.pass(); err != nil {
			t.Fatal(err)
		}
	}
	var replaced []string
	for name, uid := range s.pods() {
		if before[name] != uid {
			replaced = append(replaced, name)
		}
	}
	if d := cmp.Diff([]string{"demo-dn1-1"}, replaced); d != "" {
		t.Errorf("replaced by pods that cannot start (-want +got):\n%s", d)
	}
	s.expect(v1alpha1.ConditionReady, v1alpha1.ReasonNodesNotServing, "dn1: ImagePullBackOff")
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Image = "antdb:6" })
	s.settle(120)
}

// gcWaitsFor takes a node away and lets gc start without it.
func (s *scene) gcWaitsFor(node string) {
	s.kubelet.Held = map[string]bool{"demo-" + node + "-1": true}
	s.deletePod(node)
	s.until(node+" is gone", 10, func() bool { p := s.pod(node); return p != nil && p.Status.PodIP == "" })
	s.world.Kill("gc")
	s.until("gc waits", 10, func() bool {
		_, reason, _ := s.condition(v1alpha1.ConditionGTMAvailable)
		return reason == v1alpha1.ReasonGTMWaitsForNodes
	})
}

func TestAWaitOfGCIsExplainedAndHealsWhenTheNodeReturns(t *testing.T) {
	s := settled(t)
	s.gcWaitsFor("dn2")
	s.expect(v1alpha1.ConditionGTMAvailable, v1alpha1.ReasonGTMWaitsForNodes, "dn2", "datanode cannot be left out")
	s.kubelet.Held = nil
	s.settle(30)
	s.equalCatalogs()
}

func (s *scene) escape(node string) {
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Annotations = map[string]string{v1alpha1.AnnotationEscapeGTMWait: node}
		c.Generation-- // an annotation changes no generation
	})
}

func TestGCForgetsAMissingCoordinatorOnRequestAndTakesItBack(t *testing.T) {
	s := settled(t)
	s.gcWaitsFor("cn2")
	s.expect(v1alpha1.ConditionGTMAvailable, v1alpha1.ReasonGTMWaitsForNodes, "antdb.io/escape-gtm-wait=cn2")
	s.escape("cn2")
	s.until("gc serves without cn2", 20, func() bool {
		_, reason, _ := s.condition(v1alpha1.ConditionGTMAvailable)
		return reason == v1alpha1.ReasonGTMServes
	})
	for range 5 { // nobody takes the missing row for drift
		if err := s.pass(); err != nil {
			t.Fatal(err)
		}
	}
	if rows := s.world.Catalogs()["gc"]; len(rows) != 4 || slices.ContainsFunc(rows, func(r string) bool { return strings.HasPrefix(r, "cn2 ") }) {
		t.Errorf("gc holds %v", rows)
	}
	s.kubelet.Held = nil
	s.settle(30)
	s.equalCatalogs()
	if n := s.events.count(v1alpha1.EventTopologyDrift); n > 0 {
		t.Errorf("the forgotten row was taken for drift %d times", n)
	}
}

func TestACoordinatorThatMissedDDLIsNotRegisteredAgain(t *testing.T) {
	s := settled(t)
	s.gcWaitsFor("cn2")
	s.escape("cn2")
	s.until("gc serves without cn2", 20, func() bool {
		_, reason, _ := s.condition(v1alpha1.ConditionGTMAvailable)
		return reason == v1alpha1.ReasonGTMServes
	})
	if refusal := s.world.DDL("gc"); refusal != "" {
		t.Fatalf("DDL without cn2: %s", refusal)
	}
	s.kubelet.Held = nil
	for range 20 {
		if err := s.pass(); err != nil {
			t.Fatal(err)
		}
	}
	s.expect(v1alpha1.ConditionTopologySynced, v1alpha1.ReasonCatalogDiffers, "cn2 came back with another schema")
	if rows := s.world.Catalogs()["gc"]; len(rows) != 4 {
		t.Errorf("gc holds %v", rows)
	}
}

func TestAnEscapeIsRefusedForADatanode(t *testing.T) {
	s := settled(t)
	s.gcWaitsFor("dn2")
	s.escape("dn2")
	for range 5 {
		if err := s.pass(); err != nil {
			t.Fatal(err)
		}
	}
	s.expect(v1alpha1.ConditionGTMAvailable, v1alpha1.ReasonGTMWaitsForNodes, `"dn2" is a datanode`)
	if rows := s.world.Catalogs()["gc"]; len(rows) != 5 {
		t.Errorf("gc holds %v", rows)
	}
}

func TestDriftIsToldOnceAndRepaired(t *testing.T) {
	s := settled(t)
	s.world.Drift("cn2")
	s.settle(10)
	s.equalCatalogs()
	if n := s.events.count(v1alpha1.EventTopologyDrift); n != 1 {
		t.Errorf("the drift was told %d times", n)
	}
}
