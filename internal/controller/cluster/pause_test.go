// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// pause sets spec.paused, or takes it back.
func (s *scene) pause(paused bool) {
	if s.cluster().Spec.Paused != paused {
		s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Paused = paused })
	}
}

// hands are the writes and orders of the operator besides its status.
func (s *scene) hands() []string {
	var out []string
	for _, w := range s.api.Writes() {
		if w.Kind != "AntDBCluster" || w.Verb != "patch status" {
			out = append(out, w.String())
		}
	}
	if n := s.world.Orders(); n > 0 {
		out = append(out, "orders to instances")
	}
	return out
}

func (s *scene) remove(o client.Object, name string) {
	o.SetNamespace("ns")
	o.SetName(name)
	if err := s.api.World.Delete(s.ctx, o); err != nil {
		s.t.Fatalf("%v", err)
	}
}

func TestAPausedClusterIsLookedAtAndLeftAlone(t *testing.T) {
	s := settled(t)
	s.pause(true)
	s.passes(3)
	s.expect(v1alpha1.ConditionProgressing, v1alpha1.ReasonPaused, `"paused":false`)
	s.expect(v1alpha1.ConditionReady, v1alpha1.ReasonAllNodesServe)
	s.hands()
	s.deletePod("cn2")
	s.remove(&corev1.Service{}, "demo-dn1")
	s.remove(&corev1.Secret{}, "demo-app")
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Image, c.Spec.Parameters, c.Spec.Coordinators.Count = "antdb:6", v1alpha1.Parameters{"work_mem": "8MB", "max_connections": "200"}, 3
	})
	s.ask("waiting", v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRebalance})
	s.restartOperator()
	s.passes(20)
	if did := s.hands(); len(did) > 0 {
		t.Fatalf("for a paused cluster the operator did: %v", did)
	}
	if s.pod("cn2") != nil {
		t.Error("the pod of cn2 was made anew")
	}
	if c := s.cluster(); c.Status.Phase != "Paused" || c.Status.ReadyNodes != "4/5" {
		t.Errorf("phase %s, ready nodes %s", c.Status.Phase, c.Status.ReadyNodes)
	}
	s.expect(v1alpha1.ConditionReady, v1alpha1.ReasonNodesNotServing, "cn2: its pod does not exist yet")
	s.pause(false)
	s.settle(3 * enoughToScale)
	s.has("cn1", "cn2", "cn3", "dn1", "dn2")
	s.ended("waiting", v1alpha1.OperationCompleted)
	for event, n := range map[string]int{v1alpha1.EventPaused: 1, v1alpha1.EventResumed: 1} {
		if got := s.events.count(event); got != n {
			t.Errorf("the event %s was told %d times", event, got)
		}
	}
}

func TestAClusterThatIsPausedFromTheBeginningIsMadeWhenItIsResumed(t *testing.T) {
	s := newScene(t.Context(), t, strings.Replace(small, "spec:\n", "spec:\n  paused: true\n", 1))
	s.passes(5)
	if did := s.hands(); len(did) > 0 {
		t.Fatalf("for a paused cluster the operator did: %v", did)
	}
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Datanodes.Count = 3 })
	s.passes(2)
	s.pause(false)
	s.settle(40)
	if n := len(s.operations()); n > 0 {
		t.Errorf("%d operations were needed to make it as its spec was by then", n)
	}
	s.bootstrappedOnce()
}

func TestAnOperationGoesOnAfterAPauseInEveryStep(t *testing.T) {
	for _, step := range strings.Fields("CreateInstances LockDDL Copy Start Register Verify Keep") {
		s := settled(t)
		s.counts(3, 2)
		s.until("the step "+step+" runs", enoughToScale, func() bool { return s.runs("demo-op1", step) })
		s.pause(true)
		s.hands()
		s.passes(30) // longer than the lease of the lock
		if did := s.hands(); len(did) > 0 {
			t.Fatalf("%s: for a paused cluster the operator did: %v", step, did)
		}
		if s.world.Locked() {
			t.Errorf("%s: DDL is kept out while nobody works", step)
		}
		s.pause(false)
		s.settle(3 * enoughToScale)
		s.ended("demo-op1", v1alpha1.OperationCompleted)
		s.has("cn1", "cn2", "cn3", "dn1", "dn2")
	}
}

func TestNobodyIsEvictedForTheTimeInWhichTheOperatorWasPaused(t *testing.T) {
	s := settled(t)
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Coordinators.EvictAfter = &metav1.Duration{Duration: 20 * time.Second}
	})
	s.settle(10)
	s.lost("cn2", 10)
	s.pause(true)
	s.passes(40)
	s.kubelet.Held = nil
	s.pause(false)
	s.settle(40)
	if n := len(s.operations()); n > 0 {
		t.Errorf("%d operations", n)
	}
}

func TestAPausedClusterCanBeDeleted(t *testing.T) {
	s := settled(t)
	s.counts(3, 2)
	s.until("a coordinator is copied", enoughToScale, func() bool { return s.runs("demo-op1", "Copy") })
	s.pause(true)
	s.passes(2)
	if err := s.api.World.Delete(s.ctx, s.cluster()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.operator.Reconcile(s.ctx, request); err != nil {
		t.Fatal(err)
	}
	if op := s.operationNamed("demo-op1"); op != nil && len(op.Finalizers) > 0 {
		t.Errorf("the operation is still held: %v", op.Finalizers)
	}
}

func TestAStoppedClusterMayBePaused(t *testing.T) {
	s := settled(t)
	s.stop(true)
	s.passes(2)
	s.pause(true)
	s.hands()
	s.passes(10)
	if did := s.hands(); len(did) > 0 {
		t.Fatalf("for a paused cluster the operator did: %v", did)
	}
	s.pause(false)
	s.until("it is stopped", 20, s.isStopped)
	s.pause(true)
	s.passes(3)
	s.expect(v1alpha1.ConditionReady, v1alpha1.ReasonStopped)
	s.stop(false)
	s.passes(3)
	if pods := s.pods(); len(pods) > 0 {
		t.Errorf("a paused cluster was started: %v", pods)
	}
	s.pause(false)
	s.settle(40)
	s.check()
}
