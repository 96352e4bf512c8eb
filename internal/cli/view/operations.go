// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// Ended tells whether nothing will happen to an operation any more.
func Ended(o *v1alpha1.AntDBOperation) bool {
	switch o.Status.Phase {
	case v1alpha1.OperationCompleted, v1alpha1.OperationCancelled, v1alpha1.OperationFailed, v1alpha1.OperationRefused:
		return true
	case v1alpha1.OperationPending, v1alpha1.OperationRunning, v1alpha1.OperationUndoing:
	}
	return false
}

// moveStep and copyStep are the steps that move or copy rows. They take so much longer than the others that they count as
// four times all of them.
const (
	moveStep = "MoveRows"
	copyStep = "Clone"
)

// share of an operation that is done. The step that moves rows counts by bytes, the others are all the same.
func share(o *v1alpha1.AntDBOperation) float64 {
	if o.Status.Phase == v1alpha1.OperationCompleted {
		return 1
	}
	const weight, almost = 4, 0.99
	total, done := 0.0, 0.0
	for _, s := range o.Status.Steps {
		of := 1.0
		if s.Name == moveStep || s.Name == copyStep {
			of = float64(max(weight*(len(o.Status.Steps)-1), 1))
		}
		total += of
		switch s.State {
		case v1alpha1.StepDone, v1alpha1.StepSkipped:
			done += of
		case v1alpha1.StepRunning:
			if m := o.Status.Move; m != nil && s.Name == moveStep {
				done += of * moved(m)
			}
		case v1alpha1.StepWaiting, v1alpha1.StepUndone, v1alpha1.StepFailed:
		}
	}
	if total == 0 {
		return 0
	}
	return min(done/total, almost)
}

// moved is the part of the rows that lie in their place.
func moved(m *v1alpha1.MoveStatus) float64 {
	switch {
	case m.BytesTotal > 0:
		return float64(m.BytesDone) / float64(m.BytesTotal)
	case m.TablesTotal > 0:
		return float64(m.TablesDone) / float64(m.TablesTotal)
	}
	return 0
}

// elapsed is how long an operation has taken.
func (s Style) elapsed(o *v1alpha1.AntDBOperation) string {
	if o.Status.StartedAt == nil {
		return "-"
	}
	end := s.Now
	if o.Status.EndedAt != nil {
		end = o.Status.EndedAt.Time
	}
	return whole(end.Sub(o.Status.StartedAt.Time))
}

func phase(o *v1alpha1.AntDBOperation) string {
	if o.Status.Phase == "" {
		return "New"
	}
	if o.Spec.Cancel && !Ended(o) {
		return string(o.Status.Phase) + ", to be cancelled"
	}
	return string(o.Status.Phase)
}

func tone(p v1alpha1.OperationPhase) string {
	switch p {
	case v1alpha1.OperationCompleted:
		return green
	case v1alpha1.OperationFailed, v1alpha1.OperationRefused:
		return red
	case v1alpha1.OperationUndoing, v1alpha1.OperationCancelled:
		return yellow
	case v1alpha1.OperationPending, v1alpha1.OperationRunning:
	}
	return ""
}

func nodes(o *v1alpha1.AntDBOperation) string {
	const few = 4
	n := o.Spec.Nodes
	switch {
	case len(n) == 0:
		return "all"
	case len(n) > few:
		return strings.Join(n[:few-1], ",") + fmt.Sprintf(",+%d", len(n)-few+1)
	}
	return strings.Join(n, ",")
}

// OperationsOptions say what a list of operations shows.
type OperationsOptions struct {
	// Namespaces adds a column for the namespace.
	Namespaces bool
	// Wide adds the message of each.
	Wide bool
}

// Operations is a list with a line for each operation, the newest first, and the message of each that is stuck.
func Operations(s Style, all []v1alpha1.AntDBOperation, o OperationsOptions) string {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b v1alpha1.AntDBOperation) int {
		if c := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	if o.Wide {
		s.Width = max(s.width(), 250)
	}
	l := &lines{style: s}
	// The bar gives way where a line has no room for it.
	for _, length := range []int{10, 5, 0} {
		if t := s.list(all, o, length); length == 0 || t.width() <= s.width() {
			t.draw(l)
			break
		}
	}
	if !o.Wide {
		stuck(l, all)
	}
	return l.String()
}

