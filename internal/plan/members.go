// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// members keeps the list of nodes that exist, as far as no operation does: the first ones are written down, those that an
// operation left half-way are put right, and those whose volumes have been kept long enough are forgotten.
func (p *planner) members(now metav1.Time) {
	p.operating = operation.Active(p.snap.Operations)
	all := p.snap.Status.Members
	if len(all) == 0 {
		for i := range p.nodes {
			if n := &p.nodes[i]; n.Role != antdb.RoleGTM {
				all = append(all, v1alpha1.MemberStatus{Name: n.Name, State: n.State, Joined: n.Joined})
			}
		}
	}
	p.plan.Status.Members = nil
	for _, m := range spec.Sorted(all) {
		concerned := p.operating != nil && slices.Contains(p.operating.Spec.Nodes, m.Name)
		switch n := p.node(m.Name); {
		case m.State == v1alpha1.MemberRetained:
			if !p.retained(m, now) {
				continue
			}
		case m.State == v1alpha1.MemberJoining && !concerned && n != nil && !p.exists(n) && len(p.claimsOf(m.Name)) == 0:
			continue
		case m.State == v1alpha1.MemberLeaving && !concerned:
			m.State = v1alpha1.MemberActive
		}
		p.plan.Status.Members = append(p.plan.Status.Members, p.noteDown(m, p.node(m.Name), now))
	}
}

// retained keeps the volumes of a node that left until their time is over; false says that they are gone.
func (p *planner) retained(m v1alpha1.MemberStatus, now metav1.Time) bool {
	claims := p.claimsOf(m.Name)
	if len(claims) == 0 {
		p.event(false, v1alpha1.EventNodeForgotten, "%s: its volumes are gone, and its name is free", m.Name)
		return false
	}
	over := m.RetainUntil == nil || !now.Before(m.RetainUntil)
	for _, c := range claims {
		switch until := retainUntil(m); {
		case c.DeletionTimestamp != nil:
		case over:
			p.act(DeleteClaim{Claim: c.Name, UID: string(c.UID), Why: m.Name + " left the cluster, and its volumes have been kept long enough"})
		case c.Annotations[naming.AnnotationRetainUntil] != until:
			p.act(MarkClaim{Claim: c.Name, Until: until})
		}
	}
	if !over {
		p.again(int64(m.RetainUntil.Sub(now.Time).Seconds()) + 1)
	}
	return true
}

func retainUntil(m v1alpha1.MemberStatus) string {
	if m.RetainUntil == nil {
		return ""
	}
	text, err := m.RetainUntil.MarshalQueryParameter()
	if err != nil { // a time always marshals
		panic(err)
	}
	return text
}

// claimsOf are the claims of a node, whether it is a member or not.
func (p *planner) claimsOf(node string) []*corev1.PersistentVolumeClaim {
	var out []*corev1.PersistentVolumeClaim
	for i := range p.snap.Claims {
		if c := &p.snap.Claims[i]; c.Labels[naming.LabelNode] == node && c.Annotations[naming.AnnotationClusterUID] == p.want.UID {
			out = append(out, c)
		}
	}
	return out
}

// exists tells whether a pod or a Service of the node is there.
func (p *planner) exists(n *node) bool {
	return n.pod != nil || p.service(naming.NodeService(p.want.Name, n.Name)) != nil || p.service(naming.HeadlessService(p.want.Name, n.Name)) != nil
}

// service is a Service of this cluster; nil if there is none of that name.
func (p *planner) service(name string) *corev1.Service {
	for i := range p.snap.Services {
		if s := &p.snap.Services[i]; s.Name == name && p.ours(s) {
			return s
		}
	}
	return nil
}

// remnants takes away what belongs to nodes that are stopped, discarded, or no members any more: pods and Services, and
// volumes of nodes that never were part of the cluster. Other volumes are left alone.
func (p *planner) remnants() {
	for i := range p.snap.Pods {
		pod := &p.snap.Pods[i]
		if name := pod.Labels[naming.LabelNode]; pod.DeletionTimestamp == nil && p.ours(pod) && p.gone(name) {
			p.act(DeletePod{Pod: pod.Name, UID: string(pod.UID), Why: name + " is not part of the cluster"})
		}
	}
	for i := range p.snap.Services {
		s := &p.snap.Services[i]
		if p.ours(s) && s.DeletionTimestamp == nil && p.gone(s.Labels[naming.LabelNode]) {
			p.act(DeleteService{Service: s.Name, UID: string(s.UID)})
		}
	}
	for i := range p.snap.Claims {
		c := &p.snap.Claims[i]
		name := c.Labels[naming.LabelNode]
		n := p.node(name)
		joining := c.Annotations[naming.AnnotationMember] == string(v1alpha1.MemberJoining)
		if c.DeletionTimestamp == nil && c.Annotations[naming.AnnotationClusterUID] == p.want.UID && joining && (n == nil || n.Discarded) {
			p.act(DeleteClaim{Claim: c.Name, UID: string(c.UID), Why: name + " never became part of the cluster"})
		}
	}
}

// gone tells whether nothing of a node shall run.
func (p *planner) gone(name string) bool {
	if name == "" {
		return false
	}
	n := p.node(name)
	return n == nil || !n.Runs()
}

// taken are names that no member has but that a volume of this or of another cluster occupies.
func (p *planner) taken() []string {
	var out []string
	for i := range p.snap.Claims {
		if name := p.snap.Claims[i].Labels[naming.LabelNode]; name != "" && !strings.HasPrefix(name, antdb.GTMNode) {
			out = append(out, name)
		}
	}
	return out
}
