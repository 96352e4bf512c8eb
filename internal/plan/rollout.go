// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/render"
)

// due is a node that must be restarted, or whose pod must be replaced.
type due struct {
	*node
	replace bool
	why     string
}

// rollout restarts what must be restarted, one node at a time: datanodes, then coordinators, gc last. A node is
// touched only while every other node serves; gc, above all, only while every registered node runs, since a gc that
// starts while one is missing stops the whole cluster.
func (p *planner) rollout() {
	if p.halts() {
		return
	}
	left := p.askedRestarts()
	all := p.dues()
	if len(all) == 0 {
		if len(left) > 0 {
			p.progressing(v1alpha1.ReasonRestarting, "restarting as asked; to do: %s", strings.Join(left, ", "))
		}
		return
	}
	d := p.chosen(all)
	if p.operating != nil && (!d.replace || !d.down()) {
		return // restarts wait for the end of the operation
	}
	if refuser := p.refuser(); refuser != "" && !d.replace {
		p.progressing(v1alpha1.ReasonRestartBlocked, "%s is due (%s), but %s refused a parameter; no other server is restarted until that is mended",
			d.Name, d.why, refuser)
		return
	}
	if why := p.disturbed(d.node); why != "" && (!d.replace || !d.down()) {
		p.progressing(v1alpha1.ReasonRestartBlocked, "%s is due (%s), but %s", d.Name, d.why, why)
		return
	}
	todo := make([]string, len(all))
	for i := range all {
		todo[i] = all[i].Name
	}
	if d.replace {
		p.progressing(v1alpha1.ReasonReplacingPod, "replacing the pod of %s (%s); to do: %s", d.Name, d.why, strings.Join(todo, ", "))
		p.act(DeletePod{Pod: d.instance, UID: string(d.pod.UID), Why: d.why})
		p.did(v1alpha1.EventPodReplaced, "%s: pod %s is replaced: %s", d.Name, d.instance, d.why)
		return
	}
	p.progressing(v1alpha1.ReasonRestarting, "restarting %s (%s); to do: %s", d.Name, d.why, strings.Join(todo, ", "))
	token := p.token(d.node)
	if d.status.RestartingFor == token {
		return // it does not come up
	}
	p.act(RestartServer{Instance: d.instance, Restart: instanceapi.Restart{Token: token, Reason: d.why}})
	p.did(v1alpha1.EventRestarting, "%s is restarted: %s", d.Name, d.why)
}

// dues are all nodes that must be restarted or replaced, in the order in which it is done.
func (p *planner) dues() []due {
	var all []due
	for _, role := range []antdb.Role{antdb.RoleDatanode, antdb.RoleCoordinator, antdb.RoleGTM} {
		for i := range p.nodes {
			if n := &p.nodes[i]; n.Role == role && n.State == v1alpha1.MemberActive {
				if d, ok := p.due(n); ok {
					all = append(all, d)
				}
			}
		}
	}
	return all
}

// refuser is a node whose server refused the wanted configuration. What one server does not start with, the next would
// not start with either.
func (p *planner) refuser() string {
	for i := range p.nodes {
		if n := &p.nodes[i]; n.Counts() && n.status != nil && n.status.Config.RejectedHash == n.Config.Hash() {
			return n.Name
		}
	}
	return ""
}

// chosen is the next node: one that is down already because of its old template goes first, since replacing it
// disturbs nobody and may be what heals it; then one that does not serve although all others do, for the same reason.
func (p *planner) chosen(all []due) due {
	for _, d := range all {
		if d.replace && d.down() {
			return d
		}
	}
	for _, d := range all {
		if !d.serving() && p.disturbed(d.node) == "" {
			return d
		}
	}
	return all[0]
}

// token names this very restart: the same order is obeyed once. One that was asked for is given once, whatever becomes of it;
// a changed parameter may need a restart several times. While a request stands, every restart serves it.
func (p *planner) token(n *node) string {
	r := p.want.Restart
	switch token := fmt.Sprintf("%s/%s/%d", n.Config.Hash(), n.pod.UID, n.status.Starts); {
	case p.asked(n):
		return "asked" + forRequest + r.ID
	case r.Asks(n.Name):
		return token + forRequest + r.ID
	default:
		return token
	}
}

// down tells whether taking the node's pod away disturbs nobody. What was asked and gave no answer is not known to be
// down.
func (n *node) down() bool { return !n.running() && !PodReady(n.pod) && n.err == "" }

func (p *planner) due(n *node) (due, bool) {
	if n.refused != "" || n.held != "" || n.pod == nil || n.pod.DeletionTimestamp != nil {
		return due{}, false
	}
	if n.pod.Annotations[naming.AnnotationTemplate] != render.Template(p.want, n.Node) {
		return due{node: n, replace: true, why: "its pod template changed"}, true
	}
	asked := p.asked(n)
	switch {
	case n.err != "":
		return due{}, false // it may have been restarted, and cannot say so
	case n.status == nil || n.status.Starts == 0:
		return due{node: n, replace: true, why: "as asked"}, asked // there is no server yet that could be restarted
	}
	if c := n.status.Config; n.running() && c.Hash != n.Config.Hash() && c.RejectedHash != n.Config.Hash() {
		return due{}, false // the newest configuration comes first, so that one restart serves for all of it
	}
	var why []string
	if asked {
		why = append(why, "as asked")
	}
	if pending := n.status.Config.PendingRestart; len(pending) > 0 && n.status.Config.Hash == n.Config.Hash() {
		why = append(why, "changed: "+strings.Join(slices.Sorted(slices.Values(pending)), ", "))
	}
	return due{node: n, why: strings.Join(why, "; ")}, len(why) > 0
}

// disturbed tells why node n must not be taken away now; empty when it may.
func (p *planner) disturbed(n *node) string {
	for i := range p.nodes {
		x := &p.nodes[i]
		if x.Name == n.Name || !x.Counts() || x.serving() {
			continue
		}
		return fmt.Sprintf("%s does not serve: %s", x.Name, x.why())
	}
	if !n.serving() && n.status != nil && n.status.State == instanceapi.StateRestarting {
		return "it is being restarted"
	}
	return ""
}