// list is the table of a list, with bars of a length.
func (s Style) list(all []v1alpha1.AntDBOperation, o OperationsOptions, length int) *table {
	t := &table{heads: []string{"NAME", "CLUSTER", "TYPE", "NODES", "PHASE", "PROGRESS", "TIME"}}
	if o.Namespaces {
		t.heads = append([]string{"NAMESPACE"}, t.heads...)
	}
	if o.Wide {
		t.heads = append(t.heads, "MESSAGE")
	}
	for i := range all {
		op := &all[i]
		done := share(op)
		row := []string{
			op.Name, op.Spec.Cluster, string(op.Spec.Type), nodes(op), s.paint(tone(op.Status.Phase), phase(op)),
			strings.TrimLeft(bar(done, length)+" "+percent(done), " "), s.elapsed(op),
		}
		if o.Namespaces {
			row = append([]string{op.Namespace}, row...)
		}
		if o.Wide {
			row = append(row, clean(op.Status.Message))
		}
		t.row(row...)
	}
	return t
}

// stuck tells why operations wait or went wrong.
func stuck(l *lines, all []v1alpha1.AntDBOperation) {
	for i := range all {
		op := &all[i]
		switch op.Status.Phase {
		case v1alpha1.OperationPending, v1alpha1.OperationUndoing, v1alpha1.OperationFailed, v1alpha1.OperationRefused:
			if op.Status.Message != "" {
				l.add()
				l.add(l.style.paint(tone(op.Status.Phase), op.Name+": "+string(op.Status.Phase)))
				l.paragraph("  ", op.Status.Message)
			}
		case v1alpha1.OperationRunning, v1alpha1.OperationCompleted, v1alpha1.OperationCancelled:
		}
	}
}

// Operation is everything about one operation: how far it is, its steps, its tables. At most tables of them are shown.
func Operation(s Style, o *v1alpha1.AntDBOperation, tables int) string {
	l := &lines{style: s}
	l.add(s.paint(bold, o.Name), "  ", title(o), "  ", s.paint(tone(o.Status.Phase), phase(o)), "  ", s.elapsed(o))
	done := share(o)
	facts := []string{bar(done, 30) + " " + percent(done)}
	if m := o.Status.Move; m != nil && m.SecondsLeft > 0 && !Ended(o) {
		facts = append(facts, "about "+whole(time.Duration(m.SecondsLeft)*time.Second)+" left")
	}
	if o.Status.PointOfNoReturn && !Ended(o) {
		facts = append(facts, "cannot be cancelled any more")
	}
	if o.Status.Attempt > 1 {
		facts = append(facts, fmt.Sprintf("attempt %d", o.Status.Attempt))
	}
	l.add(strings.Join(facts, "  "))
	if o.Status.Message != "" {
		l.paragraph("", o.Status.Message)
	}
	if len(o.Status.Steps) > 0 {
		l.add()
		s.steps(l, o)
	}
	if x := o.Status.Split; x != nil && len(x.Sources) > 0 {
		l.add()
		s.split(l, x)
	}
	if m := o.Status.Move; m != nil {
		l.add()
		s.move(l, m, tables)
	}
	return l.String()
}

// title says in words what an operation does.
func title(o *v1alpha1.AntDBOperation) string {
	words := string(o.Spec.Type)
	if len(o.Spec.Nodes) > 0 {
		words += " " + nodes(o)
	}
	return words + " in " + o.Spec.Cluster
}

func mark(state v1alpha1.StepState) (sign, paint string) {
	switch state {
	case v1alpha1.StepDone:
		return "✓", green
	case v1alpha1.StepRunning:
		return "▶", bold
	case v1alpha1.StepFailed:
		return "✗", red
	case v1alpha1.StepUndone:
		return "↶", yellow
	case v1alpha1.StepSkipped:
		return "-", dim
	case v1alpha1.StepWaiting:
	}
	return "·", dim
}

func (s Style) steps(l *lines, o *v1alpha1.AntDBOperation) {
	t := table{heads: []string{"STEP", "STATE", "TIME", "MESSAGE"}}
	for _, step := range o.Status.Steps {
		sign, paint := mark(step.State)
		took := ""
		switch {
		case step.StartedAt == nil:
		case step.EndedAt != nil:
			took = whole(step.EndedAt.Sub(step.StartedAt.Time))
		case step.State == v1alpha1.StepRunning:
			took = whole(s.Now.Sub(step.StartedAt.Time))
		}
		t.row(s.paint(paint, sign)+" "+step.Name, string(step.State), took, clean(step.Message))
	}
	t.draw(l)
}
