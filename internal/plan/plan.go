// SPDX-License-Identifier: Apache-2.0

// Package plan decides. From the effective spec of a cluster and what was observed it computes everything that follows:
// objects to apply, actions to take, and the status to report. It is pure: the same input always gives the same plan,
// so every decision can be read as a table of cases.
package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/render"
	"github.com/antdb-operator/antdb-operator/internal/spec"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Snapshot is what was observed of one cluster. What could not be read is a fact too.
type Snapshot struct {
	Pods     []corev1.Pod
	Claims   []corev1.PersistentVolumeClaim
	Services []corev1.Service
	// Expandable tells which storage classes let volumes grow; DefaultClass is the class of claims that name none.
	Expandable   map[string]bool
	DefaultClass string
	// Instances maps pod names to what their instance manager says.
	Instances map[string]Instance
	// Secrets is the version of the generated Secrets that pods mount.
	Secrets string
	// MissingSecrets are Secrets that the user named and that do not exist.
	MissingSecrets []string
	// Passwords are those of managed roles that have a Secret, by the name of the role.
	Passwords map[string]Password
	// Findings are rules of the spec that are broken; nothing is changed while there are any.
	Findings []string
	// Held tells what of an earlier cluster of the same name must go before anything is made.
	Held string
	// Status is the last status that was written. Only its durable parts are read: conditions that stay true, the
	// generation of the topology, and the coordinators that gc was told to forget.
	Status v1alpha1.AntDBClusterStatus
	// Operations on this cluster, and Empty what gc says of datanodes that shall be empty.
	Operations []v1alpha1.AntDBOperation
	Empty      map[string]instanceapi.Emptiness
	// Reach is what the last statement through a coordinator said of the other nodes; nil if none was run.
	Reach *instanceapi.Reach
}

// Instance is what is known of one instance: its own words, or why it gave none.
type Instance struct {
	Status *instanceapi.Status
	Error  string
}

// Plan is what follows from a snapshot.
type Plan struct {
	// First are objects that others build on; then come Claims, which the scheduler looks for as soon as there is a pod,
	// and Then what needs both. Each list is applied in parallel.
	First, Claims, Then []runtime.ApplyConfiguration
	// Actions in the order of their importance. Independent ones run in parallel.
	Actions []Action
	// Status to report.
	Status v1alpha1.AntDBClusterStatus
	// Events that tell what changed since the last status.
	Events []Event
	// Topology that was planned with, for the actions that hand it out.
	Topology topology.Topology
	// Operations are the statuses of operations to write, by name.
	Operations map[string]v1alpha1.AntDBOperationStatus
	// Again is after how many seconds to look again where no event will tell; 0 for never.
	Again int64
}

// Event is one Kubernetes Event on the cluster.
type Event struct {
	Warning         bool
	Reason, Message string
	// Done marks what was carried out with this plan: it is told even if the status could not be written, since it is
	// not planned a second time.
	Done bool
}

// node is a node with everything that was observed of it.
type node struct {
	spec.Node
	instance string // name of its primary instance
	pod      *corev1.Pod
	status   *instanceapi.Status
	err      string
	claims   map[string]*corev1.PersistentVolumeClaim // by naming.VolumeData or naming.VolumeWAL
	refused  string                                   // why its volumes are not touched, until somebody acts
	held     string                                   // what of an earlier cluster must go first, which it does by itself
	halted   bool                                     // the cluster is stopped, or about to be
}

// planner carries one computation of a plan.
type planner struct {
	want     *spec.Cluster
	snap     *Snapshot
	op       render.Operator
	nodes    []node
	plan     Plan
	topology topology.Topology // what coordinators shall hold
	known    bool              // whether topology is complete
	progress *condition        // what is being changed, the most important first

	sizeRefused   []string // sizes that a volume cannot get
	diverged      []string // coordinators that came back with another schema
	escaping      bool     // gc is being made to forget coordinators
	escapeRefused []string // why a request to let gc go on is refused

	rolesTold *instanceapi.RolesStatus // what a coordinator says of exactly the roles that are wanted; nil if none does
	rolesWait string                   // what keeps roles from being made

	operating *v1alpha1.AntDBOperation // the operation that runs
	stuck     string                   // why the counts are not what there is, although nothing runs
}

