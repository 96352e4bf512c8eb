// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Cluster is the state of one cluster: what is not fine and what to do about it, its nodes as a tree, and its operations
// that have not ended. Nodes that are fine are folded into one line unless all is set.
func Cluster(s Style, c *v1alpha1.AntDBCluster, operations []v1alpha1.AntDBOperation, all bool) string {
	return ClusterWith(s, c, operations, all, nil)
}

// ClusterWith shows also what instances told of themselves: positions in the write-ahead log, volumes, restarts.
func ClusterWith(s Style, c *v1alpha1.AntDBCluster, operations []v1alpha1.AntDBOperation, all bool, told *examine.Facts) string {
	l := &lines{style: s}
	phase := c.Status.Phase
	if phase == "" {
		phase = "New"
	}
	l.add(s.paint(bold, c.Name), "  ", s.paint(phaseTone(phase), phase), "  ", c.Status.ReadyNodes, " nodes serve, ",
		whole(s.Now.Sub(c.CreationTimestamp.Time)), " old, namespace ", c.Namespace)
	l.add("applications connect to ", fmt.Sprintf("%s:%d", naming.Host(naming.ApplicationService(c.Name), c.Namespace), naming.PortSQL))
	if c.Status.ObservedGeneration < c.Generation {
		l.add(s.paint(yellow, "the operator has not seen the latest spec yet"))
	}
	l.add()
	for _, role := range []antdb.Role{antdb.RoleGTM, antdb.RoleCoordinator, antdb.RoleDatanode} {
		s.role(l, c, role, all, told)
	}
	s.topology(l, c)
	s.conditions(l, c)
	running := slices.DeleteFunc(slices.Clone(operations), func(o v1alpha1.AntDBOperation) bool { return Ended(&o) })
	if len(running) > 0 {
		l.add()
		l.WriteString(Operations(s, running, OperationsOptions{}))
	}
	return l.String()
}

func phaseTone(phase string) string {
	switch phase {
	case "Ready":
		return green
	case "Creating", "Updating", "New", "Stopping", "Stopped", "Starting", "Paused":
		return yellow
	}
	return red
}

// fine tells whether nothing needs to be said about a node.
func fine(n *v1alpha1.NodeStatus) bool {
	for i := range n.Instances {
		instance := &n.Instances[i]
		if !instance.Ready || !instance.Serving && instance.Role == naming.InstancePrimary ||
			len(instance.PendingRestart)+len(instance.StaleCredentials) > 0 {
			return false
		}
	}
	return len(n.Instances) > 0
}

// count sums the nodes of a role up.
func count(gone, serve, total int) string {
	if gone > 0 {
		return fmt.Sprintf("%d of %d stopped", gone, total)
	}
	return fmt.Sprintf("%d of %d fine", serve, total)
}

// stopped tells whether the pod of a node is gone since its cluster is stopped.
func stopped(n *v1alpha1.NodeStatus) bool {
	for i := range n.Instances {
		if n.Instances[i].Name == n.Primary {
			return stage(&n.Instances[i]) == StageStopped
		}
	}
	return false
}

// role draws the nodes of a role.
func (s Style) role(l *lines, c *v1alpha1.AntDBCluster, role antdb.Role, all bool, told *examine.Facts) {
	member := map[string]v1alpha1.MemberStatus{}
	for _, m := range c.Status.Members {
		member[m.Name] = m
	}
	var folded, gone []string
	var branches []func(stem, under string)
	total, serve := 0, 0
	for i := range c.Status.Nodes {
		n := &c.Status.Nodes[i]
		if n.Role != string(role) {
			continue
		}
		total++
		if fine(n) {
			serve++
		}
		if state := member[n.Name].State; fine(n) && !all && (state == v1alpha1.MemberActive || state == "") {
			folded = append(folded, n.Name)
			continue
		}
		if stopped(n) && !all {
			gone = append(gone, n.Name)
			continue
		}
		branches = append(branches, func(stem, under string) { s.node(l, n, member[n.Name], told, stem, under) })
	}
	for _, fold := range []struct {
		names      []string
		word, tone string
	}{{gone, "stopped", yellow}, {folded, "fine", green}} {
		if len(fold.names) > 0 {
			branches = append([]func(stem, under string){func(stem, _ string) {
				l.add(stem, strings.Join(fold.names, ", "), "  ", s.paint(fold.tone, fold.word))
			}}, branches...)
		}
	}
	branches = append(branches, s.retained(l, c, role)...)
	if total > 0 {
		l.add(s.paint(bold, plural(role, total)), "  ", count(len(gone), serve, total))
	}
	for i, draw := range branches {
		if i == len(branches)-1 {
			draw("└─ ", "   ")
		} else {
			draw("├─ ", "│  ")
		}
	}
}

