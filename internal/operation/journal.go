// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"fmt"
	"slices"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// Names of steps in the journal.
const (
	StepCreateInstances = "CreateInstances"
	StepLockDDL         = "LockDDL"
	StepCopy            = "Copy"
	StepLoadSchema      = "LoadSchema"
	StepStart           = "Start"
	StepRegister        = "Register"
	StepVerify          = "Verify"
	StepKeep            = "Keep"
	StepUnlockDDL       = "UnlockDDL"
	StepMoveRows        = "MoveRows"
	StepCheck           = "Check"
	StepDrain           = "Drain"
	StepSettle          = "Settle"
	StepMovePrimary     = "MovePrimary"
	StepProveEmpty      = "ProveEmpty"
	StepDeregister      = "Deregister"
	StepStop            = "Stop"
	StepRetain          = "Retain"
	StepJudge           = "Judge"
	StepForget          = "Forget"
	StepPlan            = "Plan"
	StepClone           = "Clone"
	StepCatchUp         = "CatchUp"
	StepSplit           = "Split"
	StepClean           = "Clean"
	// StepUndo and StepDiscard come last where an operation is undone.
	StepUndo    = "Undo"
	StepDiscard = "Discard"
)

// maxAttempts bounds how often an operation is begun anew before it is given up and undone.
const maxAttempts = 5

// step is one step of a procedure. It is carried out at each pass while the journal says Running.
type step struct {
	name string
	do   func(*run) outcome
}

// outcome is what became of a step at this pass.
type outcome struct {
	kind    outcomeKind
	message string
	from    string // the step to begin anew from
}

type outcomeKind int

const (
	kindWait outcomeKind = iota
	kindDone
	kindAgain
	kindFail
	kindRefuse
)

func wait(format string, args ...any) outcome { return outcome{message: fmt.Sprintf(format, args...)} }

func done(format string, args ...any) outcome {
	return outcome{kind: kindDone, message: fmt.Sprintf(format, args...)}
}

func again(from, format string, args ...any) outcome {
	return outcome{kind: kindAgain, from: from, message: fmt.Sprintf(format, args...)}
}

func fail(format string, args ...any) outcome {
	return outcome{kind: kindFail, message: fmt.Sprintf(format, args...)}
}

func refuse(format string, args ...any) outcome {
	return outcome{kind: kindRefuse, message: fmt.Sprintf(format, args...)}
}

// entry is a step of a journal; nil if it has none of that name.
func entry(s *v1alpha1.AntDBOperationStatus, name string) *v1alpha1.OperationStep {
	for i := range s.Steps {
		if s.Steps[i].Name == name {
			return &s.Steps[i]
		}
	}
	return nil
}

// begun tells whether a step was written down as begun, and not begun anew since.
func begun(op *v1alpha1.AntDBOperation, name string) bool {
	e := entry(&op.Status, name)
	return e != nil && (e.State == v1alpha1.StepRunning || e.State == v1alpha1.StepDone || e.State == v1alpha1.StepFailed)
}

// finished tells whether a step was written down as done.
func finished(op *v1alpha1.AntDBOperation, name string) bool {
	e := entry(&op.Status, name)
	return e != nil && e.State == v1alpha1.StepDone
}

// forward carries out the step that the journal names, and writes down the next one.
func (r *run) forward() {
	steps := procedure(r.op)
	for i, s := range steps {
		e := entry(&r.Status, s.name)
		if e == nil {
			r.Status.Steps = append(r.Status.Steps, v1alpha1.OperationStep{Name: s.name, State: v1alpha1.StepWaiting})
			e = &r.Status.Steps[len(r.Status.Steps)-1]
		}
		switch e.State {
		case v1alpha1.StepDone, v1alpha1.StepSkipped:
			continue
		case v1alpha1.StepWaiting, v1alpha1.StepUndone, v1alpha1.StepFailed:
			r.begin(e)
			return
		case v1alpha1.StepRunning:
		}
		o := s.do(r)
		if why := r.lockLost(); why != "" && o.kind != kindFail {
			o = again(StepLockDDL, "%s", why)
		}
		r.conclude(steps, i, o)
		return
	}
	r.end(v1alpha1.OperationCompleted, "")
}

// begin writes down that a step begins; what it does follows at the next pass, when that is read back.
func (r *run) begin(e *v1alpha1.OperationStep) {
	now := r.f.Now
	e.State, e.StartedAt, e.EndedAt, e.Message = v1alpha1.StepRunning, &now, nil, ""
}

