// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/testkit/apiserver"
)

// stop sets spec.stopped, or takes it back.
func (s *scene) stop(stopped bool) {
	if s.cluster().Spec.Stopped != stopped {
		s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Stopped = stopped })
	}
}

// stops tells whether the operator may take pods away since the cluster is stopped.
func (s *scene) stops() bool {
	c := s.cluster()
	return (c.Spec.Stopped || c.Status.Phase == "Stopping") && operation.Active(s.operations()) == nil
}

// inTurn judges that a pod is taken away: those of coordinators first, then those of datanodes, then gc's. A cache that is
// behind does not know who is there.
func (s *scene) inTurn(pod *corev1.Pod) {
	turn := []string{"coordinator", "datanode", "gtm"}
	for name := range s.pods() {
		node, _, err := naming.ParseInstance("demo", name)
		if err != nil {
			s.t.Errorf("%v", err)
		}
		if other := s.pod(node); slices.Index(turn, other.Labels[naming.LabelRole]) < slices.Index(turn, pod.Labels[naming.LabelRole]) && !s.api.Frozen() {
			s.t.Errorf("%s is taken away while there is %s", pod.Name, name)
		}
	}
}

// isStopped tells that the status says so of the newest spec.
func (s *scene) isStopped() bool {
	c := s.cluster()
	_, reason, _ := s.condition(v1alpha1.ConditionReady)
	return reason == v1alpha1.ReasonStopped && c.Status.ObservedGeneration == c.Generation
}

// volumes are the UIDs of all claims.
func (s *scene) volumes() map[string]types.UID {
	all := &corev1.PersistentVolumeClaimList{}
	if err := s.api.World.List(s.ctx, all); err != nil {
		s.t.Fatalf("%v", err)
	}
	out := map[string]types.UID{}
	for _, c := range all.Items {
		out[c.Name] = c.UID
	}
	return out
}

func TestAClusterIsStoppedInOrderAndStartedWithAllThatItHad(t *testing.T) {
	s := settled(t)
	volumes, pods := s.volumes(), s.pods()
	s.stop(true)
	s.until("the cluster is stopped", 30, s.isStopped)
	if left := s.pods(); len(left) > 0 {
		t.Fatalf("pods of a stopped cluster: %v", left)
	}
	s.api.Writes()
	s.restartOperator()
	s.passes(5)
	if writes := s.api.Writes(); len(writes) > 0 {
		t.Errorf("written for a stopped cluster: %v", writes)
	}
	s.stop(false)
	s.settle(40)
	s.check()
	if d := cmp.Diff(volumes, s.volumes()); d != "" {
		t.Errorf("volumes (-before +after):\n%s", d)
	}
	for name, uid := range s.pods() {
		if uid == pods[name] {
			t.Errorf("pod %s was never taken away", name)
		}
	}
	told := map[string]int{v1alpha1.EventStopping: 3, v1alpha1.EventStopped: 1, v1alpha1.EventStarting: 1, v1alpha1.EventReady: 2}
	for _, reason := range []string{v1alpha1.EventNotReady, v1alpha1.EventNodeRestarted, v1alpha1.EventPodCreated, v1alpha1.ReasonGTMWaitsForNodes, v1alpha1.EventTopologyDrift} {
		told[reason] = 0
	}
	for reason, n := range told {
		if got := s.events.count(reason); got != n {
			t.Errorf("the event %s was told %d times, not %d", reason, got, n)
		}
	}
}

// killedAfter lets the operator carry out so many writes of a pass, and ends it.
func (s *scene) killedAfter(writes int) (reached bool) {
	n := 0
	s.api.Refuse = func(apiserver.Write) error {
		if n++; n > writes {
			reached = true
			return errors.New("the operator is gone")
		}
		return nil
	}
	_ = s.pass() // it fails where the operator was killed
	s.api.Refuse = nil
	s.restartOperator()
	return reached
}

func TestTheOperatorMayBeKilledBetweenAnyTwoWritesOfAStopAndOfAStart(t *testing.T) {
	begin := settled(t)
	for _, from := range []string{"running", "coordinators gone", "datanodes gone", "stopped"} {
		at := begin.clone(t.Context(), t)
		at.stop(true)
		at.until(from, 20, func() bool {
			switch from {
			case "running":
				return true
			case "coordinators gone":
				return at.pod("cn1") == nil && at.pod("cn2") == nil
			case "datanodes gone":
				return at.pod("dn1") == nil && at.pod("dn2") == nil
			default:
				return at.isStopped()
			}
		})
		at.stop(from != "stopped")
		for writes := 0; ; writes++ {
			s := at.clone(t.Context(), t)
			reached := s.killedAfter(writes)
			s.until(fmt.Sprintf("%s, %d writes: it is stopped", from, writes), 30, func() bool { return from == "stopped" || s.isStopped() })
			s.stop(false)
			s.settle(40)
			s.check()
			if !reached {
				break
			}
		}
	}
}

func TestAClusterIsStoppedWhileItIsBeingCreated(t *testing.T) {
	for passes := range 12 {
		s := newScene(t.Context(), t, small)
		s.passes(passes)
		s.stop(true)
		s.until(fmt.Sprintf("it is stopped after %d passes", passes), 20, s.isStopped)
		s.stop(false)
		s.settle(40)
		s.check()
	}
}

func TestAStopTakenBackInTheMiddleLeavesACompleteCluster(t *testing.T) {
	for passes := range 8 {
		s := settled(t)
		s.stop(true)
		s.passes(passes)
		s.stop(false)
		s.settle(40)
		s.check()
	}
}

func TestAStopWaitsForTheOperationThatRunsAndHoldsTheNextOneBack(t *testing.T) {
	s := settled(t)
	s.counts(3, 2)
	s.until("a coordinator is copied", enoughToScale, func() bool { return s.runs("demo-op1", "Copy") })
	s.ask("later", v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRebalance})
	s.stop(true)
	s.until("it waits", 5, func() bool {
		_, reason, message := s.condition(v1alpha1.ConditionProgressing)
		return reason == v1alpha1.ReasonStopPending && strings.Contains(message, "demo-op1")
	})
	s.until("it is stopped", enoughToScale, s.isStopped)
	s.ended("demo-op1", v1alpha1.OperationCompleted)
	s.passes(5)
	if op := s.operationNamed("later"); op.Status.Phase != v1alpha1.OperationPending || !strings.Contains(op.Status.Message, "until the cluster is started") {
		t.Errorf("the next operation is %s: %s", op.Status.Phase, op.Status.Message)
	}
	s.stop(false)
	s.settle(2 * enoughToScale)
	s.ended("later", v1alpha1.OperationCompleted)
	s.has("cn1", "cn2", "cn3", "dn1", "dn2")
}

func TestNobodyIsEvictedForTheTimeInWhichTheClusterWasStopped(t *testing.T) {
	s := settled(t)
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Coordinators.EvictAfter = &metav1.Duration{Duration: 10 * time.Second}
	})
	s.settle(10)
	s.stop(true)
	s.until("it is stopped", 30, s.isStopped)
	s.passes(40)
	s.kubelet.Held = map[string]bool{"demo-cn2-1": true} // its host is slow to come
	s.stop(false)
	s.passes(30)
	s.kubelet.Held = nil
	s.settle(40)
	if n := len(s.operations()); n > 0 {
		t.Errorf("%d operations: %s", n, s)
	}
}
