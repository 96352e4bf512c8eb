// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/render"
)

// report computes the whole status, once, at the end, and the events that tell what changed.
func (p *planner) report(now metav1.Time) {
	s := &p.plan.Status
	s.ObservedGeneration = p.want.Generation
	s.Topology.SyncedOn = nil
	serving, all := 0, 0
	for i := range p.nodes {
		n := &p.nodes[i]
		if n.Counts() {
			all++
		}
		if n.Counts() && n.serving() {
			serving++
		}
		s.Nodes = append(s.Nodes, p.nodeStatus(n))
		if n.Role.HoldsCatalog() && n.Registered && p.synced(n) {
			s.Topology.SyncedOn = append(s.Topology.SyncedOn, n.Name)
		}
	}
	s.ReadyNodes = fmt.Sprintf("%d/%d", serving, all)
	s.ManagedRoles = p.managedRoles()

	c := map[string]condition{
		v1alpha1.ConditionTopologySynced:       p.topologySynced(),
		v1alpha1.ConditionGTMAvailable:         p.gtmAvailable(),
		v1alpha1.ConditionBootstrapped:         p.bootstrappedCondition(),
		v1alpha1.ConditionConfigurationApplied: p.configurationApplied(),
		v1alpha1.ConditionVolumesHealthy:       p.volumesHealthy(),
		v1alpha1.ConditionRolesReconciled:      p.rolesReconciled(),
	}
	c[v1alpha1.ConditionReady] = p.ready(c)
	if r := c[v1alpha1.ConditionReady].reason; r == v1alpha1.ReasonStopping || r == v1alpha1.ReasonStopped {
		silence(c, c[v1alpha1.ConditionReady])
	}
	if c[v1alpha1.ConditionReady].status && s.FirstReady == nil {
		s.FirstReady = &now
	}
	c[v1alpha1.ConditionProgressing] = p.progressingCondition(c[v1alpha1.ConditionReady])
	p.conditions(c, now)
	s.Phase = p.phase(c)
	p.tell(c)
}

// conditions puts conditions beside those of the last status.
func (p *planner) conditions(all map[string]condition, now metav1.Time) {
	s := &p.plan.Status
	s.Conditions = slices.Clone(p.snap.Status.Conditions)
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		c := all[kind]
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{
			Type: kind, Status: c.value(), Reason: c.reason, Message: c.message,
			ObservedGeneration: p.want.Generation, LastTransitionTime: now,
		})
	}
}

// refuse reports why nothing is done: the spec breaks a rule, or an earlier cluster's objects must go first. Nothing else
// of the status is touched: whatever runs, runs on.
func (p *planner) refuse(now metav1.Time) {
	message := strings.Join(p.snap.Findings, "; ")
	if message == "" {
		p.plan.Status = *p.snap.Status.DeepCopy()
		p.plan.Status.ObservedGeneration, p.plan.Status.Phase = p.want.Generation, "Creating"
		p.conditions(map[string]condition{v1alpha1.ConditionReady: no(v1alpha1.ReasonCreating, "%s", p.snap.Held)}, now)
		return
	}
	p.plan.Status = *p.snap.Status.DeepCopy()
	p.plan.Status.ObservedGeneration, p.plan.Status.Phase = p.want.Generation, "Invalid"
	p.conditions(map[string]condition{
		v1alpha1.ConditionReady:       no(v1alpha1.ReasonInvalidSpec, "%s", message),
		v1alpha1.ConditionProgressing: no(v1alpha1.ReasonInvalidSpec, "nothing is changed while the spec breaks a rule"),
	}, now)
	if l := conditionOf(p.snap.Status.Conditions, v1alpha1.ConditionReady); l.Condition == nil || l.Message != message {
		p.event(true, v1alpha1.ReasonInvalidSpec, "%s", message)
	}
}

func (p *planner) progressingCondition(ready condition) condition {
	switch {
	case p.want.Paused:
		return p.paused()
	case ready.reason == v1alpha1.ReasonStopped:
		return no(v1alpha1.ReasonStopped, "nothing is changed while the cluster is stopped")
	case p.stuck != "":
		return no(v1alpha1.ReasonOperationFailed, "%s", p.stuck)
	case p.progress != nil:
		return condition{status: true, reason: p.progress.reason, message: p.progress.message}
	case !ready.status && !p.once():
		return yes(v1alpha1.ReasonCreating, "%s", ready.message)
	case !ready.status && p.starting():
		return yes(v1alpha1.ReasonStarting, "%s", ready.message)
	}
	if what := p.ahead(); what != "" {
		return yes(v1alpha1.ReasonOperationPending, "%s", what)
	}
	return no(v1alpha1.ReasonStable, "nothing is being changed")
}

