// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// Changes tells in plain lines what happened between two states of an operation; old may be nil. It is for logs and
// pipes, where nothing can be drawn again.
func Changes(s Style, old, o *v1alpha1.AntDBOperation) []string {
	if old == nil {
		old = &v1alpha1.AntDBOperation{}
	}
	var out []string
	say := func(format string, args ...any) {
		out = append(out, s.Now.Format(time.TimeOnly)+" "+o.Name+" "+strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
	if old.Name == "" {
		say("%s", title(o))
	}
	// The first news of a move follow the step that began it, later ones come before the step that ends it.
	known := old.Status.Move
	if known != nil && o.Status.Move != nil {
		tables(known, o.Status.Move, say)
	}
	steps(old, o, say)
	if known == nil && o.Status.Move != nil {
		tables(&v1alpha1.MoveStatus{}, o.Status.Move, say)
	}
	if phase(old) != phase(o) || old.Status.Message != o.Status.Message && o.Status.Phase != v1alpha1.OperationRunning {
		say("%s%s", phase(o), after(": ", o.Status.Message))
	}
	return out
}

// steps tells of each step that came to a new state or says something new.
func steps(old, o *v1alpha1.AntDBOperation, say func(string, ...any)) {
	for _, step := range o.Status.Steps {
		was := v1alpha1.OperationStep{State: v1alpha1.StepWaiting}
		for _, w := range old.Status.Steps {
			if w.Name == step.Name {
				was = w
			}
		}
		if step.State == was.State && (step.Message == was.Message || step.State != v1alpha1.StepRunning) {
			continue
		}
		took := ""
		if step.StartedAt != nil && step.EndedAt != nil {
			took = " after " + whole(step.EndedAt.Sub(step.StartedAt.Time))
		}
		say("%s: %s%s%s", step.Name, step.State, took, after("; ", step.Message))
	}
}

func after(sign, text string) string {
	if text == "" {
		return ""
	}
	return sign + clean(text)
}

// tables tells of each table that came to a new state, and how much is done after one is.
func tables(old, m *v1alpha1.MoveStatus, say func(string, ...any)) {
	if old.TablesTotal == 0 {
		say("to move: %s, %s, about %s", Noun(int(m.TablesTotal), "table"), Bytes(m.BytesTotal), Noun(int(m.RowsTotal), "row"))
	}
	was := map[string]v1alpha1.TableMove{}
	for _, t := range old.Tables {
		was[t.Database+" "+t.Table] = t
	}
	for _, t := range m.Tables {
		key := t.Database + " " + t.Table
		if w := was[key]; t.State != v1alpha1.StepWaiting && t.State != w.State || t.Message != "" && t.Message != w.Message {
			say("%s: %s%s", key, t.State, after("; ", t.Message))
		}
	}
	if m.TablesDone > old.TablesDone {
		left := ""
		if m.SecondsLeft > 0 && m.TablesDone < m.TablesTotal {
			left = ", about " + whole(time.Duration(m.SecondsLeft)*time.Second) + " left"
		}
		say("moved: %d of %s, %s%s", m.TablesDone, Noun(int(m.TablesTotal), "table"), percent(moved(m)), left)
	}
}
