// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// NodeStage is how far a node is on its way to serve.
type NodeStage string

// The stages of a node that is being made. Datanodes skip StageSynced: they need no catalog.
const (
	StagePending  NodeStage = "pending"  // it has no pod, or its pod does not run yet
	StageInitdb   NodeStage = "initdb"   // its data directory is being made
	StageStarting NodeStage = "starting" // its server has been started
	StageStarted  NodeStage = "started"  // its server accepts connections
	StageSynced   NodeStage = "synced"   // its node catalog is right
	StageReady    NodeStage = "ready"    // it serves
	StageRefused  NodeStage = "refused"  // its volume holds something else; nothing is touched
	StageStopping NodeStage = "stopping" // its pod ends, since the cluster is stopped
	StageStopped  NodeStage = "stopped"  // its pod is gone

	StageWaiting    NodeStage = "waiting"    // what is asked of it has not been done
	StageRestarting NodeStage = "restarting" // it is restarted, and does not serve yet
	StageRestarted  NodeStage = "restarted"  // it was restarted, and serves
	StageReloaded   NodeStage = "reloaded"   // it has read its files anew
	StageEqual      NodeStage = "equal"      // its catalog was as it shall be
	StageRepaired   NodeStage = "repaired"   // its catalog is as it shall be now
	StageFailed     NodeStage = "failed"     // it could not
)

// goal is where all nodes of a cluster are on their way to.
func goal(c *v1alpha1.AntDBCluster) NodeStage {
	if c.Spec.Stopped {
		return StageStopped
	}
	return StageReady
}

// NodeProgress is the stage of one node, and since when it was seen in it.
type NodeProgress struct {
	Name    string
	Stage   NodeStage
	Message string
	Since   time.Time
}

// Progress tells how far the nodes of a cluster are. before is what was told last.
func Progress(before []NodeProgress, c *v1alpha1.AntDBCluster, now time.Time) []NodeProgress {
	want := spec.Resolve(c)
	out := make([]NodeProgress, 0, len(want.Nodes))
	for i := range want.Nodes {
		out = append(out, progress(c, want.Nodes[i].Name, want.Nodes[i].Role))
	}
	return since(out, before, now)
}

// since notes since when nodes were seen in their stages.
func since(nodes, before []NodeProgress, now time.Time) []NodeProgress {
	for i := range nodes {
		p := &nodes[i]
		p.Since = now
		for _, b := range before {
			if b.Name == p.Name && b.Stage == p.Stage {
				p.Since = b.Since
			}
		}
	}
	return nodes
}

// Restarts tells how far those nodes are that are to be restarted for a request.
func Restarts(before []NodeProgress, c *v1alpha1.AntDBCluster, request string, asks func(node string) bool, now time.Time) []NodeProgress {
	return judged(before, c, asks, now, func(i *v1alpha1.InstanceStatus, p *NodeProgress) {
		switch done := i.RestartedFor == request; {
		case done && i.Serving:
			p.Stage = StageRestarted
		case done || i.State == string(instanceapi.StateRestarting):
			p.Stage = StageRestarting
		}
	})
}

// Reloads tells which nodes have read their files anew for a request.
func Reloads(before []NodeProgress, c *v1alpha1.AntDBCluster, request string, asks func(node string) bool, now time.Time) []NodeProgress {
	return judged(before, c, asks, now, func(i *v1alpha1.InstanceStatus, p *NodeProgress) {
		switch {
		case i.ReloadedFor != request:
		case i.ReloadError != "":
			p.Stage, p.Message = StageFailed, i.ReloadError
		default:
			p.Stage, p.Message = StageReloaded, ""
		}
	})
}

// Comparisons tells which nodes have compared their catalogs for a request, and what they repaired.
func Comparisons(before []NodeProgress, c *v1alpha1.AntDBCluster, request string, asks func(node string) bool, now time.Time) []NodeProgress {
	holds := func(node string) bool {
		role, _, err := antdb.ParseNodeName(node)
		return err == nil && role.HoldsCatalog() && asks(node)
	}
	return judged(before, c, holds, now, func(i *v1alpha1.InstanceStatus, p *NodeProgress) {
		switch {
		case i.TopologySyncedFor != request:
		case len(i.TopologyRepaired) > 0:
			p.Stage, p.Message = StageRepaired, strings.Join(i.TopologyRepaired, "; ")
		default:
			p.Stage, p.Message = StageEqual, ""
		}
	})
}

