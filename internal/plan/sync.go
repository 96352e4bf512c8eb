// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// topologies hands the wanted catalog to gc and to every coordinator that does not hold it; they need not wait for each
// other. One that comes up is told before SQL runs on it, so that it can begin by itself.
func (p *planner) topologies() {
	if !p.known {
		return
	}
	t := &p.plan.Status.Topology
	t.Deregistered = p.stillDeregistered()
	if hash := p.topology.Hash(); t.Hash != hash {
		t.Generation, t.Hash = t.Generation+1, hash
	}
	for i := range p.nodes {
		n := &p.nodes[i]
		if !n.Role.HoldsCatalog() || !n.Registered || n.status == nil {
			continue
		}
		want, have := p.topologyFor(n), n.status.Catalog
		told := have != nil && have.WantHash == want.Hash()
		switch n.status.State {
		case instanceapi.StateRunning:
			want.CompareFor = p.toCompare(n)
			told = told && have.Have == want.Hash() && want.CompareFor == ""
		case instanceapi.StateInitializing, instanceapi.StateStarting:
		default:
			continue
		}
		if !told {
			p.act(PutTopology{Instance: n.instance, Topology: want})
		}
	}
}

// topologyFor is what one node shall hold: gc holds less while it was told to forget coordinators.
func (p *planner) topologyFor(n *node) instanceapi.Topology {
	t := p.topology
	if n.Role == antdb.RoleGTM {
		t = t.Without(p.plan.Status.Topology.Deregistered...)
	}
	return instanceapi.Topology{Generation: p.plan.Status.Topology.Generation, Topology: t}
}

// synced tells whether the node's catalog equals what it shall hold.
func (p *planner) synced(n *node) bool {
	return n.status != nil && n.status.Catalog != nil && n.status.Catalog.Have == p.topologyFor(n).Hash()
}

// digestAge is how old a digest of a schema may be, in seconds, while somebody asks for it.
const digestAge = 10

// stillDeregistered are the coordinators that gc was told to forget and that cannot be registered again yet: they do
// not run, or their schema differs from gc's since DDL ran meanwhile.
func (p *planner) stillDeregistered() []string {
	var out []string
	gc := p.node(antdb.GTMNode)
	for _, name := range p.snap.Status.Topology.Deregistered {
		n := p.node(name)
		switch {
		case n == nil:
		case !n.running() || gc.status == nil:
			out = append(out, name)
		case gc.status.SchemaDigest == "" || n.status.SchemaDigest == "":
			out = append(out, name)
			p.again(lookSoon) // digests wake nobody
		case n.status.SchemaDigest != gc.status.SchemaDigest:
			out = append(out, name)
			p.diverged = append(p.diverged, name)
			p.again(digestAge) // the one that is known may be that old
		default:
			p.event(false, v1alpha1.EventCoordinatorReturned, "%s is back with the same schema as gc and is registered again", name)
		}
	}
	return out
}

// gtm answers a request to let gc forget coordinators that it waits for.
func (p *planner) gtm() {
	gc := p.node(antdb.GTMNode)
	if len(p.want.EscapeGTMWait) == 0 || !p.known {
		return
	}
	if gc.serving() {
		p.act(ForgetRequest{Annotation: v1alpha1.AnnotationEscapeGTMWait})
		if len(p.plan.Status.Topology.Deregistered) > 0 {
			p.did(v1alpha1.EventGTMEscaped, "gc works again without %s, as asked", list(p.plan.Status.Topology.Deregistered))
		}
		return
	}
	if !gc.waits() {
		return
	}
	if p.escapeRefused = p.want.CheckEscape(p.missing()); len(p.escapeRefused) > 0 {
		return
	}
	t := &p.plan.Status.Topology
	known := slices.Clone(t.Deregistered)
	for _, name := range p.want.EscapeGTMWait {
		if !slices.Contains(t.Deregistered, name) {
			t.Deregistered = append(t.Deregistered, name)
		}
	}
	slices.Sort(t.Deregistered)
	if !slices.Equal(known, t.Deregistered) {
		return // the list is written down first, so that nobody takes the dropped row for drift
	}
	p.escaping = true
	token := gc.pod.UID
	p.act(EscapeGTMWait{Instance: gc.instance, Escape: instanceapi.Escape{
		Token: string(token) + "/" + strings.Join(t.Deregistered, ","), Drop: t.Deregistered, Topology: p.topologyFor(gc),
	}})
}

// waits tells whether gc accepts connections but hands out no snapshots.
func (n *node) waits() bool { return n.status != nil && n.status.State == instanceapi.StateWaiting }

// configurations hands out parameters to every instance that runs with others. A configuration that the server
// refused is not offered again.
func (p *planner) configurations() {
	for i := range p.nodes {
		n := &p.nodes[i]
		if n.status == nil || n.State == v1alpha1.MemberJoining || n.status.State == instanceapi.StateInitializing || n.status.State == instanceapi.StateRefused {
			continue
		}
		want := n.Config.Hash()
		if n.status.Config.Hash != want && n.status.Config.RejectedHash != want {
			p.act(PutConfig{Instance: n.instance, Config: n.Config})
		}
	}
}

// bootstrap fills a new cluster once every catalog is right and a statement reached every node: DDL needs them all,
// and the address of a new Service may be known to DNS some seconds late. The journal in the database makes asking twice
// harmless; that two coordinators never do it at once is seen to here. After a failure it is asked for again, and the
// instance puts it off, each time longer.
func (p *planner) bootstrap() {
	if p.want.Bootstrap == nil || p.bootstrapped() {
		return
	}
	if p.noDDL() != "" {
		return
	}
	cns := p.coordinators()
	for _, n := range cns {
		if n.status.Bootstrap.Phase == instanceapi.BootstrapRunning {
			return
		}
	}
	p.act(StartBootstrap{Instance: cns[0].instance, Bootstrap: *p.want.Bootstrap})
}

// bootstrapped tells whether it is done, by the last status or by a coordinator's word.
func (p *planner) bootstrapped() bool {
	if conditionOf(p.snap.Status.Conditions, v1alpha1.ConditionBootstrapped).isTrue() {
		return true
	}
	for _, n := range p.coordinators() {
		if n.status != nil && n.status.Bootstrap.Phase == instanceapi.BootstrapDone {
			return true
		}
	}
	return false
}

// credentials makes one coordinator apply changed passwords; the engine carries them to every node.
func (p *planner) credentials() {
	for _, n := range p.coordinators() {
		if n.serving() && len(n.status.StaleCredentials) > 0 {
			p.act(ApplyCredentials{Instance: n.instance, Roles: n.status.StaleCredentials})
			return
		}
	}
}
