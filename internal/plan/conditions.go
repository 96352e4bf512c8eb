// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// condition is one condition before it is given a time.
type condition struct {
	status          bool
	unknown         bool
	reason, message string
}

func yes(reason, format string, args ...any) condition {
	return condition{status: true, reason: reason, message: fmt.Sprintf(format, args...)}
}

func no(reason, format string, args ...any) condition {
	return condition{reason: reason, message: fmt.Sprintf(format, args...)}
}

func (c condition) value() metav1.ConditionStatus {
	switch {
	case c.unknown:
		return metav1.ConditionUnknown
	case c.status:
		return metav1.ConditionTrue
	default:
		return metav1.ConditionFalse
	}
}

// last is a condition of the last status; nil where there was none.
type last struct{ *metav1.Condition }

func conditionOf(all []metav1.Condition, kind string) last {
	for i := range all {
		if all[i].Type == kind {
			return last{&all[i]}
		}
	}
	return last{}
}

func (l last) is(reason string) bool { return l.Condition != nil && l.Reason == reason }

func (l last) isTrue() bool { return l.Condition != nil && l.Status == metav1.ConditionTrue }

// once tells whether the cluster has been Ready before.
func (p *planner) once() bool { return p.snap.Status.FirstReady != nil }

// topologySynced compares what every catalog holds with what it shall hold.
func (p *planner) topologySynced() condition {
	var differ, waiting []string
	for i := range p.nodes {
		n := &p.nodes[i]
		switch {
		case !n.Role.HoldsCatalog() || !n.Registered || p.synced(n) || slices.Contains(p.plan.Status.Topology.Deregistered, n.Name):
		case n.status == nil || n.status.Catalog == nil || n.status.Catalog.Have == "":
			waiting = append(waiting, n.Name)
		case n.status.Catalog.Error != "":
			differ = append(differ, n.Name+": "+n.status.Catalog.Error)
		default:
			differ = append(differ, n.Name)
		}
	}
	gone := p.plan.Status.Topology.Deregistered
	switch {
	case len(p.diverged) > 0:
		return no(v1alpha1.ReasonCatalogDiffers, "%s came back with another schema than gc: DDL ran while it was away. "+
			"Compare the schemas and run what is missing on %s, then it is registered again", list(p.diverged), list(p.diverged))
	case len(differ) > 0:
		return no(v1alpha1.ReasonCatalogDiffers, "pgxc_node is being made equal on %s", list(differ))
	case len(waiting) > 0:
		return no(v1alpha1.ReasonWaitingForInstances, "pgxc_node cannot be read yet on %s", list(waiting))
	case len(gone) > 0:
		return no(v1alpha1.ReasonCatalogDiffers, "gc was told to forget %s; it is registered again when it is back", list(gone))
	default:
		return yes(v1alpha1.ReasonCatalogsEqual, "pgxc_node is the same on gc and all coordinators")
	}
}

func (p *planner) gtmAvailable() condition {
	gc := p.node(antdb.GTMNode)
	switch {
	case gc.waits():
		missing := p.missing()
		if p.escaping {
			return no(v1alpha1.ReasonGTMWaitsForNodes, "gc waits for %s and is being made to forget it, as asked", list(p.plan.Status.Topology.Deregistered))
		}
		message := "gc accepts connections but hands out no snapshots, so no statement runs anywhere"
		if len(missing) > 0 {
			message = fmt.Sprintf("gc was started without %s and hands out no snapshots, so every statement of the cluster waits. "+
				"It goes on when every one of them is back, or after the engine's snap_restart_timeout (5 minutes by default).", list(missing))
			if cns := coordinatorsIn(missing); len(cns) == len(missing) {
				message += fmt.Sprintf(" To go on without %s: kubectl annotate antdbcluster %s %s=%s",
					list(cns), p.want.Name, v1alpha1.AnnotationEscapeGTMWait, strings.Join(cns, ","))
			} else {
				message += " A datanode cannot be left out: bring it back"
			}
		}
		if len(missing) == 0 {
			message += ". Its catalog may name a node that does not exist: it goes on after the engine's snap_restart_timeout " +
				"(5 minutes by default), and then the catalog is repaired"
		}
		return no(v1alpha1.ReasonGTMWaitsForNodes, "%s", strings.Join(append([]string{message}, p.escapeRefused...), ". "))
	case gc.status != nil && gc.status.State == instanceapi.StateRunning:
		return yes(v1alpha1.ReasonGTMServes, "gc hands out snapshots")
	default:
		return no(v1alpha1.ReasonGTMDown, "gc does not run: %s", gc.why())
	}
}

