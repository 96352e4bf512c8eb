// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// refuseRequests tells of requests that are not allowed, and forgets them.
func (p *planner) refuseRequests() {
	for _, r := range []*spec.Request{p.want.Restart} {
		if r != nil && r.Wrong != "" {
			p.act(ForgetRequest{Annotation: r.Annotation, Value: r.Value})
			p.plan.Events = append(p.plan.Events, Event{Warning: true, Reason: v1alpha1.EventRequestRefused, Message: r.Wrong, Done: true})
		}
	}
}

// forRequest comes before the id of the request that a restart serves, at the end of its token.
const forRequest = "#"

// restartedFor tells whether the server of a node was restarted for a request, or its pod was made for it.
func (n *node) restartedFor(id string) bool {
	return n.pod != nil && n.pod.DeletionTimestamp == nil && n.pod.Annotations[naming.AnnotationRestartedFor] == id ||
		n.status != nil && strings.HasSuffix(n.status.RestartedFor, forRequest+id)
}

// asked tells whether the user asked for a restart of a node that has not been done. What was written down once stays.
func (p *planner) asked(n *node) bool {
	r := p.want.Restart
	return r.Asks(n.Name) && !n.restartedFor(r.ID) && p.before(n).RestartedFor != r.ID
}

// lastRestart is the request for which the server of a node was restarted last.
func (p *planner) lastRestart(n *node) string {
	if r := p.want.Restart; r.Asks(n.Name) && n.restartedFor(r.ID) {
		return r.ID
	}
	return p.before(n).RestartedFor
}

// before is what the last status says of the instance of a node.
func (p *planner) before(n *node) v1alpha1.InstanceStatus {
	for _, s := range p.snap.Status.Nodes {
		for _, i := range s.Instances {
			if i.Name == n.instance {
				return i
			}
		}
	}
	return v1alpha1.InstanceStatus{}
}

// askedRestarts are the nodes that are left of a request to restart. When there is none any more, and the status says so of
// each, the request is forgotten: whoever waits for its end finds there what was done.
func (p *planner) askedRestarts() []string {
	r := p.want.Restart
	if r == nil || r.Wrong != "" {
		return nil
	}
	var left []string
	told := true
	for i := range p.nodes {
		n := &p.nodes[i]
		if !r.Asks(n.Name) || n.State == v1alpha1.MemberJoining && len(r.Nodes) == 0 {
			continue
		}
		switch {
		case p.asked(n) && !n.serving():
			left = append(left, n.Name+" ("+n.why()+")")
		case p.asked(n):
			left = append(left, n.Name)
		}
		told = told && p.before(n).RestartedFor == r.ID
	}
	switch {
	case len(left) > 0:
	case told:
		p.act(ForgetRequest{Annotation: r.Annotation, Value: r.Value})
	default:
		p.again(lookSoon)
	}
	return left
}
