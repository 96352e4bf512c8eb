// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/render"
)

// Seconds until the next look at an operation: soon where something was written down that is acted upon at the next pass.
const (
	lookSoon  = 1
	lookAgain = 2
	lookLate  = 10
)

// operations lets the operation that runs go on, begins the next one, or makes one that the counts ask for. At most one
// runs at a time.
func (p *planner) operations(now metav1.Time) {
	p.plan.Operations = map[string]v1alpha1.AntDBOperationStatus{}
	for i := range p.snap.Operations {
		op := &p.snap.Operations[i]
		if operation.Ended(op) && slices.Contains(op.Finalizers, v1alpha1.FinalizerOperation) {
			p.act(ReleaseOperation{Name: op.Name})
		}
	}
	p.forget(now)
	queue := operation.Queue(p.snap.Operations)
	switch {
	case p.operating != nil:
		if p.want.Stopped {
			p.progressing(v1alpha1.ReasonStopPending, "the cluster is stopped when operation %s (%s) has ended", p.operating.Name, p.operating.Spec.Type)
		}
		p.operate(now)
		p.wait(queue, "waits for "+p.operating.Name+" to end")
		return
	case p.halts():
		for _, op := range queue {
			if !p.withdrawn(op, now) {
				p.wait([]*v1alpha1.AntDBOperation{op}, "waits until the cluster is started: it is stopped, as spec.stopped says")
			}
		}
		return
	}
	if !slices.ContainsFunc(queue, func(op *v1alpha1.AntDBOperation) bool { return op.Spec.Type == v1alpha1.OperationEvictNodes }) && p.evict(now) {
		return
	}
	if len(queue) == 0 {
		p.scale(now)
		return
	}
	p.next(queue, now)
}

// forget deletes operations that ended long ago, as far as there are more than are kept.
func (p *planner) forget(now metav1.Time) {
	surplus, seconds := operation.Surplus(p.snap.Operations, p.want, p.plan.Status.Members, now)
	for _, op := range surplus {
		p.act(DeleteOperation{Name: op.Name, UID: string(op.UID)})
	}
	if seconds > 0 {
		p.again(seconds)
	}
}

// operate lets the running operation go on.
func (p *planner) operate(now metav1.Time) {
	op := p.operating
	what := strings.TrimSpace(string(op.Spec.Type) + " " + strings.Join(op.Spec.Nodes, ", "))
	f := p.facts(now)
	d := operation.Next(op, &f)
	p.plan.Status.Members = d.Members
	p.plan.Operations[op.Name] = d.Status
	for _, o := range d.Orders {
		if n := p.node(o.To()); n != nil {
			p.act(Instruct{Instance: n.instance, Order: o})
		}
	}
	for _, e := range d.Events {
		p.event(e.Warning, e.Reason, "%s", e.Message)
	}
	if !op.Spec.Cancel && op.Status.Phase == v1alpha1.OperationRunning && !op.Status.PointOfNoReturn && operation.Unwanted(op, p.want, p.snap.Status.Members) {
		p.act(CancelOperation{Name: op.Name})
	}
	p.progressing(v1alpha1.ReasonOperating, "operation %s (%s) runs: %s", op.Name, what, step(&d.Status))
	p.again(lookAgain)
	if step(&d.Status) != step(&op.Status) || d.Status.Phase != op.Status.Phase {
		p.plan.Again = lookSoon
	}
}

// step is the step that runs, with the attempt.
func step(s *v1alpha1.AntDBOperationStatus) string {
	for i := range s.Steps {
		if s.Steps[i].State == v1alpha1.StepRunning {
			return fmt.Sprintf("%s, attempt %d", s.Steps[i].Name, s.Attempt)
		}
	}
	return string(s.Phase)
}

// facts are what an operation must know.
func (p *planner) facts(now metav1.Time) operation.Facts {
	f := operation.Facts{
		Cluster: p.want, Members: p.plan.Status.Members, Nodes: map[string]operation.Node{}, Empty: p.snap.Empty, Now: now,
	}
	for i := range p.nodes {
		n := &p.nodes[i]
		x := operation.Node{Going: n.pod != nil && n.pod.DeletionTimestamp != nil, Down: n.dead(), Exists: p.exists(n), Volumes: len(p.claimsOf(n.Name)) > 0, Status: n.status, Serving: n.serving(), Why: n.why()}
		for _, row := range slices.Concat(p.topology.Nodes, p.topology.Pending) {
			if row.Name == n.Name {
				x.Host = row.Host
			}
		}
		f.Nodes[n.Name] = x
		switch behind := n.Name + " (" + p.behind(n) + ")"; {
		case !n.Role.HoldsCatalog() || !n.Registered || p.synced(n):
		case n.Role == antdb.RoleCoordinator && n.dead():
			f.Absent = append(f.Absent, behind)
		default:
			f.Unsynced = append(f.Unsynced, behind)
		}
	}
	if name, _ := p.overdue(now); name != "" && p.operating.Spec.Type != v1alpha1.OperationEvictNodes {
		f.Overdue = fmt.Sprintf("%s has been down for more than %s and is taken out first", name, p.want.EvictAfter.Duration)
	}
	if !p.known {
		f.Unsynced = append(f.Unsynced, "gc (addresses of new Services are not known yet)")
	}
	return f
}

// behind tells why a node does not hold the wanted catalog.
func (p *planner) behind(n *node) string {
	switch {
	case n.status != nil && n.status.Catalog != nil && n.status.Catalog.Error != "":
		return n.status.Catalog.Error
	case !n.serving():
		return n.why()
	default:
		return "it is told"
	}
}