// conclude writes down what became of a step.
func (r *run) conclude(steps []step, i int, o outcome) {
	now := r.f.Now
	e := entry(&r.Status, steps[i].name)
	e.Message, r.Status.Message = o.message, steps[i].name
	if o.message != "" {
		r.Status.Message += ": " + o.message
	}
	switch o.kind {
	case kindWait:
	case kindDone:
		e.State, e.EndedAt = v1alpha1.StepDone, &now
		r.tell(steps[i].name)
		if i+1 == len(steps) {
			r.end(v1alpha1.OperationCompleted, "")
			return
		}
		if next := entry(&r.Status, steps[i+1].name); next != nil {
			r.begin(next)
		}
	case kindAgain:
		r.repeat(steps, e, o)
	case kindFail:
		e.State, e.EndedAt = v1alpha1.StepFailed, &now
		r.beginUndo(o.message)
	case kindRefuse:
		e.State, e.EndedAt = v1alpha1.StepFailed, &now
		r.end(v1alpha1.OperationRefused, o.message)
	}
}

// repeat begins anew from an earlier step, with new tokens; after too many attempts it undoes.
func (r *run) repeat(steps []step, e *v1alpha1.OperationStep, o outcome) {
	if r.Status.Attempt >= maxAttempts {
		now := r.f.Now
		e.State, e.EndedAt = v1alpha1.StepFailed, &now
		e.Message = fmt.Sprintf("given up after %d attempts: %s", r.Status.Attempt, o.message)
		r.beginUndo(e.Message)
		return
	}
	r.Status.Attempt++
	r.event(true, v1alpha1.EventOperationRepeated, "%s begins anew from %s, attempt %d: %s", r.op.Name, o.from, r.Status.Attempt, o.message)
	first := slices.IndexFunc(steps, func(s step) bool { return s.name == o.from })
	for _, s := range steps[first:] {
		if x := entry(&r.Status, s.name); x != nil && x.State != v1alpha1.StepWaiting {
			x.State = v1alpha1.StepUndone
		}
	}
	r.begin(entry(&r.Status, o.from))
	r.Status.Message = fmt.Sprintf("begun anew, attempt %d: %s", r.Status.Attempt, o.message)
}

// end is the last thing that is written down.
func (r *run) end(phase v1alpha1.OperationPhase, why string) {
	now := r.f.Now
	r.Status.Phase, r.Status.EndedAt, r.Status.PointOfNoReturn = phase, &now, false
	what := string(r.op.Spec.Type)
	if len(r.op.Spec.Nodes) > 0 {
		what += " " + list(r.nodes())
	}
	r.Status.Message = why
	switch phase {
	case v1alpha1.OperationCompleted:
		if r.Status.Message = "done"; r.op.Spec.PlanOnly {
			r.Status.Message = "planned; nothing was changed"
		}
		r.event(false, v1alpha1.EventOperationCompleted, "%s (%s): %s", r.op.Name, what, r.Status.Message)
	case v1alpha1.OperationCancelled:
		r.event(false, v1alpha1.EventOperationCancelled, "%s (%s): %s", r.op.Name, what, why)
	case v1alpha1.OperationFailed:
		r.event(true, v1alpha1.EventOperationFailed, "%s (%s): %s", r.op.Name, what, why)
	case v1alpha1.OperationRefused:
		r.event(true, v1alpha1.EventOperationRefused, "%s (%s): %s", r.op.Name, what, why)
	case v1alpha1.OperationPending, v1alpha1.OperationRunning, v1alpha1.OperationUndoing:
	}
}

// giveUp undoes an operation that could go on only after another one, which waits for its end.
func (r *run) giveUp(why string) {
	now := r.f.Now
	for i := range r.Status.Steps {
		if e := &r.Status.Steps[i]; e.State == v1alpha1.StepRunning {
			e.State, e.EndedAt, e.Message = v1alpha1.StepFailed, &now, why
		}
	}
	r.beginUndo(why)
}

// tell tells of steps that users should know about.
func (r *run) tell(name string) {
	switch name {
	case StepLockDDL:
		r.event(false, v1alpha1.EventDDLLocked, "%s: the engine refuses DDL of applications until %s", r.op.Name, r.until())
	case StepUnlockDDL:
		r.event(false, v1alpha1.EventDDLUnlocked, "%s: DDL runs again", r.op.Name)
	case StepKeep:
		r.event(false, v1alpha1.EventNodeAdded, "%s: %s is part of the cluster", r.op.Name, list(r.nodes()))
	case StepSplit:
		r.event(false, v1alpha1.EventDatanodesSplit, "%s: %s hold equal shares", r.op.Name, list(slices.Concat(r.sources(), r.nodes())))
	case StepStop:
		r.event(false, v1alpha1.EventNodeRemoved, "%s: %s is out of the cluster and stopped", r.op.Name, list(r.nodes()))
	}
}

func (r *run) until() string {
	if r.op.Spec.Type == v1alpha1.OperationAddNodes {
		return list(r.nodes()) + " is registered everywhere"
	}
	return list(r.nodes()) + " is out of the cluster"
}
