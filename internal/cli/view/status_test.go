// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func healthy(name, role string) v1alpha1.NodeStatus {
	return v1alpha1.NodeStatus{
		Name: name, Role: role, Address: "demo-" + name + "-h.prod.svc", ClusterIP: "10.96.0.7", Primary: "demo-" + name + "-1",
		Instances: []v1alpha1.InstanceStatus{{
			Name: "demo-" + name + "-1", Role: "primary", Ready: true, Serving: true, State: "Running", Host: "worker-2", PodIP: "10.244.1.9",
			Volumes: []v1alpha1.VolumeStatus{{Name: "demo-" + name + "-1", Requested: "10Gi"}},
		}},
	}
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: *ago(90 * time.Second)}
}

func settled() *v1alpha1.AntDBCluster {
	c := &v1alpha1.AntDBCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "demo", CreationTimestamp: *ago(75 * time.Hour)}}
	c.Spec.Coordinators.Count, c.Spec.Datanodes.Count = 2, 3
	c.Status = v1alpha1.AntDBClusterStatus{
		Phase: "Ready", ReadyNodes: "6/6", Topology: v1alpha1.TopologyStatus{SyncedOn: []string{"gc", "cn1", "cn2"}},
		Conditions: []metav1.Condition{
			condition(v1alpha1.ConditionProgressing, "False", v1alpha1.ReasonStable, "nothing is being changed"),
			condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonAllNodesServe, "all 6 nodes serve"),
		},
		Nodes: []v1alpha1.NodeStatus{
			healthy("gc", "gtm"), healthy("cn1", "coordinator"), healthy("cn2", "coordinator"),
			healthy("dn1", "datanode"), healthy("dn2", "datanode"), healthy("dn3", "datanode"),
		},
	}
	for _, n := range c.Status.Nodes {
		c.Status.Members = append(c.Status.Members, v1alpha1.MemberStatus{Name: n.Name, State: v1alpha1.MemberActive})
	}
	return c
}

func TestAHealthyClusterIsShort(t *testing.T) {
	golden(t, "status", func(s view.Style) string { return view.Cluster(s, settled(), nil, false) })
	golden(t, "status-verbose", func(s view.Style) string { return view.Cluster(s, settled(), nil, true) })
}

func TestTroubleIsUnfoldedWithTheNextThingToDo(t *testing.T) {
	c := settled()
	c.Generation, c.Status.ObservedGeneration = 4, 3
	c.Status.Phase, c.Status.ReadyNodes = "Degraded", "5/7"
	c.Status.Nodes[4].Instances[0] = v1alpha1.InstanceStatus{
		Name: "demo-dn2-1", Role: "primary", State: "Pending",
		Message: "its pod cannot be scheduled: 0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available: 3 No preemption victims found",
	}
	c.Status.Nodes[2].Instances[0].PendingRestart = []string{"max_connections"}
	c.Status.Nodes = append(c.Status.Nodes, healthy("dn4", "datanode"))
	c.Status.Members = append(c.Status.Members, v1alpha1.MemberStatus{Name: "dn4", State: v1alpha1.MemberJoining},
		v1alpha1.MemberStatus{Name: "cn3", State: v1alpha1.MemberRetained, RetainUntil: ago(-23 * time.Hour)})
	c.Status.Conditions[0] = condition(v1alpha1.ConditionProgressing, "True", v1alpha1.ReasonRestartBlocked, "cn2 is due (changed: max_connections), but dn2 does not serve: its pod cannot be scheduled")
	c.Status.Conditions[1] = condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonNodesNotServing, "dn2: its pod cannot be scheduled")
	golden(t, "status-trouble", func(s view.Style) string {
		return view.Cluster(s, c, []v1alpha1.AntDBOperation{growing(), some()[2]}, false)
	})
}

func TestClustersAreLinesAndATotal(t *testing.T) {
	other := settled()
	other.Namespace, other.Name, other.Status.Phase, other.Status.ReadyNodes = "test", "orders", "GTMWaiting", "5/6"
	other.Status.Conditions[1] = condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonNodesNotServing, "gc was started without cn2 and hands out no snapshots, so every statement of the cluster waits")
	golden(t, "clusters", func(s view.Style) string {
		return view.Clusters(s, []v1alpha1.AntDBCluster{*settled(), *other})
	})
}

// BenchmarkStatus draws a cluster of 1+8+16.
func BenchmarkStatus(b *testing.B) {
	c := settled()
	c.Status.Nodes = slices.Clone(c.Status.Nodes[:1])
	for i := range 8 {
		c.Status.Nodes = append(c.Status.Nodes, healthy(fmt.Sprintf("cn%d", i+1), "coordinator"))
	}
	for i := range 16 {
		c.Status.Nodes = append(c.Status.Nodes, healthy(fmt.Sprintf("dn%d", i+1), "datanode"))
	}
	for b.Loop() {
		view.Cluster(style(), c, nil, true)
	}
}
