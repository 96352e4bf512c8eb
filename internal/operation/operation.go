// SPDX-License-Identifier: Apache-2.0

// Package operation decides how an AntDBOperation goes on: which step is next, what instances are told to do, which
// nodes come and go, and how everything is undone when a step fails or somebody cancels.
//
// It is pure, and it remembers nothing: the journal in the operation's status is all that a new operator goes on from.
// A step is therefore written down as Running before anything is done for it, and everything that a step does may be
// done again. It knows no Kubernetes object but the operation, and the instances only by their words.
package operation

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// Facts are what was observed of the cluster.
type Facts struct {
	Cluster *spec.Cluster
	// Members as they were written last.
	Members []v1alpha1.MemberStatus
	// Nodes by name; one that is out of the cluster already has none.
	Nodes map[string]Node
	// Unsynced are nodes that must hold the wanted catalog and do not, with the reason. Absent are coordinators among
	// them that are known to be down: they get it before they serve again.
	Unsynced, Absent []string
	// Overdue tells which coordinator has been down for so long that it shall be taken out, which only another operation
	// can do; empty if none has.
	Overdue string
	// Empty is what gc answered for datanodes that shall be empty; one that it did not answer for is missing.
	Empty map[string]instanceapi.Emptiness
	Now   metav1.Time
}

// Node is what was observed of one node.
type Node struct {
	// Host is its address in the catalog.
	Host string
	// Exists says that a pod or a Service of it is there, Volumes that a claim is.
	Exists, Volumes bool
	// Going says that what exists of it is being deleted, Down that its server is known not to run.
	Going, Down bool
	// Status is what its instance says; nil without an answer, and then Why says why.
	Status  *instanceapi.Status
	Why     string
	Serving bool
}

// Order is one request to an instance. The set is closed; each one may be given again.
type Order interface {
	String() string
	// To is the node that it goes to.
	To() string
}

// Lock asks gc to hold or to give up the lock that keeps DDL out.
type Lock struct{ instanceapi.Lock }

// Join asks a new node to make its data, or tells it that they are kept.
type Join struct {
	Node string
	instanceapi.Join
}

// Drain asks a coordinator to let its sessions end.
type Drain struct {
	Node string
	instanceapi.Drain
}

// Move asks gc to move rows.
type Move struct{ instanceapi.Move }

// Feed asks a datanode to keep its log for copies of it.
type Feed struct {
	Node string
	instanceapi.Feed
}

// Split asks gc to divide datanodes with new ones, and Clean to remove what lies twice after that.
type (
	Split struct{ instanceapi.Split }
	Clean struct{ instanceapi.Clean }
)

// To is gc: the lock is held there.
func (Lock) To() string { return antdb.GTMNode }

// To is the new node.
func (o Join) To() string { return o.Node }

// To is the coordinator.
func (o Drain) To() string { return o.Node }

// To is gc, which moves the rows.
func (Move) To() string { return antdb.GTMNode }

// To is the datanode that is copied.
func (o Feed) To() string { return o.Node }

// To is gc, which divides the datanodes.
func (Split) To() string { return antdb.GTMNode }

// To is gc: it knows what lies twice.
func (Clean) To() string { return antdb.GTMNode }

func (o Lock) String() string {
	if o.Hold {
		return "hold the lock that keeps DDL out (" + o.Token + ")"
	}
	return "give up the lock that keeps DDL out (" + o.Token + ")"
}

func (o Join) String() string {
	if o.Keep {
		return "keep the data of " + o.Node
	}
	return fmt.Sprintf("fill %s from %s (%s)", o.Node, o.From, o.Kind)
}

func (o Drain) String() string {
	if o.Stop {
		return "let sessions in again on " + o.Node
	}
	return fmt.Sprintf("let the sessions of %s end within %d s", o.Node, o.GraceSeconds)
}

func (o Move) String() string {
	what := "spread tables over " + strings.Join(o.Onto, ", ")
	if len(o.Off) > 0 {
		what = "move all rows off " + strings.Join(o.Off, ", ")
	}
	switch {
	case o.Cancel:
		return "stop moving rows"
	case o.PlanOnly:
		return "plan: " + what
	default:
		return what
	}
}

func (o Feed) String() string {
	if len(o.Slots) == 0 {
		return "let the log of " + o.Node + " go"
	}
	return "keep the log of " + o.Node + " for " + strings.Join(o.Slots, ", ")
}

func (o Split) String() string {
	var what []string
	for _, p := range o.Pairs {
		what = append(what, p.Source+" with "+p.Target.Name)
	}
	text := "divide " + strings.Join(what, ", ") + " (" + o.Token + ")"
	switch {
	case o.Cancel:
		return "stop before datanodes are divided (" + o.Token + ")"
	case o.PlanOnly:
		return "plan: " + text
	}
	return text
}