// phase is one word for `kubectl get`.
func (p *planner) phase(all map[string]condition) string {
	ready, progress := all[v1alpha1.ConditionReady], all[v1alpha1.ConditionProgressing]
	switch {
	case p.want.Paused:
		return "Paused"
	case ready.reason == v1alpha1.ReasonStopped || ready.reason == v1alpha1.ReasonStopping:
		return ready.reason
	case ready.reason == v1alpha1.ReasonVolumeRefused:
		return "Refused"
	case ready.status && progress.status:
		return "Updating"
	case ready.status:
		return "Ready"
	case !p.once():
		return "Creating"
	case p.starting():
		return "Starting"
	case all[v1alpha1.ConditionGTMAvailable].reason == v1alpha1.ReasonGTMWaitsForNodes:
		return "GTMWaiting"
	case progress.status && progress.reason != v1alpha1.ReasonOperationPending: // which may wait for what is broken
		return "Updating"
	default:
		return "Degraded"
	}
}

func (p *planner) nodeStatus(n *node) v1alpha1.NodeStatus {
	s := v1alpha1.NodeStatus{Name: n.Name, Role: string(n.Role), Primary: n.instance,
		ClusterIP: p.clusterIP(naming.NodeService(p.want.Name, n.Name))}
	for _, row := range p.topology.Nodes {
		if row.Name == n.Name {
			s.Address = row.Host
		}
	}
	i := v1alpha1.InstanceStatus{Name: n.instance, Role: naming.InstancePrimary, State: "Pending", Volumes: p.volumesOf(n), RestartedFor: p.lastRestart(n)}
	i.ReloadedFor, i.ReloadError = p.lastReload(n)
	i.TopologySyncedFor, i.TopologyRepaired = p.lastComparison(n)
	switch {
	case n.pod == nil && n.halted:
		i.State = string(instanceapi.StateStopped)
	case n.pod != nil:
		i.Host, i.PodIP, i.Ready = n.pod.Spec.NodeName, n.pod.Status.PodIP, PodReady(n.pod)
	}
	if i.Serving = n.serving(); !i.Serving {
		i.Message = n.why()
	}
	if n.status != nil {
		i.State, i.Timeline, i.Version = string(n.status.State), n.status.Timeline, n.status.Version
		i.PendingRestart, i.StaleCredentials = n.status.Config.PendingRestart, n.status.StaleCredentials
		if n.status.Catalog != nil {
			i.Drifts = int32(min(n.status.Catalog.DriftSeen, math.MaxInt32)) //nolint:gosec // bounded by min
		}
	}
	s.Instances = []v1alpha1.InstanceStatus{i}
	return s
}

// PodReady tells whether a pod is ready and not about to go: before that no Service and no name leads to it.
func PodReady(pod *corev1.Pod) bool {
	_, ready := PodReadySince(pod)
	return ready
}

// PodReadySince tells since when as well, to the second.
func PodReadySince(pod *corev1.Pod) (since metav1.Time, ready bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.LastTransitionTime, c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return metav1.Time{}, false
}

func (p *planner) volumesOf(n *node) []v1alpha1.VolumeStatus {
	var out []v1alpha1.VolumeStatus
	for _, v := range render.Volumes(n.Node, n.instance) {
		claim := n.claims[v.Kind]
		if claim == nil {
			continue
		}
		requested := claim.Spec.Resources.Requests[corev1.ResourceStorage]
		s := v1alpha1.VolumeStatus{Name: v.Name, Requested: requested.String()}
		if have, ok := claim.Status.Capacity[corev1.ResourceStorage]; ok {
			s.Capacity = have.String()
		}
		out = append(out, s)
	}
	return out
}

// grows tells whether a claim has less than it asked for.
func grows(n *node, name string) bool {
	for _, claim := range n.claims {
		if claim.Name == name {
			have, want := claim.Status.Capacity[corev1.ResourceStorage], claim.Spec.Resources.Requests[corev1.ResourceStorage]
			return have.Cmp(want) < 0
		}
	}
	return false
}

