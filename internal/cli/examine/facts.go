// SPDX-License-Identifier: Apache-2.0

// Package examine judges what was found out about a cluster: whether it works, whether its catalogs agree, and what is
// wrong with it, why, and what to do.
//
// It is pure: what it says follows from the facts that it is given. It asks nobody.
package examine

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Facts are what is known of a cluster at one moment.
type Facts struct {
	Now     time.Time
	Cluster *v1alpha1.AntDBCluster
	// Pods by name, Claims and Events of the cluster's namespace, as far as they concern the cluster.
	Pods   map[string]*corev1.Pod
	Claims []corev1.PersistentVolumeClaim
	Events []corev1.Event
	// Hosts of pods that do not serve, by name.
	Hosts map[string]*corev1.Node
	// Probes by node.
	Probes map[string]Probed
	// Unknown is what could not be read, and why: somebody without a right sees less.
	Unknown []string
}

// Halted tells that a cluster is stopped or about to be: Stopped or Stopping; empty otherwise.
func Halted(c *v1alpha1.AntDBCluster) string {
	d := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
	if d != nil && (d.Reason == v1alpha1.ReasonStopped || d.Reason == v1alpha1.ReasonStopping) {
		return d.Reason
	}
	return ""
}

// Probed is what an instance told of itself, or why it did not.
type Probed struct {
	instanceapi.Probe
	Err string
	// AskedFor are addresses that this one was asked to try, with what they are.
	AskedFor []Address
}

// Address is a Service that is tried.
type Address struct {
	Service, HostPort string
}

// answers tells whether statements come back on a node.
func (f *Facts) answers(node string) bool {
	p, ok := f.Probes[node]
	return ok && p.Err == "" && p.SQL.Error == "" && !p.SQL.Left
}

// nodes are the names of the nodes in their order, of all roles or of some. Those that join are not part of the cluster
// yet.
func (f *Facts) nodes(roles ...antdb.Role) []string {
	var out []string
	for _, n := range f.Cluster.Status.Nodes {
		if (len(roles) == 0 || slices.Contains(roles, antdb.Role(n.Role))) && !f.joining(n.Name) {
			out = append(out, n.Name)
		}
	}
	return out
}

func (f *Facts) joining(node string) bool {
	return slices.ContainsFunc(f.Cluster.Status.Members, func(m v1alpha1.MemberStatus) bool {
		return m.Name == node && m.State == v1alpha1.MemberJoining
	})
}

// holders are the nodes that hold a catalog.
func (f *Facts) holders() []string { return f.nodes(antdb.RoleGTM, antdb.RoleCoordinator) }

// instance is the primary instance of a node.
func (f *Facts) instance(node string) *v1alpha1.InstanceStatus {
	for i := range f.Cluster.Status.Nodes {
		n := &f.Cluster.Status.Nodes[i]
		if n.Name != node {
			continue
		}
		for j := range n.Instances {
			if n.Instances[j].Name == n.Primary {
				return &n.Instances[j]
			}
		}
	}
	return nil
}

// pod is the pod of a node's primary instance; nil if there is none.
func (f *Facts) pod(node string) *corev1.Pod {
	if i := f.instance(node); i != nil {
		return f.Pods[i.Name]
	}
	return nil
}
