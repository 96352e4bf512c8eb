// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

func (s *scene) reloadIsDone() bool { return s.answered(v1alpha1.AnnotationReload) }

func TestEveryInstanceReloadsOnRequestAndTheStatusSaysSo(t *testing.T) {
	s := settled(t)
	s.world.Unloadable = map[string]string{"cn2": "the disk is full"}
	s.request(v1alpha1.AnnotationReload, "r1")
	s.until("everybody has reloaded", 10, s.reloadIsDone)
	for _, n := range s.cluster().Status.Nodes {
		i, failure := n.Instances[0], ""
		if n.Name == "cn2" {
			failure = "the disk is full"
		}
		if i.ReloadedFor != "r1" || i.ReloadError != failure {
			t.Errorf("%s: reloaded for %q, error %q", n.Name, i.ReloadedFor, i.ReloadError)
		}
	}
	if n := s.events.count(v1alpha1.EventReloadFailed); n != 1 {
		t.Errorf("the failure was told %d times", n)
	}
	s.world.Unloadable = nil
	s.request(v1alpha1.AnnotationReload, "r2/dn1,cn2")
	s.until("the named ones have reloaded", 10, s.reloadIsDone)
	s.settle(5)
	for _, n := range s.cluster().Status.Nodes {
		want := "r1"
		if n.Name == "dn1" || n.Name == "cn2" {
			want = "r2"
		}
		if i := n.Instances[0]; i.ReloadedFor != want || i.ReloadError != "" {
			t.Errorf("%s: reloaded for %q, error %q", n.Name, i.ReloadedFor, i.ReloadError)
		}
	}
	if n := s.events.count(v1alpha1.EventReloaded); n != 2 {
		t.Errorf("it was told %d times", n)
	}
	if n := s.events.count(v1alpha1.EventRestarting) + s.events.count(v1alpha1.EventPodReplaced); n > 0 {
		t.Errorf("%d restarts", n)
	}
	s.check()
}

func TestAReloadWaitsForWhoeverIsAwayAndHoldsNobodyElseUp(t *testing.T) {
	s := settled(t)
	s.lost("dn2", 3)
	s.request(v1alpha1.AnnotationReload, "r1")
	s.passes(5)
	s.expect(v1alpha1.ConditionProgressing, v1alpha1.ReasonRequested, "to do: dn2 (")
	for _, n := range s.cluster().Status.Nodes {
		if got := n.Instances[0].ReloadedFor; (got == "r1") != (n.Name != "dn2") {
			t.Errorf("%s reloaded for %q", n.Name, got)
		}
	}
	s.kubelet.Held = nil
	s.settle(30)
	if !s.reloadIsDone() {
		t.Error("the request stands")
	}
}

func TestTheOperatorMayBeKilledBetweenAnyTwoWritesOfAReload(t *testing.T) {
	for writes := range 3 {
		s := settled(t)
		s.request(v1alpha1.AnnotationReload, "r1")
		for range 6 {
			s.killedAfter(writes)
		}
		s.until("everybody has reloaded", 10, s.reloadIsDone)
		s.settle(5)
		for _, n := range s.cluster().Status.Nodes {
			if n.Instances[0].ReloadedFor != "r1" {
				t.Errorf("%d writes: %s reloaded for %q", writes, n.Name, n.Instances[0].ReloadedFor)
			}
		}
	}
}

func TestARequestToReloadThatIsNotAllowedIsTold(t *testing.T) {
	s := settled(t)
	s.request(v1alpha1.AnnotationReload, "/")
	s.until("it is answered", 5, s.reloadIsDone)
	if all := strings.Join(s.events.last(5), "\n"); !strings.Contains(all, "Warning RequestRefused: annotation antdb.io/reload") {
		t.Errorf("told:\n%s", all)
	}
}