// judged judges the nodes of which something is asked.
func judged(before []NodeProgress, c *v1alpha1.AntDBCluster, asks func(node string) bool, now time.Time, judge func(*v1alpha1.InstanceStatus, *NodeProgress)) []NodeProgress {
	var out []NodeProgress
	for _, n := range c.Status.Nodes {
		for i := range n.Instances {
			if instance := &n.Instances[i]; instance.Name == n.Primary && asks(n.Name) {
				p := NodeProgress{Name: n.Name, Stage: StageWaiting, Message: instance.Message}
				judge(instance, &p)
				out = append(out, p)
			}
		}
	}
	return since(out, before, now)
}

func progress(c *v1alpha1.AntDBCluster, node string, role antdb.Role) NodeProgress {
	p := NodeProgress{Name: node, Stage: StagePending}
	for _, n := range c.Status.Nodes {
		for i := range n.Instances {
			if instance := &n.Instances[i]; n.Name == node && instance.Name == n.Primary {
				p.Stage, p.Message = stage(instance), instance.Message
			}
		}
	}
	if c.Spec.Stopped && p.Stage != StageReady && p.Stage != StageStopped {
		p.Stage = StageStopping
	}
	if p.Stage == StageStarted && role.HoldsCatalog() && slices.Contains(c.Status.Topology.SyncedOn, node) {
		p.Stage = StageSynced
	}
	return p
}

func stage(i *v1alpha1.InstanceStatus) NodeStage {
	switch state := instanceapi.State(i.State); {
	case i.Serving:
		return StageReady
	case state == instanceapi.StateStopped && i.PodIP == "":
		return StageStopped
	}
	switch instanceapi.State(i.State) {
	case instanceapi.StateInitializing:
		return StageInitdb
	case instanceapi.StateStarting, instanceapi.StateRestarting, instanceapi.StateStopped:
		return StageStarting
	case instanceapi.StateRunning, instanceapi.StateWaiting:
		return StageStarted
	case instanceapi.StateRefused:
		return StageRefused
	}
	return StagePending
}

// ProgressChanges tells in lines what changed.
func ProgressChanges(s Style, began time.Time, before, after []NodeProgress) []string {
	var out []string
	for _, p := range after {
		i := slices.IndexFunc(before, func(b NodeProgress) bool { return b.Name == p.Name })
		old := NodeProgress{}
		if i >= 0 {
			old = before[i]
		}
		quiet := p.Message == "" || p.Stage == StageReady || p.Stage == StageStopped || p.Stage == StageRestarted
		if old.Stage == p.Stage && (quiet || old.Message == p.Message) {
			continue
		}
		text := fmt.Sprintf("%6s  %-5s %s", whole(s.Now.Sub(began)), p.Name, p.Stage)
		if !quiet {
			text += ": " + clean(p.Message)
		}
		out = append(out, text)
	}
	return out
}

// Creation is a picture of a cluster that is being made, stopped or started: a line for each node with the time since it
// began, or that it took to be where it shall be.
func Creation(s Style, c *v1alpha1.AntDBCluster, began time.Time, nodes []NodeProgress) string {
	l := &lines{style: s}
	phase := c.Status.Phase
	if phase == "" {
		phase = "New"
	}
	l.add(s.paint(bold, c.Name), "  ", s.paint(phaseTone(phase), phase), "  ", whole(s.Now.Sub(began)))
	l.add()
	t := table{heads: []string{"NODE", "STATE", "TIME", "MESSAGE"}, right: map[int]bool{2: true}}
	for _, p := range nodes {
		mark, tone, until, message := "▶", yellow, s.Now, clean(p.Message)
		switch p.Stage {
		case goal(c), StageRestarted, StageReloaded, StageEqual:
			mark, tone, until, message = "✓", green, p.Since, ""
		case StageRepaired:
			mark, tone, until = "✓", green, p.Since
		case StagePending, StageReady, StageStopped, StageWaiting:
			mark, tone = "·", ""
		case StageRefused, StageFailed:
			mark, tone = "✗", red
		case StageInitdb, StageStarting, StageStarted, StageSynced, StageStopping, StageRestarting:
		}
		t.row(p.Name, s.paint(tone, mark+" "+string(p.Stage)), whole(until.Sub(began)), message)
	}
	t.draw(l)
	why := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
	if p := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionProgressing); p != nil && p.Status == metav1.ConditionTrue {
		why = p
	}
	if why != nil && why.Message != "" {
		l.add()
		l.paragraph("", why.Message)
	}
	return l.String()
}
