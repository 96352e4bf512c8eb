// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// The engine's max_coordinators and max_datanodes; gc is one of the coordinators.
const (
	maxCoordinators = 15
	maxDatanodes    = 16
)

// retryAfter is how many seconds an operation of the operator's own that failed is left alone.
const retryAfter = 300

// Active is the operation that runs; nil if none does.
func Active(all []v1alpha1.AntDBOperation) *v1alpha1.AntDBOperation {
	for i := range all {
		if p := all[i].Status.Phase; p == v1alpha1.OperationRunning || p == v1alpha1.OperationUndoing {
			return &all[i]
		}
	}
	return nil
}

// Queue are the operations that have not begun, in the order in which they will.
func Queue(all []v1alpha1.AntDBOperation) []*v1alpha1.AntDBOperation {
	var out []*v1alpha1.AntDBOperation
	for i := range all {
		if p := all[i].Status.Phase; p == "" || p == v1alpha1.OperationPending {
			out = append(out, &all[i])
		}
	}
	evicts := func(op *v1alpha1.AntDBOperation) bool { return op.Spec.Type == v1alpha1.OperationEvictNodes }
	slices.SortStableFunc(out, func(a, b *v1alpha1.AntDBOperation) int {
		if evicts(a) != evicts(b) { // others wait for a cluster that is Ready, which an eviction may bring about
			if evicts(a) {
				return -1
			}
			return 1
		}
		if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
			return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// Arrange tells the effective cluster what the running operation makes of its nodes, by what was written down last.
func Arrange(want *spec.Cluster, op *v1alpha1.AntDBOperation) {
	for i := range want.Nodes {
		n := &want.Nodes[i]
		concerned := op != nil && slices.Contains(op.Spec.Nodes, n.Name)
		switch n.State {
		case v1alpha1.MemberJoining:
			running := concerned && op.Status.Phase == v1alpha1.OperationRunning
			n.Registered = running && begun(op, StepRegister)
			n.Discarded = !concerned || op.Status.Phase == v1alpha1.OperationUndoing && begun(op, StepDiscard)
		case v1alpha1.MemberLeaving:
			gone := concerned && op.Status.Phase == v1alpha1.OperationRunning && op.Status.PointOfNoReturn
			n.Registered, n.Stopped = !gone, gone && begun(op, StepStop)
		case v1alpha1.MemberActive:
			if concerned {
				arrangeDivided(n, op)
			}
		case v1alpha1.MemberRetained:
		}
	}
}

// arrangeDivided: new datanodes are members before anything is divided, and gc registers them itself.
func arrangeDivided(n *spec.Node, op *v1alpha1.AntDBOperation) {
	if splits(op) && !op.Spec.PlanOnly && !finished(op, StepSplit) {
		n.Registered, n.Pending = false, begun(op, StepSplit)
	}
}

// Questions are the datanodes of which gc must say whether anything is left on them.
func Questions(op *v1alpha1.AntDBOperation) []string {
	if op == nil || op.Status.Phase != v1alpha1.OperationRunning || !begun(op, StepProveEmpty) || finished(op, StepProveEmpty) {
		return nil
	}
	return op.Spec.Nodes
}

// Start is the first entry in the journal of an operation that may begin.
func Start(op *v1alpha1.AntDBOperation, now metav1.Time) (v1alpha1.AntDBOperationStatus, Event) {
	s := v1alpha1.AntDBOperationStatus{Phase: v1alpha1.OperationRunning, StartedAt: &now, Attempt: 1, Message: "begins"}
	for _, x := range procedure(op) {
		s.Steps = append(s.Steps, v1alpha1.OperationStep{Name: x.name, State: v1alpha1.StepWaiting})
	}
	s.Steps[0].State, s.Steps[0].StartedAt = v1alpha1.StepRunning, &now
	return s, Event{Reason: v1alpha1.EventOperationStarted, Message: strings.TrimSpace(fmt.Sprintf("%s: %s %s", op.Name, op.Spec.Type, list(op.Spec.Nodes)))}
}

// Refused is the whole status of an operation that asks for something that is not allowed.
func Refused(op *v1alpha1.AntDBOperation, why string, now metav1.Time) (v1alpha1.AntDBOperationStatus, Event) {
	s := v1alpha1.AntDBOperationStatus{Phase: v1alpha1.OperationRefused, Message: why, EndedAt: &now}
	return s, Event{Warning: true, Reason: v1alpha1.EventOperationRefused, Message: op.Name + ": " + why}
}

// Refusal tells why an operation is not allowed; empty if it is.
func Refusal(op *v1alpha1.AntDBOperation, want *spec.Cluster, members []v1alpha1.MemberStatus) string {
	r := run{op: op, f: &Facts{Members: members}}
	r.Members = members
	if want.Addressing == v1alpha1.AddressingClusterIP && (role(op) == antdb.RoleDatanode) {
		return "spec.addressing ClusterIP: rows cannot be moved between datanodes, since the engine needs random ports for it; allowed with addressing DNS"
	}
	for _, name := range r.nodes() {
		m := r.member(name)
		switch adds := op.Spec.Type == v1alpha1.OperationAddNodes; {
		case adds && m != nil && m.State == v1alpha1.MemberRetained:
			return fmt.Sprintf("spec.nodes: %q is not free: the volumes of the node that had this name are kept", name)
		case adds && m != nil:
			return fmt.Sprintf("spec.nodes: %q is a node of the cluster already", name)
		case adds:
			if err := naming.CheckLength(want.Name, want.Namespace, name); err != nil {
				return err.Error()
			}
		case m == nil || m.State == v1alpha1.MemberRetained:
			return fmt.Sprintf("spec.nodes: %q is not a node of the cluster: it has %s", name, list(r.active(role(op))))
		case m.State != v1alpha1.MemberActive:
			return fmt.Sprintf("spec.nodes: %q is %s: allowed are active nodes", name, strings.ToLower(string(m.State)))
		}
	}
	if why := r.refusedSplit(); why != "" {
		return why
	}
	return r.refusedCount()
}

// RefusedSplit tells why the strategy Split cannot do what the counts ask for; empty if it can, or is not asked for.
func RefusedSplit(s v1alpha1.AntDBOperationSpec, members []v1alpha1.MemberStatus) string {
	r := run{op: &v1alpha1.AntDBOperation{Spec: s}, f: &Facts{Members: members}}
	return r.refusedSplit()
}

// refusedCount keeps the numbers of nodes within what the engine can do.
func (r *run) refusedCount() string {
	have, n, limit := len(r.active(role(r.op))), len(r.op.Spec.Nodes), maxDatanodes
	if role(r.op) == antdb.RoleCoordinator {
		limit = maxCoordinators
	}
	switch r.op.Spec.Type {
	case v1alpha1.OperationAddNodes:
		if have+n > limit {
			return fmt.Sprintf("spec.nodes: %d more would make %d %ss: allowed are %d, the engine's limit", n, have+n, role(r.op), limit)
		}
	case v1alpha1.OperationRemoveNodes, v1alpha1.OperationDrainNodes, v1alpha1.OperationEvictNodes:
		if have-n < 1 {
			return fmt.Sprintf("spec.nodes: %s would leave no %s: at least one must stay", list(r.nodes()), role(r.op))
		}
	case v1alpha1.OperationRebalance:
	}
	return ""
}

// Wanted is what the counts of the spec ask for; its Type is empty if they agree with the members. taken are names that
// cannot be used although no member has them.
func Wanted(want *spec.Cluster, members []v1alpha1.MemberStatus, taken []string) v1alpha1.AntDBOperationSpec {
	r := run{f: &Facts{Members: members}}
	for _, role := range []antdb.Role{antdb.RoleCoordinator, antdb.RoleDatanode} {
		have := r.active(role)
		switch n := want.Wanted[role]; {
		case n > len(have):
			used := slices.Clone(taken)
			for _, m := range members {
				used = append(used, m.Name)
			}
			return ordered(want, v1alpha1.OperationAddNodes, free(role, n-len(have), used))
		case n < len(have) && n > 0:
			slices.SortFunc(have, spec.Compare)
			return ordered(want, v1alpha1.OperationRemoveNodes, have[n:])
		}
	}
	return v1alpha1.AntDBOperationSpec{}
}

func ordered(want *spec.Cluster, kind v1alpha1.OperationType, nodes []string) v1alpha1.AntDBOperationSpec {
	s := v1alpha1.AntDBOperationSpec{Cluster: want.Name, Type: kind, Nodes: nodes, Strategy: v1alpha1.StrategyRedistribute}
	if kind == v1alpha1.OperationAddNodes && role(&v1alpha1.AntDBOperation{Spec: s}) == antdb.RoleDatanode && want.Strategy != "" {
		s.Strategy = want.Strategy
	}
	return s
}

// free are the lowest names of a role that are not used.
func free(role antdb.Role, n int, used []string) []string {
	var out []string
	for i := 1; len(out) < n; i++ {
		if name := antdb.NodeName(role, i); !slices.Contains(used, name) {
			out = append(out, name)
		}
	}
	return out
}

// Unwanted tells whether an operation of the operator's own goes against what the counts have become since.
func Unwanted(op *v1alpha1.AntDBOperation, want *spec.Cluster, members []v1alpha1.MemberStatus) bool {
	if op.Annotations[v1alpha1.AnnotationForGeneration] == "" {
		return false
	}
	r := run{op: op, f: &Facts{Members: members}}
	// Those that stay whatever becomes of the operation.
	have := len(r.active(role(op), op.Spec.Nodes...))
	switch n := want.Wanted[role(op)]; op.Spec.Type {
	case v1alpha1.OperationAddNodes:
		return n <= have
	case v1alpha1.OperationRemoveNodes:
		return n >= have+len(op.Spec.Nodes)
	case v1alpha1.OperationDrainNodes, v1alpha1.OperationRebalance, v1alpha1.OperationEvictNodes:
	}
	return false
}

// Again tells why the operator makes no operation of its own now, although the counts ask for one: the last one did not
// succeed and the spec has not changed since. seconds is when to look again, 0 for not before the spec changes.
func Again(all []v1alpha1.AntDBOperation, want *spec.Cluster, now metav1.Time) (why string, seconds int64) {
	return repeated(lastOwn(all, want.Name, anyType), want, now)
}

// AgainToEvict tells the same of the taking out of a coordinator: others than an eviction say nothing about it.
func AgainToEvict(all []v1alpha1.AntDBOperation, want *spec.Cluster, now metav1.Time) (why string, seconds int64) {
	return repeated(lastOwn(all, want.Name, eviction), want, now)
}

func anyType(v1alpha1.OperationType) bool { return true }

func eviction(t v1alpha1.OperationType) bool { return t == v1alpha1.OperationEvictNodes }

// repeated tells why the operation that was the last one keeps another one from being made.
func repeated(last *v1alpha1.AntDBOperation, want *spec.Cluster, now metav1.Time) (why string, seconds int64) {
	if last == nil || last.Annotations[v1alpha1.AnnotationForGeneration] != strconv.FormatInt(want.Generation, 10) {
		return "", 0
	}
	switch s := last.Status; s.Phase {
	case v1alpha1.OperationCancelled:
		return fmt.Sprintf("%s was cancelled; nothing is done before the counts change", last.Name), 0
	case v1alpha1.OperationFailed, v1alpha1.OperationRefused:
		if s.EndedAt == nil {
			return "", 0
		}
		if left := retryAfter - int64(now.Sub(s.EndedAt.Time).Seconds()); left > 0 {
			return fmt.Sprintf("%s %s: %s; it is tried again %d s after that, or when the spec changes", last.Name,
				strings.ToLower(string(s.Phase)), s.Message, retryAfter), left
		}
	case v1alpha1.OperationPending, v1alpha1.OperationRunning, v1alpha1.OperationUndoing, v1alpha1.OperationCompleted:
	}
	return "", 0
}

// lastOwn is the operation of some types that the operator made last; nil if it has made none.
func lastOwn(all []v1alpha1.AntDBOperation, cluster string, of func(v1alpha1.OperationType) bool) *v1alpha1.AntDBOperation {
	var last *v1alpha1.AntDBOperation
	for i := range all {
		if op := &all[i]; op.Annotations[v1alpha1.AnnotationForGeneration] != "" && of(op.Spec.Type) &&
			(last == nil || naming.OperationSerial(cluster, op.Name) > naming.OperationSerial(cluster, last.Name)) {
			last = op
		}
	}
	return last
}

// Standing tells why the operator removes no nodes although the counts ask for it: a user named others, and that removal
// did not happen. Nobody else is taken in their place before the user has said what shall be.
func Standing(all []v1alpha1.AntDBOperation, wanted v1alpha1.AntDBOperationSpec, members []v1alpha1.MemberStatus) string {
	for i := range all {
		if op := &all[i]; stands(op, wanted, members) {
			return fmt.Sprintf("%s, which was to remove %s, is %s: %s; nothing is removed in its place: delete %s to let the counts decide, or set the count again",
				op.Name, list(op.Spec.Nodes), op.Status.Phase, op.Status.Message, op.Name)
		}
	}
	return ""
}

// stands tells whether an operation is the removal of named nodes that did not happen, in place of which the counts would
// now remove others.
func stands(op *v1alpha1.AntDBOperation, wanted v1alpha1.AntDBOperationSpec, members []v1alpha1.MemberStatus) bool {
	if wanted.Type != v1alpha1.OperationRemoveNodes || op.Spec.Type != wanted.Type || op.Annotations[v1alpha1.AnnotationForGeneration] != "" ||
		len(op.Spec.Nodes) != len(wanted.Nodes) || op.Spec.Nodes[0][:2] != wanted.Nodes[0][:2] ||
		!Ended(op) || op.Status.Phase == v1alpha1.OperationCompleted {
		return false
	}
	r := run{op: op, f: &Facts{Members: members}}
	return len(r.active(role(op), op.Spec.Nodes...))+len(op.Spec.Nodes) == len(r.active(role(op)))
}

// Serial is the number of the next operation that the operator makes.
func Serial(all []v1alpha1.AntDBOperation, cluster string) int {
	last := 0
	for i := range all {
		last = max(last, naming.OperationSerial(cluster, all[i].Name))
	}
	return last + 1
}

func without(members []v1alpha1.MemberStatus, name string) []v1alpha1.MemberStatus {
	return slices.DeleteFunc(slices.Clone(members), func(m v1alpha1.MemberStatus) bool { return m.Name == name })
}
