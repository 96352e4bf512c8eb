// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// beginUndo writes down that the operation is undone from now on.
func (r *run) beginUndo(why string) {
	r.Status.Phase, r.Status.Message = v1alpha1.OperationUndoing, "undoing: "+why
	for i := range r.Status.Steps {
		if e := &r.Status.Steps[i]; e.State == v1alpha1.StepRunning {
			e.State = v1alpha1.StepUndone
		}
	}
	for _, name := range []string{StepUndo, StepDiscard} {
		if entry(&r.Status, name) == nil {
			r.Status.Steps = append(r.Status.Steps, v1alpha1.OperationStep{Name: name, State: v1alpha1.StepWaiting})
		}
	}
	r.begin(entry(&r.Status, StepUndo))
	entry(&r.Status, StepUndo).Message = why
}

// undo first takes new nodes out of every catalog, lets sessions and DDL in again and stops the move of rows, and then
// discards what was made.
func (r *run) undo() {
	if r.op.Status.Phase != v1alpha1.OperationUndoing {
		return // it is written down first
	}
	now := r.f.Now
	e := entry(&r.Status, StepUndo)
	if e.State == v1alpha1.StepRunning {
		if waiting := r.undone(); len(waiting) > 0 {
			r.Status.Message = "undoing: " + strings.Join(waiting, "; ")
			return
		}
		e.State, e.EndedAt = v1alpha1.StepDone, &now
		r.begin(entry(&r.Status, StepDiscard))
		return
	}
	if waiting := r.discarded(); len(waiting) > 0 {
		r.Status.Message = "undoing: " + strings.Join(waiting, "; ")
		return
	}
	d := entry(&r.Status, StepDiscard)
	d.State, d.EndedAt = v1alpha1.StepDone, &now
	for i := range r.Status.Steps {
		if r.Status.Steps[i].State == v1alpha1.StepFailed {
			message := r.Status.Steps[i].Message + "; it is undone"
			if stay := r.stay(); len(stay) > 0 {
				message = r.Status.Steps[i].Message + "; " + list(stay) + " stays in the cluster, a Rebalance gives it its rows"
			}
			r.end(v1alpha1.OperationFailed, message)
			return
		}
	}
	message := "cancelled and undone"
	if begun := entry(&r.Status, StepMoveRows); begun != nil && begun.StartedAt != nil {
		message = "cancelled; rows that were moved stay where they are"
		if stay := r.stay(); len(stay) > 0 {
			message += ", and so do " + list(stay)
		}
	}
	r.end(v1alpha1.OperationCancelled, message)
}

// stay are nodes that were added for good before the operation was cancelled.
func (r *run) stay() []string {
	if r.op.Spec.Type != v1alpha1.OperationAddNodes {
		return nil
	}
	var out []string
	for _, name := range r.nodes() {
		if r.written(name, v1alpha1.MemberActive) {
			out = append(out, name)
		}
	}
	return out
}

// undone tells what is not undone yet, and undoes it.
func (r *run) undone() []string {
	waiting := r.stayed()
	if splits(r.op) && !r.op.Spec.PlanOnly {
		waiting = append(waiting, r.undivided()...)
	}
	if m := r.moveStatus(); m != nil && m.Phase == instanceapi.MoveRunning {
		order := r.move()
		order.Cancel = true
		r.order(Move{order})
		r.report(m)
		waiting = append(waiting, "the table that is being moved is finished")
	}
	if e := entry(&r.op.Status, StepRegister); e != nil && e.StartedAt != nil && len(r.f.Unsynced) > 0 {
		waiting = append(waiting, "the node catalog is being made equal on "+strings.Join(r.f.Unsynced, "; "))
	}
	l, answers := r.lockStatus()
	if begun := entry(&r.op.Status, StepLockDDL); begun != nil && begun.StartedAt != nil &&
		(!answers || l.State == instanceapi.LockHeld || l.State == instanceapi.LockTaking) {
		waiting = append(waiting, "gc gives up the lock that keeps DDL out")
	}
	if !answers && role(r.op) == antdb.RoleDatanode && r.op.Status.Move != nil {
		waiting = append(waiting, "gc does not answer whether it still moves rows")
	}
	return waiting
}

// undivided makes new datanodes joining ones again, so that they are discarded, and lets the sources give up the log that
// they keep. An operation is undone only while nothing was divided.
func (r *run) undivided() []string {
	var waiting []string
	r.turn(r.nodes(), v1alpha1.MemberActive, v1alpha1.MemberJoining)
	for _, name := range r.nodes() {
		if r.written(name, v1alpha1.MemberActive) {
			waiting = append(waiting, name+" becomes no member")
		}
	}
	if e := entry(&r.op.Status, StepClone); e != nil && e.StartedAt != nil {
		waiting = append(waiting, r.fed()...)
	}
	return waiting
}

// stayed makes leaving nodes members again and lets sessions in, and tells for which of them that is not done yet.
func (r *run) stayed() []string {
	var waiting []string
	r.turn(r.nodes(), v1alpha1.MemberLeaving, v1alpha1.MemberActive)
	for _, name := range r.nodes() {
		if r.written(name, v1alpha1.MemberLeaving) {
			waiting = append(waiting, name+" stays a member")
		}
		if s := r.status(name); s != nil && s.Drain != nil && s.Drain.Token == r.drainToken() {
			d := Drain{Node: name}
			d.Token, d.Stop = r.drainToken(), true
			r.order(d)
			waiting = append(waiting, name+" lets sessions in again")
		}
	}
	return waiting
}

// discarded tells which new nodes are still there, and forgets those that are gone. Arrange takes their objects away.
func (r *run) discarded() []string {
	var waiting []string
	for _, name := range r.nodes() {
		if !r.written(name, v1alpha1.MemberJoining) {
			continue
		}
		waiting = append(waiting, name+" is discarded")
		if n := r.f.Nodes[name]; !n.Exists && !n.Volumes {
			r.Members = without(r.Members, name)
		}
	}
	return waiting
}