// ended writes down how an operation ended, or that it begins.
func (p *planner) ended(op *v1alpha1.AntDBOperation, s v1alpha1.AntDBOperationStatus, e operation.Event) {
	p.plan.Operations[op.Name] = s
	p.event(e.Warning, e.Reason, "%s", e.Message)
	p.again(lookSoon)
}

// withdrawn ends an operation that was cancelled or deleted before it began.
func (p *planner) withdrawn(op *v1alpha1.AntDBOperation, now metav1.Time) bool {
	if !op.Spec.Cancel && op.DeletionTimestamp == nil {
		return false
	}
	const why = "cancelled before it began"
	p.ended(op, v1alpha1.AntDBOperationStatus{Phase: v1alpha1.OperationCancelled, Message: why, EndedAt: &now},
		operation.Event{Reason: v1alpha1.EventOperationCancelled, Message: op.Name + ": " + why})
	return true
}

// next begins the first operation of the queue, or says why it cannot begin yet.
func (p *planner) next(queue []*v1alpha1.AntDBOperation, now metav1.Time) {
	op := queue[0]
	if p.withdrawn(op, now) {
		return
	}
	end := func(s v1alpha1.AntDBOperationStatus, e operation.Event) { p.ended(op, s, e) }
	if operation.Unwanted(op, p.want, p.plan.Status.Members) {
		end(v1alpha1.AntDBOperationStatus{Phase: v1alpha1.OperationCancelled, Message: "the counts have changed before it began", EndedAt: &now},
			operation.Event{Reason: v1alpha1.EventOperationCancelled, Message: op.Name + ": the counts have changed before it began"})
		return
	}
	if why := operation.Refusal(op, p.want, p.plan.Status.Members); why != "" {
		end(operation.Refused(op, why, now))
		return
	}
	why := p.unfit()
	if op.Spec.Type == v1alpha1.OperationEvictNodes {
		if name := p.upAgain(op.Spec.Nodes); name != "" {
			end(operation.Refused(op, name+" is not down: allowed are coordinators without a running server", now))
			return
		}
		why = p.unfitWithout(op.Spec.Nodes)
	}
	if why != "" {
		p.wait(queue[:1], "waits until the cluster is fit: "+why)
		p.wait(queue[1:], "waits for "+op.Name+" to begin and to end")
		return
	}
	p.wait(queue[1:], "waits for "+op.Name+" to end")
	if !slices.Contains(op.Finalizers, v1alpha1.FinalizerOperation) {
		p.act(HoldOperation{Name: op.Name})
		p.progressing(v1alpha1.ReasonOperating, "operation %s begins", op.Name)
		p.again(lookSoon)
		return
	}
	s, e := operation.Start(op, now)
	end(s, e)
	p.progressing(v1alpha1.ReasonOperating, "operation %s begins", op.Name)
}

// ahead tells which operation has not ended, or will be made since the counts ask for one, when this plan is carried out.
// Whoever waits for Stable would otherwise be done before it began.
func (p *planner) ahead() string {
	for i := range p.snap.Operations {
		op := p.snap.Operations[i]
		if s, speaks := p.plan.Operations[op.Name]; speaks {
			op.Status = s
		}
		switch {
		case operation.Ended(&op):
		case op.Status.Message == "":
			return fmt.Sprintf("operation %s is about to begin", op.Name)
		default:
			return fmt.Sprintf("operation %s: %s", op.Name, op.Status.Message)
		}
	}
	if s := operation.Wanted(p.want, p.plan.Status.Members, p.taken()); s.Type != "" {
		p.again(lookSoon) // that the cluster has become Ready wakes nobody
		return asked(&s)
	}
	return ""
}

func asked(s *v1alpha1.AntDBOperationSpec) string {
	return fmt.Sprintf("the counts ask for %s %s", s.Type, strings.Join(s.Nodes, ", "))
}

// wait says for what operations wait.
func (p *planner) wait(queue []*v1alpha1.AntDBOperation, why string) {
	for _, op := range queue {
		p.plan.Operations[op.Name] = v1alpha1.AntDBOperationStatus{Phase: v1alpha1.OperationPending, Message: why}
		p.again(lookLate)
	}
}

// unfit tells why no operation may begin now: nothing else is being changed while nodes come or go.
func (p *planner) unfit() string {
	if p.progress != nil {
		return p.progress.message
	}
	if dues := p.dues(); len(dues) > 0 {
		return fmt.Sprintf("%s must be restarted first (%s)", dues[0].Name, dues[0].why)
	}
	c := p.ready(map[string]condition{
		v1alpha1.ConditionGTMAvailable:   p.gtmAvailable(),
		v1alpha1.ConditionTopologySynced: p.topologySynced(),
		v1alpha1.ConditionBootstrapped:   p.bootstrappedCondition(),
	})
	if !c.status {
		return c.message
	}
	return ""
}

// scale makes an operation where the counts differ from the nodes that there are.
func (p *planner) scale(now metav1.Time) {
	s := operation.Wanted(p.want, p.plan.Status.Members, p.taken())
	if s.Type == "" || !p.once() {
		return
	}
	what := asked(&s)
	if why := operation.RefusedSplit(s, p.plan.Status.Members); why != "" {
		p.stuck = what + ", but " + why
		return
	}
	if why := operation.Standing(p.snap.Operations, s, p.plan.Status.Members); why != "" {
		p.stuck = what + ", but " + why
		return
	}
	if why, seconds := operation.Again(p.snap.Operations, p.want, now); why != "" {
		p.stuck = what + ", but " + why
		if seconds > 0 {
			p.again(seconds)
		}
		return
	}
	p.act(CreateOperation{Operation: render.Operation(p.want, s, operation.Serial(p.snap.Operations, p.want.Name))})
	p.progressing(v1alpha1.ReasonOperating, "%s", what)
	p.again(lookSoon)
}
