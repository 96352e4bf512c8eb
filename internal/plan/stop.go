// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/operation"
)

// stages are the roles in the order in which their pods are taken away: applications go first, and gc last, which all
// others need to end in order.
var stages = []antdb.Role{antdb.RoleCoordinator, antdb.RoleDatanode, antdb.RoleGTM}

// halts tells whether the pods are taken away, or are gone: nothing is under way any more that must end first.
func (p *planner) halts() bool { return p.want.Stopped && operation.Active(p.snap.Operations) == nil }

// starting tells whether the cluster was stopped and has not been Ready since. One that was never Ready is being created.
func (p *planner) starting() bool {
	l := conditionOf(p.snap.Status.Conditions, v1alpha1.ConditionReady)
	return !p.want.Stopped && p.once() && (l.is(v1alpha1.ReasonStopping) || l.is(v1alpha1.ReasonStopped) || l.is(v1alpha1.ReasonStarting))
}

// halt takes the pods of one role away, all at once, when those of the role before are gone. A disruption budget has no
// say in that.
func (p *planner) halt() {
	for i, role := range stages {
		all, left := p.instances(role)
		if len(left) == 0 {
			continue
		}
		for _, n := range left {
			if n.pod.DeletionTimestamp == nil {
				p.act(DeletePod{Pod: n.instance, UID: string(n.pod.UID), Why: "the cluster is stopped"})
			}
		}
		turns := []string{"stopping " + several(role)}
		if role != antdb.RoleGTM {
			turns[0] += " (" + list(all) + ")"
		}
		for _, next := range stages[i+1:] {
			turns = append(turns, several(next))
		}
		p.progressing(v1alpha1.ReasonStopping, "%s", strings.Join(turns, ", then "))
		return
	}
}

// instances are the nodes of a role that shall run while the cluster does, and those of them that have a pod.
func (p *planner) instances(role antdb.Role) (all []string, left []*node) {
	for i := range p.nodes {
		n := &p.nodes[i]
		if n.Role != role || !n.Runs() {
			continue
		}
		all = append(all, n.Name)
		if n.pod != nil && p.ours(n.pod) {
			left = append(left, n)
		}
	}
	return all, left
}

func several(role antdb.Role) string {
	if role == antdb.RoleGTM {
		return antdb.GTMNode
	}
	return string(role) + "s"
}

// stopped is the condition Ready of a cluster that is stopped or about to be.
func (p *planner) stopped() (c condition, is bool) {
	if !p.halts() {
		return condition{}, false
	}
	var names []string
	for _, role := range stages {
		_, left := p.instances(role)
		for _, n := range left {
			names = append(names, n.Name)
		}
	}
	switch {
	case len(names) > 0 && p.want.Paused:
		return condition{}, false
	case len(names) > 0:
		return no(v1alpha1.ReasonStopping, "the cluster is being stopped; there are still the pods of %s", strings.Join(names, ", ")), true
	}
	return no(v1alpha1.ReasonStopped, "the cluster is stopped, as spec.stopped says; its volumes, Services and Secrets are kept"), true
}

// silence takes the words out of conditions that only running servers can tell of.
func silence(all map[string]condition, ready condition) {
	for _, kind := range []string{v1alpha1.ConditionTopologySynced, v1alpha1.ConditionGTMAvailable, v1alpha1.ConditionConfigurationApplied} {
		all[kind] = no(ready.reason, "the condition Ready tells why no server is asked")
	}
}

// tellOfStop tells of each stage of a stop, of its end, and of the start after it.
func (p *planner) tellOfStop(ready, progress last, now map[string]condition) bool {
	r := now[v1alpha1.ConditionReady]
	switch r.reason {
	case v1alpha1.ReasonStopping:
		if what := now[v1alpha1.ConditionProgressing].message; !progress.is(v1alpha1.ReasonStopping) || progress.Message != what {
			p.event(false, v1alpha1.EventStopping, "%s", what)
		}
		return true
	case v1alpha1.ReasonStopped:
		if !ready.is(v1alpha1.ReasonStopped) {
			p.event(false, v1alpha1.EventStopped, "%s", r.message)
		}
		return true
	}
	if !r.status && (ready.is(v1alpha1.ReasonStopping) || ready.is(v1alpha1.ReasonStopped)) {
		p.event(false, v1alpha1.EventStarting, "%s is started again: all pods are made at once", p.want.Name)
		return true
	}
	return false
}
