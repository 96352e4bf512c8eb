// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/render"
)

// dead tells whether the server of a node does not run, as far as can be known: one whose instance gives no answer is dead
// when Kubernetes has not found its pod ready either, which it does some time after the pod's host was lost.
func (n *node) dead() bool { return !n.running() && (n.pod == nil || !PodReady(n.pod)) }

// noteDown writes down since when a coordinator is down, where that matters, and forgets it when it is back. The time in
// which the cluster is stopped does not count, nor that in which it starts, before gc goes on without who is missing.
func (p *planner) noteDown(m v1alpha1.MemberStatus, n *node, now metav1.Time) v1alpha1.MemberStatus {
	stopped := p.halts() || p.starting() && !p.node(antdb.GTMNode).serving()
	counts := p.want.EvictAfter != nil && p.once() && !stopped && n != nil && n.Role == antdb.RoleCoordinator && m.State == v1alpha1.MemberActive
	switch {
	case !counts || !n.dead():
		m.DownSince = nil
	case m.DownSince == nil:
		m.DownSince = &now
		p.again(int64(p.want.EvictAfter.Duration.Seconds()) + 1)
	}
	return m
}

// overdue is a coordinator that has been down for too long; seconds is when to look again if there is none, 0 for never.
func (p *planner) overdue(now metav1.Time) (name string, seconds int64) {
	if p.want.EvictAfter == nil {
		return "", 0
	}
	for _, m := range p.plan.Status.Members {
		if m.DownSince == nil {
			continue
		}
		left := p.want.EvictAfter.Duration - now.Sub(m.DownSince.Time)
		if left <= 0 {
			return m.Name, 0
		}
		if s := int64(left.Seconds()) + 1; seconds == 0 || s < seconds {
			seconds = s
		}
	}
	return "", seconds
}

// evict makes an operation that takes out a coordinator which has been down for too long.
func (p *planner) evict(now metav1.Time) bool {
	name, seconds := p.overdue(now)
	if name == "" {
		if seconds > 0 {
			p.again(seconds)
		}
		return false
	}
	why, seconds := operation.AgainToEvict(p.snap.Operations, p.want, now)
	if why != "" {
		p.stuck = fmt.Sprintf("%s is down and cannot be taken out: %s", name, why)
		if seconds > 0 {
			p.again(seconds)
		}
		return false
	}
	s := v1alpha1.AntDBOperationSpec{Cluster: p.want.Name, Type: v1alpha1.OperationEvictNodes, Nodes: []string{name}}
	if refusal := operation.Refusal(&v1alpha1.AntDBOperation{Spec: s}, p.want, p.plan.Status.Members); refusal != "" {
		p.stuck = fmt.Sprintf("%s is down and cannot be taken out: %s", name, refusal)
		return false
	}
	p.act(CreateOperation{Operation: render.Operation(p.want, s, operation.Serial(p.snap.Operations, p.want.Name))})
	p.progressing(v1alpha1.ReasonOperating, "%s has been down for more than %s and is taken out", name, p.want.EvictAfter.Duration)
	p.again(lookSoon)
	return true
}

// upAgain names one of the nodes that runs.
func (p *planner) upAgain(nodes []string) string {
	for _, name := range nodes {
		if n := p.node(name); n != nil && !n.dead() {
			return name
		}
	}
	return ""
}

// unfitWithout tells why nodes that are down cannot be taken out now: all others must serve, so that every catalog can be
// changed and every datanode can be asked.
func (p *planner) unfitWithout(nodes []string) string {
	for i := range p.nodes {
		if n := &p.nodes[i]; n.Counts() && !slices.Contains(nodes, n.Name) && !n.serving() {
			return n.Name + " does not serve: " + n.why()
		}
	}
	return ""
}
