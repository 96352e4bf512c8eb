// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func TestTheStageOfANodeFollowsFromItsInstanceAndTheCatalog(t *testing.T) {
	for name, c := range map[string]struct {
		node   string
		how    func(*v1alpha1.AntDBCluster, *v1alpha1.InstanceStatus)
		stage  view.NodeStage
		absent bool
	}{
		"no instance yet":                    {node: "dn1", absent: true, stage: view.StagePending},
		"a pod that does not run":            {node: "dn1", how: state("Pending"), stage: view.StagePending},
		"initdb":                             {node: "gc", how: state("Initializing"), stage: view.StageInitdb},
		"the server starts":                  {node: "cn1", how: state("Starting"), stage: view.StageStarting},
		"the server ended and starts again":  {node: "cn1", how: state("Stopped"), stage: view.StageStarting},
		"a coordinator without its catalog":  {node: "cn1", how: state("Running"), stage: view.StageStarted},
		"a coordinator with it":              {node: "cn2", how: state("Waiting"), stage: view.StageSynced},
		"a datanode that waits for gc":       {node: "dn1", how: state("Waiting"), stage: view.StageStarted},
		"a volume that is somebody's else's": {node: "dn1", how: state("Refused"), stage: view.StageRefused},
		"it serves":                          {node: "dn1", how: func(*v1alpha1.AntDBCluster, *v1alpha1.InstanceStatus) {}, stage: view.StageReady},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := settled()
			cluster.Status.Topology.SyncedOn = []string{"gc", "cn2"}
			for i := range cluster.Status.Nodes {
				if n := &cluster.Status.Nodes[i]; n.Name == c.node && c.absent {
					n.Instances, n.Primary = nil, ""
				} else if n.Name == c.node {
					c.how(cluster, &n.Instances[0])
				}
			}
			for _, p := range view.Progress(nil, cluster, now) {
				if p.Name == c.node && p.Stage != c.stage {
					t.Errorf("%s is %s, not %s", p.Name, p.Stage, c.stage)
				}
			}
		})
	}
}

func state(word string) func(*v1alpha1.AntDBCluster, *v1alpha1.InstanceStatus) {
	return func(_ *v1alpha1.AntDBCluster, i *v1alpha1.InstanceStatus) { i.State, i.Serving = word, false }
}

func TestACreationIsALineForEachNode(t *testing.T) {
	c := settled()
	c.Status.Phase, c.Status.Topology.SyncedOn = "Creating", []string{"gc"}
	c.Status.Conditions[1].Message = "cn1, cn2 do not serve yet: the server starts; dn3 does not serve: unschedulable: 0/3 nodes are available"
	state("Running")(c, &c.Status.Nodes[0].Instances[0])
	state("Starting")(c, &c.Status.Nodes[1].Instances[0])
	state("Initializing")(c, &c.Status.Nodes[2].Instances[0])
	state("Refused")(c, &c.Status.Nodes[4].Instances[0])
	state("Pending")(c, &c.Status.Nodes[5].Instances[0])
	c.Status.Nodes[5].Instances[0].Message = "unschedulable: 0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available"
	began := now.Add(-12 * time.Second)
	before := view.Progress(nil, c, now.Add(-4*time.Second))
	golden(t, "creation", func(s view.Style) string { return view.Creation(s, c, began, view.Progress(before, c, now)) })
}

func TestOnlyWhatChangedInACreationIsTold(t *testing.T) {
	c := settled()
	c.Status.Nodes = nil
	began := now.Add(-12 * time.Second)
	first := view.Progress(nil, c, now)
	if got := view.ProgressChanges(style(), began, nil, first); len(got) != 6 || got[0] != "   12s  gc    pending" {
		t.Errorf("%q", got)
	}
	c = settled()
	state("Pending")(c, &c.Status.Nodes[4].Instances[0])
	c.Status.Nodes[4].Instances[0].Message = "ImagePullBackOff:\nno such image"
	second := view.Progress(first, c, now)
	want := strings.Split("   12s  gc    ready|   12s  cn1   ready|   12s  cn2   ready|   12s  dn1   ready|   12s  dn2   pending: ImagePullBackOff: no such image|   12s  dn3   ready", "|")
	if d := cmp.Diff(want, view.ProgressChanges(style(), began, first, second)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got := view.ProgressChanges(style(), began, second, view.Progress(second, c, now)); len(got) != 0 {
		t.Errorf("%q", got)
	}
}