func coordinatorsIn(names []string) []string {
	var out []string
	for _, n := range names {
		if r, _, err := antdb.ParseNodeName(n); err == nil && r == antdb.RoleCoordinator {
			out = append(out, n)
		}
	}
	return out
}

func (p *planner) bootstrappedCondition() condition {
	if p.want.Bootstrap == nil {
		return yes(v1alpha1.ReasonNothingToBootstrap, "spec.bootstrap is empty")
	}
	if p.bootstrapped() {
		return yes(v1alpha1.ReasonBootstrapDone, "database %s belongs to %s", p.want.Bootstrap.Database, p.want.Bootstrap.Owner)
	}
	for _, n := range p.coordinators() {
		if n.status == nil {
			continue
		}
		switch b := n.status.Bootstrap; b.Phase {
		case instanceapi.BootstrapRunning:
			return no(v1alpha1.ReasonBootstrapRunning, "running on %s: %s", n.Name, b.Step)
		case instanceapi.BootstrapFailed:
			return no(v1alpha1.ReasonBootstrapFailed, "%s: %s", b.Step, b.Error)
		case instanceapi.BootstrapDone, instanceapi.BootstrapNone:
		}
	}
	return no(v1alpha1.ReasonBootstrapPending, "spec.bootstrap begins when every node serves and reaches the others")
}

func (p *planner) configurationApplied() condition {
	var rejected, pending, waiting []string
	for i := range p.nodes {
		n := &p.nodes[i]
		if !n.Counts() {
			continue
		}
		if n.status == nil {
			waiting = append(waiting, n.Name)
			continue
		}
		c, want := n.status.Config, n.Config.Hash()
		switch {
		case c.RejectedHash == want:
			for _, r := range c.Rejected {
				rejected = append(rejected, n.Name+" refused "+refusal(r))
			}
		case c.Hash != want:
			waiting = append(waiting, n.Name)
		case len(c.PendingRestart) > 0:
			pending = append(pending, n.Name+" ("+strings.Join(c.PendingRestart, ", ")+")")
		}
	}
	switch {
	case len(rejected) > 0:
		return no(v1alpha1.ReasonParameterRejected, "%s; the old configuration runs on", strings.Join(rejected, "; "))
	case len(pending) > 0:
		return no(v1alpha1.ReasonApplying, "waiting for a restart: %s", list(pending))
	case len(waiting) > 0 && !p.appliedBefore(waiting):
		return no(v1alpha1.ReasonApplying, "not yet told: %s", list(waiting))
	default:
		return yes(v1alpha1.ReasonApplied, "every server runs with the parameters of the spec")
	}
}

// appliedBefore tells whether the waiting nodes only give no answer just now, and had this very spec before.
func (p *planner) appliedBefore(waiting []string) bool {
	l := conditionOf(p.snap.Status.Conditions, v1alpha1.ConditionConfigurationApplied)
	for _, name := range waiting {
		if p.node(name).status != nil {
			return false
		}
	}
	return l.isTrue() && l.ObservedGeneration == p.want.Generation
}

func refusal(r instanceapi.Rejected) string {
	if r.Name == "" {
		return r.Message
	}
	return fmt.Sprintf("%s = %q: %s", r.Name, r.Value, r.Message)
}

