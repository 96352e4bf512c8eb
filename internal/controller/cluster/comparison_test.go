// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

func (s *scene) comparisonIsDone() bool { return s.answered(v1alpha1.AnnotationTopologySync) }

func TestCatalogsAreComparedOnRequestAndTheStatusSaysSo(t *testing.T) {
	s := settled(t)
	s.request(v1alpha1.AnnotationTopologySync, "s1")
	s.until("catalogs are compared", 10, s.comparisonIsDone)
	for _, n := range s.cluster().Status.Nodes {
		want := ""
		if n.Role == "gtm" || n.Role == "coordinator" {
			want = "s1"
		}
		if i := n.Instances[0]; i.TopologySyncedFor != want || len(i.TopologyRepaired) > 0 {
			t.Errorf("%s (%s): compared for %q, repaired %q", n.Name, n.Role, i.TopologySyncedFor, i.TopologyRepaired)
		}
	}
	if all := strings.Join(s.events.last(2), "\n"); !strings.Contains(all, "compared their node catalogs, as asked (s1); nothing differed") {
		t.Errorf("told:\n%s", all)
	}
	s.settle(5)
	s.check()
}

func TestAComparisonWaitsForWhoeverIsAway(t *testing.T) {
	s := settled(t)
	s.lost("cn2", 3)
	s.request(v1alpha1.AnnotationTopologySync, "s1")
	s.passes(5)
	s.expect(v1alpha1.ConditionProgressing, v1alpha1.ReasonRequested, "to do: cn2 (")
	s.kubelet.Held = nil
	s.settle(30)
	if !s.comparisonIsDone() {
		t.Error("the request stands")
	}
}

func TestDatanodesHaveNoCatalogToCompare(t *testing.T) {
	s := settled(t)
	s.request(v1alpha1.AnnotationTopologySync, "s1/dn1")
	s.until("it is answered", 5, s.comparisonIsDone)
	if all := strings.Join(s.events.last(5), "\n"); !strings.Contains(all, "dn1 is a datanode: only gc and coordinators hold the node catalog") {
		t.Errorf("told:\n%s", all)
	}
}
