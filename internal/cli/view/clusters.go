// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
)

// Clusters is a list with a line for each cluster, why some are not Ready, and totals.
func Clusters(s Style, all []v1alpha1.AntDBCluster) string {
	l := &lines{style: s}
	t := table{heads: []string{"NAMESPACE", "NAME", "PHASE", "NODES", "COORDINATORS", "DATANODES", "AGE"}, right: map[int]bool{4: true, 5: true}}
	var troubled []func()
	for i := range all {
		c := &all[i]
		t.row(c.Namespace, c.Name, s.paint(phaseTone(c.Status.Phase), c.Status.Phase), c.Status.ReadyNodes, Count(int64(c.Spec.Coordinators.Count)),
			Count(int64(c.Spec.Datanodes.Count)), whole(s.Now.Sub(c.CreationTimestamp.Time)))
		if d := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); d != nil && d.Status != metav1.ConditionTrue && d.Reason != v1alpha1.ReasonStopped {
			troubled = append(troubled, func() {
				l.add()
				l.add(s.paint(phaseTone(c.Status.Phase), c.Namespace+"/"+c.Name+": "+d.Reason))
				l.paragraph("  ", d.Message)
			})
		}
	}
	t.draw(l)
	for _, tell := range troubled {
		tell()
	}
	totals(l, all)
	return l.String()
}

// totals sums clusters up: how many are Ready, their nodes, what their volumes ask for, and the images that run.
func totals(l *lines, all []v1alpha1.AntDBCluster) {
	var volumes resource.Quantity
	ready, stopped, nodes, serve, claims := 0, 0, 0, 0, 0
	images := map[string]int{}
	for i := range all {
		c := &all[i]
		images[c.Spec.Image]++
		if meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
			ready++
		}
		if examine.Halted(c) == v1alpha1.ReasonStopped {
			stopped++
		}
		for _, n := range c.Status.Nodes {
			nodes++
			for _, instance := range n.Instances {
				if instance.Serving && instance.Name == n.Primary {
					serve++
				}
				for _, v := range instance.Volumes {
					if q, err := resource.ParseQuantity(v.Requested); err == nil {
						volumes.Add(q)
						claims++
					}
				}
			}
		}
	}
	l.add()
	sum := fmt.Sprintf("%s, %d Ready", Noun(len(all), "cluster"), ready)
	if stopped > 0 {
		sum += fmt.Sprintf(", %d stopped", stopped)
	}
	l.add(sum)
	if nodes > 0 {
		l.add(fmt.Sprintf("%s, %d serve; %s, %s", Noun(nodes, "node"), serve, Noun(claims, "volume"), Bytes(volumes.Value())))
	}
	for _, image := range slices.Sorted(maps.Keys(images)) {
		if image != "" {
			l.add(fmt.Sprintf("image %s in %s", image, Noun(images[image], "cluster")))
		}
	}
}

// ClusterChanges tells in plain lines what happened between two states of a cluster; old may be nil.
func ClusterChanges(s Style, old, c *v1alpha1.AntDBCluster) []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, s.Now.Format(time.TimeOnly)+" "+c.Name+" "+strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
	if old == nil {
		say("%s, %s nodes serve", c.Status.Phase, c.Status.ReadyNodes)
		old = &v1alpha1.AntDBCluster{}
		old.Status.Nodes, old.Status.Phase, old.Status.ReadyNodes = c.Status.Nodes, c.Status.Phase, c.Status.ReadyNodes
	}
	if c.Generation != old.Generation && old.Generation != 0 {
		say("the spec was changed")
	}
	nodeChanges(old, c, say)
	if old.Status.Phase != c.Status.Phase || old.Status.ReadyNodes != c.Status.ReadyNodes {
		say("%s → %s, %s nodes serve", old.Status.Phase, c.Status.Phase, c.Status.ReadyNodes)
	}
	conditionChanges(old, c, say)
	return out
}

// conditionChanges tells of conditions that are not fine, or are fine again.
func conditionChanges(old, c *v1alpha1.AntDBCluster, say func(string, ...any)) {
	for _, d := range c.Status.Conditions {
		was := meta.FindStatusCondition(old.Status.Conditions, d.Type)
		fine := (d.Type == v1alpha1.ConditionProgressing) != (d.Status == metav1.ConditionTrue)
		switch {
		case was == nil && fine || was != nil && was.Status == d.Status && was.Reason == d.Reason && was.Message == d.Message:
		case was != nil && was.Status != d.Status && fine:
			say("%s=%s %s", d.Type, d.Status, d.Reason)
		case !fine:
			say("%s=%s %s%s", d.Type, d.Status, d.Reason, after(": ", d.Message))
		}
	}
}

// nodeChanges tells of nodes that came, went, or changed their state.
func nodeChanges(old, c *v1alpha1.AntDBCluster, say func(string, ...any)) {
	was := map[string]string{}
	for i := range old.Status.Nodes {
		was[old.Status.Nodes[i].Name] = word(&old.Status.Nodes[i])
	}
	for i := range c.Status.Nodes {
		n := &c.Status.Nodes[i]
		before, known := was[n.Name]
		delete(was, n.Name)
		if now := word(n); now != before || !known {
			say("%s %s", n.Name, now)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		say("%s is gone", name)
	}
}

// word is the state of a node and why it is so.
func word(n *v1alpha1.NodeStatus) string {
	for i := range n.Instances {
		instance := &n.Instances[i]
		switch {
		case instance.Name != n.Primary:
		case instance.Serving:
			return "serves"
		case instance.State == "":
			return "Pending" + after(": ", instance.Message)
		default:
			return instance.State + after(": ", instance.Message)
		}
	}
	return "Pending"
}
