// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// evicting lets coordinators that are down for a minute be taken out.
func (s *scene) evicting() {
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Coordinators.EvictAfter = &metav1.Duration{Duration: time.Minute}
	})
}

// While an operation runs no other one does, so that it must not wait for what only another one can bring about.
func TestACoordinatorThatIsLostWhileAnotherNodeComesOrGoesIsEvicted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		coordinators, datanodes int32
		step                    string
		want                    []string
	}{
		"before a lock can be had":      {3, 2, "CreateInstances", []string{"cn2", "cn3", "cn4", "dn1", "dn2"}},
		"while a coordinator is copied": {3, 2, "Copy", []string{"cn2", "cn3", "cn4", "dn1", "dn2"}},
		"while it is registered":        {3, 2, "Register", []string{"cn2", "cn3", "cn4", "dn1", "dn2"}},
		"while rows are moved":          {2, 3, "MoveRows", []string{"cn2", "cn3", "dn1", "dn2", "dn3"}},
		"while a datanode leaves":       {2, 1, "Deregister", []string{"cn2", "cn3", "dn1"}},
		"while rows go off a datanode":  {2, 1, "MoveRows", []string{"cn2", "cn3", "dn1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := settled(t)
			s.evicting()
			s.counts(c.coordinators, c.datanodes)
			s.until("the step "+c.step+" runs", enoughToScale, func() bool { return s.runs("demo-op1", c.step) })
			s.lost("cn1", 1)
			s.settle(10 * enoughToScale)
			s.has(c.want...)
		})
	}
}

func TestALeavingCoordinatorThatIsLostDoesNotHoldTheOthersUp(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"Drain", "Settle"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			s := settled(t)
			s.world.SetSessions("cn2", 3)
			s.world.Undecided["cn2"] = []string{"T9"}
			s.counts(1, 2)
			s.until("the step "+step+" runs", enoughToScale, func() bool { return s.runs("demo-op1", step) })
			s.lost("cn2", 1)
			s.until("the operation has failed", 3*enoughToScale, func() bool {
				return s.operationNamed("demo-op1").Status.Phase == v1alpha1.OperationFailed
			})
			s.ended("demo-op1", v1alpha1.OperationFailed, "cn2", "EvictNodes")
			if s.world.Locked() {
				t.Error("DDL is still kept out")
			}
		})
	}
}

func TestAPodOnALostHostKeepsNoRemovalFromItsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		coordinators, datanodes int32
		want                    []string
	}{"cn2": {1, 2, []string{"cn1 Active", "cn2 Retained", "dn1 Active", "dn2 Active"}}, "dn2": {2, 1, []string{"cn1 Active", "cn2 Active", "dn1 Active", "dn2 Retained"}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := settled(t)
			s.counts(c.coordinators, c.datanodes)
			s.until("it is about to be stopped", enoughToScale, func() bool { return s.runs("demo-op1", "Stop") })
			s.kubelet.Lost = map[string]bool{"demo-" + name + "-1": true}
			s.until("the operation has ended", enoughToScale, func() bool { return s.operationNamed("demo-op1").Status.EndedAt != nil })
			s.ended("demo-op1", v1alpha1.OperationCompleted)
			if got := s.members(); len(got) != 4 || got[1] != c.want[1] || got[3] != c.want[3] {
				t.Errorf("members %v, want %v", got, c.want)
			}
			if refusal := s.world.DDL("gc"); refusal != "" {
				t.Errorf("DDL is refused: %s", refusal)
			}
		})
	}
}

// A new node that is registered everywhere and then loses its volume has nothing that could be kept.
func TestANewNodeThatLosesItsVolumeIsMadeAnew(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"Start", "Register", "Verify", "Keep"} {
		for node, counts := range map[string][2]int32{"cn3": {3, 2}, "dn3": {2, 3}} {
			t.Run(step+"/"+node, func(t *testing.T) {
				t.Parallel()
				s := settled(t)
				s.counts(counts[0], counts[1])
				s.until("the step "+step+" runs", enoughToScale, func() bool { return s.runs("demo-op1", step) })
				claim := &corev1.PersistentVolumeClaim{}
				if err := s.api.World.Get(s.ctx, types.NamespacedName{Namespace: "ns", Name: "demo-" + node + "-1"}, claim); err != nil {
					t.Fatal(err)
				}
				if err := s.api.World.Delete(s.ctx, claim); err != nil {
					t.Fatal(err)
				}
				s.deletePod(node)
				s.settle(3 * enoughToScale)
				s.ended("demo-op1", v1alpha1.OperationCompleted)
				if node == "cn3" {
					s.has("cn1", "cn2", "cn3", "dn1", "dn2")
				} else {
					s.has("cn1", "cn2", "dn1", "dn2", "dn3")
				}
			})
		}
	}
}

// Every step of a removal survives that a server is killed, a pod is deleted, or an instance cannot be reached. Of all ways
// and all nodes each step sees one: all of them passed when they were tried.
func TestARemovalIsCompletedWhateverIsDisturbedAtItsSteps(t *testing.T) {
	t.Parallel()
	n := 0
	for _, c := range []struct {
		coordinators, datanodes int32
		leaving, steps          string
	}{
		{1, 2, "cn2", "Drain LockDDL Settle Deregister Stop UnlockDDL Retain"},
		{2, 1, "dn2", "Check MovePrimary MoveRows LockDDL ProveEmpty Deregister Stop UnlockDDL Retain"},
	} {
		for _, step := range strings.Fields(c.steps) {
			victim, how := []string{"gc", "cn1", c.leaving, "dn1"}[n%4], []string{"kill", "pod", "hide"}[n%3]
			n++
			t.Run(c.leaving+"/"+step+"/"+victim+"/"+how, func(t *testing.T) {
				t.Parallel()
				s := settled(t)
				s.world.SetSessions("cn2", 3)
				s.counts(c.coordinators, c.datanodes)
				s.until("the step "+step+" runs", enoughToScale, func() bool { return s.runs("demo-op1", step) })
				switch how {
				case "kill":
					s.world.Kill(victim)
				case "pod":
					s.deletePod(victim)
				default:
					s.world.Hide(victim, 20)
				}
				s.settle(3 * enoughToScale)
				s.ended("demo-op1", v1alpha1.OperationCompleted)
				s.complete()
			})
		}
	}
}