// retained draws the nodes of a role that were removed and whose volumes are kept.
func (s Style) retained(l *lines, c *v1alpha1.AntDBCluster, role antdb.Role) []func(stem, under string) {
	var out []func(stem, under string)
	for _, m := range c.Status.Members {
		if r, _, err := antdb.ParseNodeName(m.Name); err != nil || r != role || m.State != v1alpha1.MemberRetained {
			continue
		}
		until := "for good"
		if m.RetainUntil != nil {
			until = "for another " + whole(m.RetainUntil.Sub(s.Now))
		}
		out = append(out, func(stem, _ string) { l.add(stem, m.Name, "  removed; its volumes are kept ", until) })
	}
	return out
}

func plural(role antdb.Role, n int) string {
	if role == antdb.RoleGTM || n == 1 {
		return string(role)
	}
	return string(role) + "s"
}

// node draws one node and its instances.
func (s Style) node(l *lines, n *v1alpha1.NodeStatus, m v1alpha1.MemberStatus, told *examine.Facts, stem, under string) {
	about := ""
	if m.State == v1alpha1.MemberJoining || m.State == v1alpha1.MemberLeaving {
		about = "  " + s.paint(yellow, strings.ToLower(string(m.State)))
	}
	l.add(stem, s.paint(bold, n.Name), about, "  ", s.paint(dim, n.Address), "  ", n.ClusterIP)
	for i := range n.Instances {
		instance := &n.Instances[i]
		state := instance.State
		if state == "" {
			state = "Pending"
		}
		paint := red
		if fine(&v1alpha1.NodeStatus{Instances: n.Instances[i : i+1]}) {
			paint = green
		}
		where := instance.Host
		if where == "" {
			where = "no host"
		}
		var volumes []string
		for _, v := range instance.Volumes {
			volumes = append(volumes, v.Name+" "+v.Requested)
		}
		l.add(under, instance.Name, "  ", s.paint(paint, state), "  ", instance.Role, "  on ", where, "  ", instance.PodIP)
		if len(volumes) > 0 {
			l.add(under, "  volumes: ", strings.Join(volumes, ", "))
		}
		if told != nil && instance.Name == n.Primary {
			l.add(under, "  ", s.told(told, n.Name, instance.Name))
		}
		for _, text := range troubles(instance) {
			l.paragraph(under+"  ", text)
		}
	}
}

// told is what an instance told of itself, and how often its container was started again.
func (s Style) told(f *examine.Facts, node, instance string) string {
	p := f.Probes[node]
	var words []string
	if p.LSN != "" {
		words = append(words, "WAL at "+p.LSN)
	}
	for _, kind := range []string{naming.VolumeData, naming.VolumeWAL} {
		if v, ok := p.Volumes[kind]; ok && v.Capacity > 0 {
			taken := v.Capacity - v.Free
			words = append(words, s.paint(fullTone(taken, v.Capacity), kind+" "+percent(float64(taken)/float64(v.Capacity))+" of "+Bytes(v.Capacity)))
		}
	}
	if pod := f.Pods[instance]; pod != nil {
		restarts := 0
		for _, c := range pod.Status.ContainerStatuses {
			restarts += int(c.RestartCount)
		}
		words = append(words, Noun(restarts, "restart"))
	}
	if p.Err != "" {
		words = append(words, "it cannot be asked: "+clean(p.Err))
	}
	return strings.Join(words, ", ")
}

func troubles(i *v1alpha1.InstanceStatus) []string {
	var out []string
	if i.Message != "" {
		out = append(out, i.Message)
	}
	if len(i.PendingRestart) > 0 {
		out = append(out, "waits for a restart: "+strings.Join(i.PendingRestart, ", "))
	}
	if len(i.StaleCredentials) > 0 {
		out = append(out, "password not applied yet: "+strings.Join(i.StaleCredentials, ", "))
	}
	return out
}