// tell writes the events of what changed since the last status.
func (p *planner) tell(all map[string]condition) {
	before := p.snap.Status
	was := func(kind string) last { return conditionOf(before.Conditions, kind) }
	if !p.tellOfStop(was(v1alpha1.ConditionReady), was(v1alpha1.ConditionProgressing), all) {
		p.tellOfReady(was(v1alpha1.ConditionReady), all[v1alpha1.ConditionReady])
	}
	for kind, reason := range map[string]string{
		v1alpha1.ConditionTopologySynced:       v1alpha1.EventTopologySynced,
		v1alpha1.ConditionBootstrapped:         v1alpha1.EventBootstrapped,
		v1alpha1.ConditionConfigurationApplied: v1alpha1.EventParametersApplied,
	} {
		if c := all[kind]; c.status && was(kind).Condition != nil && !was(kind).isTrue() && c.reason != v1alpha1.ReasonNothingToBootstrap {
			p.event(false, reason, "%s", c.message)
		}
	}
	for kind, reason := range map[string]string{
		v1alpha1.ConditionGTMAvailable:         v1alpha1.ReasonGTMWaitsForNodes,
		v1alpha1.ConditionConfigurationApplied: v1alpha1.ReasonParameterRejected,
		v1alpha1.ConditionVolumesHealthy:       v1alpha1.ReasonResizeRefused,
		v1alpha1.ConditionBootstrapped:         v1alpha1.ReasonBootstrapFailed,
	} {
		c, last := all[kind], was(kind)
		if reason == v1alpha1.ReasonGTMWaitsForNodes && p.starting() {
			continue // all nodes are on their way to it
		}
		if c.reason == reason && (last.Condition == nil || last.Reason != reason || last.Message != c.message) {
			p.event(true, reason, "%s", c.message)
		}
	}
	p.tellOfPause(was(v1alpha1.ConditionProgressing))
	p.tellOfNodes(before)
	p.tellOfRoles(before.ManagedRoles)
	slices.SortStableFunc(p.plan.Events, func(a, b Event) int { return strings.Compare(a.Reason, b.Reason) })
}

// tellOfReady tells that the cluster began, became Ready, or ceased to be.
func (p *planner) tellOfReady(last last, ready condition) {
	switch {
	case last.Condition == nil && !ready.status:
		p.event(false, v1alpha1.EventCreating, "creating %s: one gtm_coord, %d coordinators, %d datanodes", p.want,
			p.want.Count(antdb.RoleCoordinator), p.want.Count(antdb.RoleDatanode))
	case ready.status && !last.isTrue():
		p.event(false, v1alpha1.EventReady, "%s", ready.message)
	case !ready.status && last.isTrue():
		p.event(true, v1alpha1.EventNotReady, "%s", ready.message)
	}
}

// tellOfNodes tells of single nodes that went and came back, once the cluster has been Ready. When all go or come, that is
// told as a whole.
func (p *planner) tellOfNodes(before v1alpha1.AntDBClusterStatus) {
	if !p.once() || p.halts() || p.starting() {
		return
	}
	for _, old := range before.Nodes {
		n := p.node(old.Name)
		if n == nil || !n.Counts() || len(old.Instances) == 0 {
			continue
		}
		p.tellOfDrift(n, old.Instances[0])
		p.tellOfPasswords(n, old.Instances[0])
		if was := old.Instances[0].Serving; was != n.serving() {
			if was {
				p.event(true, v1alpha1.EventNotReady, "%s does not serve: %s", n.Name, n.why())
			} else {
				p.event(false, v1alpha1.EventNodeRestarted, "%s serves again, address %s", n.Name, n.pod.Status.PodIP)
			}
		}
	}
}

// tellOfPasswords tells that changed passwords have been applied.
func (p *planner) tellOfPasswords(n *node, old v1alpha1.InstanceStatus) {
	if len(old.StaleCredentials) > 0 && n.serving() && len(n.status.StaleCredentials) == 0 {
		p.event(false, v1alpha1.EventCredentialsApplied, "%s: the changed password of %s is in force", n.Name, list(old.StaleCredentials))
	}
}

// tellOfDrift tells which rows of a node's catalog somebody else had changed.
func (p *planner) tellOfDrift(n *node, old v1alpha1.InstanceStatus) {
	if n.status == nil || n.status.Catalog == nil {
		return
	}
	if c := n.status.Catalog; c.DriftSeen > 0 && c.DriftSeen != int(old.Drifts) {
		p.event(true, v1alpha1.EventTopologyDrift, "%s: pgxc_node was changed by somebody else and is repaired: %s", n.Name, strings.Join(c.Drift, "; "))
	}
}