func (Clean) String() string { return "remove the rows that lie twice" }

// Event is told on the cluster and on the operation.
type Event struct {
	Warning         bool
	Reason, Message string
}

// Decision is what follows. Status and Members are to be written; orders follow from what was written before.
type Decision struct {
	Status  v1alpha1.AntDBOperationStatus
	Members []v1alpha1.MemberStatus
	Orders  []Order
	Events  []Event
}

// run is one decision in the making.
type run struct {
	op *v1alpha1.AntDBOperation
	f  *Facts
	Decision
}

// Next decides how a running operation goes on.
func Next(op *v1alpha1.AntDBOperation, f *Facts) Decision {
	r := &run{op: op, f: f, Decision: Decision{Status: *op.Status.DeepCopy(), Members: slices.Clone(f.Members)}}
	if op.Status.Phase == v1alpha1.OperationRunning && cancelled(op) && !op.Status.PointOfNoReturn {
		r.beginUndo("cancelled")
	}
	if f.Overdue != "" && op.Status.Phase == v1alpha1.OperationRunning && r.Status.Phase == v1alpha1.OperationRunning && !op.Status.PointOfNoReturn {
		r.giveUp(f.Overdue)
	}
	if r.Status.Phase == v1alpha1.OperationUndoing {
		r.undo()
	} else {
		r.forward()
	}
	r.keepDraining()
	r.keepLock()
	r.keepFeeding()
	r.Members = spec.Sorted(r.Members)
	return r.Decision
}

// cancelled tells whether somebody wants the operation to end: an operation that is deleted is cancelled.
func cancelled(op *v1alpha1.AntDBOperation) bool {
	return op.Spec.Cancel || op.DeletionTimestamp != nil
}

// Ended tells whether nothing will happen any more.
func Ended(op *v1alpha1.AntDBOperation) bool {
	switch op.Status.Phase {
	case v1alpha1.OperationCompleted, v1alpha1.OperationCancelled, v1alpha1.OperationFailed, v1alpha1.OperationRefused:
		return true
	case v1alpha1.OperationPending, v1alpha1.OperationRunning, v1alpha1.OperationUndoing:
	}
	return false
}

// role of the nodes that the operation is about.
func role(op *v1alpha1.AntDBOperation) antdb.Role {
	if len(op.Spec.Nodes) > 0 && strings.HasPrefix(op.Spec.Nodes[0], "cn") {
		return antdb.RoleCoordinator
	}
	return antdb.RoleDatanode
}

// nodes of the operation in the order of their numbers.
func (r *run) nodes() []string {
	return slices.SortedFunc(slices.Values(r.op.Spec.Nodes), spec.Compare)
}

// token names what this attempt asks for.
func (r *run) token() string { return token(r.op) }

func token(op *v1alpha1.AntDBOperation) string {
	return fmt.Sprintf("%s/%d", op.UID, op.Status.Attempt)
}

func (r *run) event(warning bool, reason, format string, args ...any) {
	r.Events = append(r.Events, Event{Warning: warning, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func (r *run) order(o Order) { r.Orders = append(r.Orders, o) }

// status is what the instance of a node says; nil without an answer.
func (r *run) status(node string) *instanceapi.Status { return r.f.Nodes[node].Status }

// active are the active members of a role, without those named.
func (r *run) active(role antdb.Role, without ...string) []string {
	var out []string
	for _, m := range r.f.Members {
		of, _, err := antdb.ParseNodeName(m.Name)
		if err == nil && of == role && m.State == v1alpha1.MemberActive && !slices.Contains(without, m.Name) {
			out = append(out, m.Name)
		}
	}
	return out
}

// member returns the place of a node among the members that will be written; nil if it has none.
func (r *run) member(name string) *v1alpha1.MemberStatus {
	for i := range r.Members {
		if r.Members[i].Name == name {
			return &r.Members[i]
		}
	}
	return nil
}

// written tells whether a node is a member in that state by what was written last.
func (r *run) written(name string, state v1alpha1.MemberState) bool {
	return slices.ContainsFunc(r.f.Members, func(m v1alpha1.MemberStatus) bool { return m.Name == name && m.State == state })
}

// turn changes the state of members.
func (r *run) turn(names []string, from, to v1alpha1.MemberState) {
	for _, name := range names {
		if m := r.member(name); m != nil && m.State == from {
			m.State = to
		}
	}
}

// behind are all nodes that do not hold the wanted catalog. Steps that only take nodes out do not wait for those that are
// down: nobody is reached through what stands there too much, and gc must know before, since it would wait for it.
func (r *run) behind() []string { return slices.Concat(r.f.Unsynced, r.f.Absent) }

func list(names []string) string { return strings.Join(names, ", ") }