// Cluster computes the plan of one cluster.
func Cluster(want *spec.Cluster, snap *Snapshot, op render.Operator, now metav1.Time) Plan {
	p := &planner{want: want, snap: snap, op: op}
	p.plan.Status.Topology, p.plan.Status.FirstReady = snap.Status.Topology, snap.Status.FirstReady
	p.plan.Status.Members = snap.Status.Members
	p.gather()
	if len(snap.Findings) > 0 || snap.Held != "" {
		p.refuse(now)
		return p.plan
	}
	if want.Paused {
		p.look(now)
		return p.plan
	}
	p.members(now)
	p.objects()
	p.volumes()
	p.pods()
	p.remnants()
	if p.halts() {
		p.halt()
	} else {
		p.topologies()
		p.configurations()
		p.gtm()
		p.bootstrap()
		p.credentials()
		p.roles()
	}
	p.operations(now)
	p.rollout()
	p.requests()
	p.report(now)
	p.plan.Topology = p.topology
	return p.plan
}

// Objects is the part of a plan that needs no answer of any instance: what to apply. It is carried out before instances
// are asked, so that a pod that is missing never waits for others that are slow to answer.
func Objects(want *spec.Cluster, snap *Snapshot, op render.Operator) (first, claims, then []runtime.ApplyConfiguration) {
	if len(snap.Findings) > 0 || snap.Held != "" || want.Paused {
		return nil, nil, nil
	}
	p := &planner{want: want, snap: snap, op: op}
	p.gather()
	p.objects()
	p.volumes()
	p.pods()
	return p.plan.First, p.plan.Claims, p.plan.Then
}

// gather puts what was observed beside the node it belongs to.
func (p *planner) gather() {
	for _, n := range p.want.Nodes {
		// The first instance of a node has the number 1; numbers are never reused.
		x := node{Node: n, instance: naming.Instance(p.want.Name, n.Name, 1), halted: p.halts(), claims: map[string]*corev1.PersistentVolumeClaim{}}
		for i := range p.snap.Pods {
			if p.snap.Pods[i].Name == x.instance {
				x.pod = &p.snap.Pods[i]
			}
		}
		if i, ok := p.snap.Instances[x.instance]; ok {
			x.status, x.err = i.Status, i.Error
		}
		for _, v := range render.Volumes(n, x.instance) {
			for i := range p.snap.Claims {
				if p.snap.Claims[i].Name == v.Name {
					x.claims[v.Kind] = &p.snap.Claims[i]
				}
			}
		}
		p.nodes = append(p.nodes, x)
	}
	addresses := map[string]string{}
	for _, n := range p.want.Nodes {
		addresses[n.Name] = p.clusterIP(naming.NodeService(p.want.Name, n.Name))
	}
	p.topology, p.known = p.want.Topology(addresses)
}

func (p *planner) clusterIP(service string) string {
	for i := range p.snap.Services {
		if p.snap.Services[i].Name == service && p.ours(&p.snap.Services[i]) {
			return p.snap.Services[i].Spec.ClusterIP
		}
	}
	return ""
}

// ours tells an object of this cluster from one that a deleted cluster of the same name left behind.
func (p *planner) ours(o metav1.Object) bool {
	owner := metav1.GetControllerOf(o)
	return owner != nil && string(owner.UID) == p.want.UID
}