func (p *planner) volumesHealthy() condition {
	var growing []string
	for i := range p.nodes {
		n := &p.nodes[i]
		for _, v := range p.volumesOf(n) {
			if v.Capacity != "" && grows(n, v.Name) {
				growing = append(growing, v.Name)
			}
		}
	}
	switch {
	case len(p.sizeRefused) > 0:
		return no(v1alpha1.ReasonResizeRefused, "%s", strings.Join(p.sizeRefused, "; "))
	case len(growing) > 0:
		p.progressing(v1alpha1.ReasonResizing, "growing %s", list(growing))
		return no(v1alpha1.ReasonResizing, "growing: %s", list(growing))
	default:
		return yes(v1alpha1.ReasonSizesAsWanted, "every volume has the wanted size")
	}
}

// ready is the summary of the others.
func (p *planner) ready(others map[string]condition) condition {
	var refused, down grouped
	for i := range p.nodes {
		switch n := &p.nodes[i]; {
		case !n.Counts():
		case n.refused != "":
			refused.add(n.refused, n.Name)
		case !n.serving():
			down.add(n.why(), n.Name)
		}
	}
	if c, is := p.stopped(); is {
		return c
	}
	waiting := v1alpha1.ReasonNodesNotServing
	switch {
	case !p.once():
		waiting = v1alpha1.ReasonCreating
	case p.starting():
		waiting = v1alpha1.ReasonStarting
	}
	switch {
	case len(p.snap.MissingSecrets) > 0:
		return no(v1alpha1.ReasonSecretMissing, "the spec names Secrets that do not exist: %s; make them with the keys username and password", list(p.snap.MissingSecrets))
	case len(refused) > 0 && p.once():
		return no(waiting, "%s", &refused)
	case len(refused) > 0:
		return no(v1alpha1.ReasonVolumeRefused, "%s", &refused)
	case len(down) > 0:
		return no(waiting, "%s", &down)
	}
	for _, kind := range []string{v1alpha1.ConditionGTMAvailable, v1alpha1.ConditionTopologySynced, v1alpha1.ConditionBootstrapped} {
		if c := others[kind]; !c.status {
			return no(waiting, "%s", c.message)
		}
	}
	return p.reached(waiting)
}

// reached asks for a statement that went through a coordinator to every datanode, and to every other coordinator that
// was asked.
func (p *planner) reached(waiting string) condition {
	if p.snap.Reach == nil {
		return no(waiting, "no statement through a coordinator has reached the datanodes yet")
	}
	var lost []string
	reason := v1alpha1.ReasonCoordinatorsUnreachable
	for i := range p.nodes {
		n := &p.nodes[i]
		if !n.Counts() {
			continue
		}
		why, asked := p.snap.Reach.Datanodes[n.Name]
		if n.Role != antdb.RoleDatanode {
			why, asked = p.snap.Reach.Coordinators[n.Name], true
		}
		if asked && why == "" {
			continue
		}
		lost = append(lost, strings.TrimSuffix(n.Name+": "+why, ": "))
		if n.Role == antdb.RoleDatanode {
			reason = v1alpha1.ReasonDatanodesUnreachable
		}
	}
	if len(lost) > 0 {
		if waiting == v1alpha1.ReasonNodesNotServing {
			waiting = reason
		}
		return no(waiting, "a statement through a coordinator did not reach %s", strings.Join(lost, "; "))
	}
	return yes(v1alpha1.ReasonAllNodesServe, "all %d nodes serve", len(p.nodes))
}

// grouped says the same thing of several nodes once, in the order in which it was first said.
type grouped []struct {
	what  string
	nodes []string
}

func (g *grouped) add(what, node string) {
	for i := range *g {
		if (*g)[i].what == what {
			(*g)[i].nodes = append((*g)[i].nodes, node)
			return
		}
	}
	*g = append(*g, struct {
		what  string
		nodes []string
	}{what, []string{node}})
}

func (g *grouped) String() string {
	parts := make([]string, len(*g))
	for i, x := range *g {
		parts[i] = list(x.nodes) + ": " + x.what
	}
	return strings.Join(parts, "; ")
}

// list joins names as a person would, and stays short for large clusters.
func list(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
