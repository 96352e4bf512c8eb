// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

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
		p := progress(c, want.Nodes[i].Name, want.Nodes[i].Role)
		p.Since = now
		for _, b := range before {
			if b.Name == p.Name && b.Stage == p.Stage {
				p.Since = b.Since
			}
		}
		out = append(out, p)
	}
	return out
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
		quiet := p.Message == "" || p.Stage == StageReady || p.Stage == StageStopped
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
		case goal(c):
			mark, tone, until, message = "✓", green, p.Since, ""
		case StagePending, StageReady, StageStopped:
			mark, tone = "·", ""
		case StageRefused:
			mark, tone = "✗", red
		case StageInitdb, StageStarting, StageStarted, StageSynced, StageStopping:
		}
		t.row(p.Name, s.paint(tone, mark+" "+string(p.Stage)), whole(until.Sub(began)), message)
	}
	t.draw(l)
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Message != "" {
		l.add()
		l.paragraph("", ready.Message)
	}
	return l.String()
}