// objects are applied at every pass; an object that is as wanted costs no write.
func (p *planner) objects() {
	c := p.want
	for _, s := range render.Services(c) {
		p.plan.First = append(p.plan.First, s)
	}
	instances := make([]string, 0, len(p.nodes))
	for i := range p.nodes {
		if p.nodes[i].Runs() {
			instances = append(instances, p.nodes[i].instance)
		}
	}
	p.plan.First = append(p.plan.First, render.ServiceAccount(c), render.Role(c, instances), render.ConfigMap(c))
	p.plan.Then = append(p.plan.Then, render.RoleBinding(c)) // the API server refuses a binding to a role that it does not know yet
	for _, b := range render.PodDisruptionBudgets(c) {
		p.plan.First = append(p.plan.First, b)
	}
	for _, n := range render.NetworkPolicies(c, p.op) {
		p.plan.First = append(p.plan.First, n)
	}
}

// running tells whether the instance answers and its server accepts connections.
func (n *node) running() bool { return n.status != nil && n.status.Accepting }

// serving tells whether SQL runs on the instance and its Services publish it: Kubernetes learns of a pod's readiness,
// and of its label that the application Service selects, a moment after the instance does.
func (n *node) serving() bool {
	return n.status != nil && n.status.Serving && n.pod != nil && PodReady(n.pod) && n.pod.Labels[naming.LabelServing] == "true"
}

// why tells in words why the node does not serve.
func (n *node) why() string {
	switch {
	case n.refused != "" || n.held != "":
		return n.refused + n.held
	case n.pod == nil && n.halted:
		return "the cluster is stopped"
	case n.pod == nil:
		return "its pod does not exist yet"
	case n.pod.DeletionTimestamp != nil:
		return "its pod is being deleted"
	case n.status == nil:
		return podTrouble(n.pod, n.err)
	case n.status.Message != "":
		return n.status.Message
	case n.status.Serving && !PodReady(n.pod):
		return "Kubernetes has not found its pod ready yet"
	case n.status.Serving:
		return "its pod is not published as serving yet"
	default:
		return strings.ToLower(string(n.status.State))
	}
}

// podTrouble is what Kubernetes says about a pod that gives no answer.
func podTrouble(pod *corev1.Pod, err string) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "unschedulable: " + c.Message
		}
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := s.State.Waiting; w != nil && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
			return strings.TrimSuffix(w.Reason+": "+w.Message, ": ")
		}
	}
	if err != "" {
		return "no answer from its instance manager: " + err
	}
	return "its pod is " + strings.ToLower(string(pod.Status.Phase))
}

// missing are the nodes that gc would wait for: registered ones without a running server.
func (p *planner) missing() []string {
	var out []string
	for i := range p.nodes {
		if n := &p.nodes[i]; n.Role != antdb.RoleGTM && n.Registered && !n.running() {
			out = append(out, n.Name)
		}
	}
	return out
}

// node returns the observed node of that name.
func (p *planner) node(name string) *node {
	for i := range p.nodes {
		if p.nodes[i].Name == name {
			return &p.nodes[i]
		}
	}
	return nil
}

// coordinators that are neither coming nor going, in the order of their names, gc not among them.
func (p *planner) coordinators() []*node {
	var out []*node
	for i := range p.nodes {
		if n := &p.nodes[i]; n.Role == antdb.RoleCoordinator && n.State == v1alpha1.MemberActive {
			out = append(out, &p.nodes[i])
		}
	}
	return out
}

func (p *planner) act(a ...Action) { p.plan.Actions = append(p.plan.Actions, a...) }

func (p *planner) event(warning bool, reason, format string, args ...any) {
	p.plan.Events = append(p.plan.Events, Event{Warning: warning, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// did notes an event of something that is carried out with this plan.
func (p *planner) did(reason, format string, args ...any) {
	p.plan.Events = append(p.plan.Events, Event{Reason: reason, Message: fmt.Sprintf(format, args...), Done: true})
}

// again asks for another look; the earliest wins.
func (p *planner) again(seconds int64) {
	if p.plan.Again == 0 || seconds < p.plan.Again {
		p.plan.Again = max(seconds, 1)
	}
}

// progressing notes what is being changed; what is noted first stays.
func (p *planner) progressing(reason, format string, args ...any) {
	if p.progress == nil {
		p.progress = &condition{reason: reason, message: fmt.Sprintf(format, args...)}
	}
}