// topology tells whether the catalogs agree.
func (s Style) topology(l *lines, c *v1alpha1.AntDBCluster) {
	t := c.Status.Topology
	if len(t.SyncedOn) > 0 {
		l.add(s.paint(bold, "node catalog"), "  right on ", strings.Join(t.SyncedOn, ", "))
	}
	if len(t.Deregistered) > 0 {
		l.add(s.paint(yellow, "left out on request"), "  ", strings.Join(t.Deregistered, ", "))
	}
}

// conditions tells of those that are not fine, and what to do.
func (s Style) conditions(l *lines, c *v1alpha1.AntDBCluster) {
	for _, d := range c.Status.Conditions {
		progressing := d.Type == v1alpha1.ConditionProgressing
		halted := d.Reason == v1alpha1.ReasonStopped || d.Reason == v1alpha1.ReasonStopping
		fine := progressing != (d.Status == metav1.ConditionTrue) && d.Reason != v1alpha1.ReasonPaused
		if fine || halted && !progressing && d.Type != v1alpha1.ConditionReady {
			continue
		}
		l.add()
		paint := red
		if progressing || halted || d.Reason == v1alpha1.ReasonStarting {
			paint = yellow
		}
		l.add(s.paint(paint, d.Type+"="+string(d.Status)), "  ", d.Reason, " for ", whole(s.Now.Sub(d.LastTransitionTime.Time)))
		l.paragraph("  ", d.Message)
		if next := advice(c, d.Reason); next != "" {
			l.paragraph("  → ", next)
		}
	}
}

// advice is the next thing to do about a condition that is not fine.
func advice(c *v1alpha1.AntDBCluster, reason string) string {
	switch reason {
	case v1alpha1.ReasonNodesNotServing:
		return logsOfMissing(c)
	case v1alpha1.ReasonPaused:
		return "kubectl antdb resume " + c.Name
	case v1alpha1.ReasonStopped:
		return "kubectl antdb start " + c.Name
	case v1alpha1.ReasonStopPending:
		return "to stop it now, cancel the operation first: kubectl antdb operations " + c.Name
	case v1alpha1.ReasonDatanodesUnreachable, v1alpha1.ReasonCoordinatorsUnreachable:
		return "see whether the names of the nodes can be resolved and their ports reached: kubectl antdb logs --cluster " + c.Name
	case v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonParameterRejected, v1alpha1.ReasonResizeRefused:
		return "correct the spec: kubectl edit adb " + c.Name
	case v1alpha1.ReasonSecretMissing:
		return "make the Secret that is missing, or correct its name: kubectl edit adb " + c.Name
	case v1alpha1.ReasonVolumeRefused:
		return "look whose volume it is; one that is not needed any more may be deleted: kubectl get pvc -l antdb.io/cluster=" + c.Name
	case v1alpha1.ReasonGTMDown:
		return "kubectl antdb logs gc --cluster " + c.Name
	case v1alpha1.ReasonGTMWaitsForNodes:
		return "bring the missing nodes back; the message tells how to go on without a coordinator"
	case v1alpha1.ReasonRoleFailed:
		return "change the spec or the Secret; what there is:  kubectl antdb user list " + c.Name
	case v1alpha1.ReasonBootstrapFailed:
		return "the statement runs once only: repair what it needs with kubectl antdb psql " + c.Name + ", or make the cluster anew"
	}
	return ""
}

// logsOfMissing shows the log of the first node that does not serve.
func logsOfMissing(c *v1alpha1.AntDBCluster) string {
	for _, n := range c.Status.Nodes {
		for _, i := range n.Instances {
			if i.Name == n.Primary && !i.Serving {
				return "kubectl antdb logs " + n.Name + " --cluster " + c.Name
			}
		}
	}
	return ""
}

// Event is one line about something that happened.
func Event(s Style, at time.Time, kind, object, reason, message string) string {
	paint := ""
	if kind == "Warning" {
		paint = yellow
	}
	return fmt.Sprintf("%s  %s  %-14s %s %s", at.In(s.Now.Location()).Format(time.DateTime), s.paint(paint, fmt.Sprintf("%-7s", kind)), object,
		s.paint(bold, fmt.Sprintf("%-18s", reason)), clean(message))
}
