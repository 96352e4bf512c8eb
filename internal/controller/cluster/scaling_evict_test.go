// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// lost takes a coordinator away and lets some time pass.
func (s *scene) lost(node string, passes int) {
	s.kubelet.Held = map[string]bool{"demo-" + node + "-1": true}
	s.deletePod(node)
	for range passes {
		if err := s.pass(); err != nil {
			s.t.Fatalf("%v", err)
		}
	}
}

func TestACoordinatorThatStaysAwayIsEvictedAndAnotherOneMade(t *testing.T) {
	s := settled(t)
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Coordinators.EvictAfter = &metav1.Duration{Duration: 20 * time.Second}
	})
	s.lost("cn2", 10)
	if n := len(s.operations()); n > 0 {
		t.Fatalf("%d operations after ten seconds", n)
	}
	s.settle(2 * enoughToScale)
	s.ended("demo-op1", v1alpha1.OperationCompleted)
	s.has("cn1", "cn3", "dn1", "dn2")
}

func TestACoordinatorWithUndecidedTransactionsIsNotEvicted(t *testing.T) {
	s := settled(t)
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Coordinators.EvictAfter = &metav1.Duration{Duration: 5 * time.Second}
	})
	s.world.Stale["dn2"] = []string{"T4"}
	s.lost("cn2", 90)
	s.ended("demo-op1", v1alpha1.OperationFailed, "cn2 stays registered", "dn2 holds prepared transactions (T4)")
	s.expect(v1alpha1.ConditionProgressing, v1alpha1.ReasonOperationFailed, "cn2 is down and cannot be taken out")
	s.kubelet.Held = nil
	s.world.Stale["dn2"] = nil
	s.settle(enoughToScale)
	s.has("cn1", "cn2", "dn1", "dn2")
}

func TestACoordinatorThatIsAwayStaysWithoutEvictAfter(t *testing.T) {
	s := settled(t)
	s.lost("cn2", 40)
	if n := len(s.operations()); n > 0 {
		t.Errorf("%d operations", n)
	}
}
