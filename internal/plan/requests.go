// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// requests answers what users ask for by annotations, besides restarts.
func (p *planner) requests() {
	if p.halts() {
		return
	}
	for _, r := range []*spec.Request{p.want.Restart, p.want.Reload, p.want.TopologySync} {
		if r != nil && r.Wrong != "" {
			p.act(ForgetRequest{Annotation: r.Annotation, Value: r.Value})
			p.plan.Events = append(p.plan.Events, Event{Warning: true, Reason: v1alpha1.EventRequestRefused, Message: r.Wrong, Done: true})
		}
	}
	p.reloads()
	p.comparisons()
}

// left are the nodes for which a request is not done, with why they do not serve.
func (p *planner) left(r *spec.Request, done func(*node) bool) []string {
	var left []string
	for i := range p.nodes {
		n := &p.nodes[i]
		switch {
		case !p.concerns(r, n) || done(n):
		case n.serving():
			left = append(left, n.Name)
		default:
			left = append(left, n.Name+" ("+n.why()+")")
		}
	}
	return left
}

// concerns tells whether a request waits for a node. One that only comes is not waited for unless it is named.
func (p *planner) concerns(r *spec.Request, n *node) bool {
	if r != nil && r.Holders && (!n.Role.HoldsCatalog() || !n.Registered) {
		return false
	}
	return r.Asks(n.Name) && (n.State != v1alpha1.MemberJoining || len(r.Nodes) > 0)
}

// answered removes a request that is done, once the last status says so of each node: whoever waits for its end finds there
// what was done.
func (p *planner) answered(r *spec.Request, told func(v1alpha1.InstanceStatus) bool) (is bool) {
	if r == nil || r.Wrong != "" {
		return false
	}
	for i := range p.nodes {
		if n := &p.nodes[i]; p.concerns(r, n) && !told(p.before(n)) {
			p.again(lookSoon)
			return false
		}
	}
	p.act(ForgetRequest{Annotation: r.Annotation, Value: r.Value})
	return true
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

// reloads lets every instance that was asked for read its files anew. What went wrong is told, and not tried again.
func (p *planner) reloads() {
	r := p.want.Reload
	done := func(n *node) bool { return n.reloaded(r) != nil || p.before(n).ReloadedFor == r.ID }
	left := p.left(r, done)
	for i := range p.nodes {
		n := &p.nodes[i]
		if p.concerns(r, n) && !done(n) && n.status != nil && n.status.State != instanceapi.StateInitializing && n.status.State != instanceapi.StateRefused {
			p.act(ReloadServer{Instance: n.instance, Reload: instanceapi.Reload{Token: r.ID}})
		}
	}
	if len(left) > 0 {
		p.progressing(v1alpha1.ReasonRequested, "reloading as asked; to do: %s", strings.Join(left, ", "))
		return
	}
	if !p.answered(r, func(i v1alpha1.InstanceStatus) bool { return i.ReloadedFor == r.ID }) {
		return
	}
	var well, badly []string
	for i := range p.nodes {
		n := &p.nodes[i]
		switch failure := p.before(n).ReloadError; {
		case !p.concerns(r, n):
		case failure != "":
			badly = append(badly, n.Name+": "+failure)
		default:
			well = append(well, n.Name)
		}
	}
	if len(badly) > 0 {
		p.plan.Events = append(p.plan.Events, Event{Warning: true, Reason: v1alpha1.EventReloadFailed, Message: strings.Join(badly, "; "), Done: true})
	}
	if len(well) > 0 {
		p.did(v1alpha1.EventReloaded, "%s", fmt.Sprintf("%s read their files anew, as asked (%s)", list(well), r.ID))
	}
}

// reloaded is what an instance made of a request to reload; nil if it has not answered it.
func (n *node) reloaded(r *spec.Request) *instanceapi.ReloadStatus {
	if n.status == nil || n.status.Reload == nil || n.status.Reload.Token != r.ID {
		return nil
	}
	return n.status.Reload
}

// lastReload is the last request to reload that an instance answered, and what went wrong.
func (p *planner) lastReload(n *node) (id, failure string) {
	if r := p.want.Reload; r.Asks(n.Name) {
		if s := n.reloaded(r); s != nil {
			return s.Token, s.Error
		}
	}
	b := p.before(n)
	return b.ReloadedFor, b.ReloadError
}

// toCompare is the id of a request for which a node has to compare its catalog; empty if there is none, or it has done so.
func (p *planner) toCompare(n *node) string {
	r := p.want.TopologySync
	if !p.concerns(r, n) || n.compared(r) != nil || p.before(n).TopologySyncedFor == r.ID {
		return ""
	}
	return r.ID
}

// compared is what became of a request to compare the catalog of a node; nil if it has not been answered.
func (n *node) compared(r *spec.Request) *instanceapi.CatalogStatus {
	if n.status == nil || n.status.Catalog == nil || n.status.Catalog.ComparedFor != r.ID {
		return nil
	}
	return n.status.Catalog
}

// comparisons tells how far a request to compare the catalogs is. They are compared where topologies are handed out.
func (p *planner) comparisons() {
	r := p.want.TopologySync
	left := p.left(r, func(n *node) bool { return p.toCompare(n) == "" })
	if len(left) > 0 {
		p.progressing(v1alpha1.ReasonRequested, "comparing node catalogs as asked; to do: %s", strings.Join(left, ", "))
		return
	}
	if !p.answered(r, func(i v1alpha1.InstanceStatus) bool { return i.TopologySyncedFor == r.ID }) {
		return
	}
	var all, repaired []string
	for i := range p.nodes {
		if n := &p.nodes[i]; p.concerns(r, n) {
			all = append(all, n.Name)
			for _, row := range p.before(n).TopologyRepaired {
				repaired = append(repaired, n.Name+": "+row)
			}
		}
	}
	what := "nothing differed"
	if len(repaired) > 0 {
		what = "repaired: " + strings.Join(repaired, "; ")
	}
	p.did(v1alpha1.EventTopologyCompared, "%s compared their node catalogs, as asked (%s); %s", list(all), r.ID, what)
}

// lastComparison is the last request to compare the catalog of a node that was answered, and what was repaired.
func (p *planner) lastComparison(n *node) (id string, repaired []string) {
	if r := p.want.TopologySync; p.concerns(r, n) {
		if c := n.compared(r); c != nil {
			return c.ComparedFor, c.Repaired
		}
	}
	b := p.before(n)
	return b.TopologySyncedFor, b.TopologyRepaired
}
