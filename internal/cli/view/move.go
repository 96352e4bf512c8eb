// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// AllTables as a limit shows every table that the status names.
const AllTables = math.MaxInt32

// move tells how far a move of rows is.
func (s Style) move(l *lines, m *v1alpha1.MoveStatus, limit int) {
	l.add("moved: ", fmt.Sprintf("%s of %s, %s of %s, about %s of %s",
		Count(int64(m.TablesDone)), Noun(int(m.TablesTotal), "table"), Bytes(m.BytesDone), Bytes(m.BytesTotal),
		Count(m.RowsDone), Noun(int(m.RowsTotal), "row")))
	var facts []string
	if m.LongestPauseMillis > 0 {
		facts = append(facts, "longest pause "+millis(m.LongestPauseMillis))
	}
	if m.Retries > 0 {
		facts = append(facts, "gave way to applications "+times(m.Retries))
	}
	if len(facts) > 0 {
		l.add(strings.Join(facts, ", "))
	}
	pinned(l, m)
	if len(m.Tables) == 0 {
		return
	}
	t := table{heads: []string{"TABLE", "ROWS", "SIZE", "STATE", "MESSAGE"}, right: map[int]bool{1: true, 2: true}}
	order := slices.Clone(m.Tables)
	slices.SortStableFunc(order, func(a, b v1alpha1.TableMove) int { return urgency(a.State) - urgency(b.State) })
	shown := min(len(order), max(limit, 0))
	for _, move := range order[:shown] {
		sign, paint := mark(move.State)
		t.row(s.paint(paint, sign)+" "+move.Database+" "+move.Table, Count(move.Rows), Bytes(move.Bytes), string(move.State), clean(move.Message))
	}
	t.draw(l)
	if more := int(m.TablesTotal) - shown; more > 0 {
		l.add(fmt.Sprintf("and %s more", Count(int64(more))))
	}
}

// urgency puts first what a person looks for.
func urgency(state v1alpha1.StepState) int {
	return slices.Index([]v1alpha1.StepState{
		v1alpha1.StepFailed, v1alpha1.StepRunning, v1alpha1.StepWaiting, v1alpha1.StepUndone, v1alpha1.StepSkipped, v1alpha1.StepDone,
	}, state)
}

func pinned(l *lines, m *v1alpha1.MoveStatus) {
	if len(m.Pinned) > 0 {
		l.add("left where a user put them:")
		l.paragraph("  ", strings.Join(m.Pinned, ", "))
	}
}

func times(n int32) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// millis writes a pause; below ten seconds a tenth matters.
func millis(n int64) string {
	if n < 1000 || n >= 10000 {
		return Span(time.Duration(n) * time.Millisecond)
	}
	return fmt.Sprintf("%.1fs", float64(n)/1000)
}

// Plan tells what a move would do.
func Plan(s Style, o *v1alpha1.AntDBOperation) string {
	l := &lines{style: s}
	m := o.Status.Move
	if m == nil || m.TablesTotal == 0 {
		l.add("Nothing to move in ", o.Spec.Cluster, ": every table lies where it should.")
		if m != nil {
			pinned(l, m)
		}
		return l.String()
	}
	l.add(s.paint(bold, "Plan for "+o.Spec.Cluster), ", nothing is changed yet")
	t := table{heads: []string{"TABLE", "ROWS", "SIZE", "NOTE"}, right: map[int]bool{1: true, 2: true}}
	for _, move := range m.Tables {
		t.row(move.Database+" "+move.Table, Count(move.Rows), Bytes(move.Bytes), clean(move.Message))
	}
	l.add()
	t.draw(l)
	if more := int(m.TablesTotal) - len(m.Tables); more > 0 {
		l.add(fmt.Sprintf("and %s that are smaller", Noun(more, "table")))
	}
	l.add()
	facts := table{}
	facts.row("tables", Count(int64(m.TablesTotal)))
	facts.row("rows", "about "+Count(m.RowsTotal))
	facts.row("size", Bytes(m.BytesTotal))
	facts.row("expected time", "about "+whole(time.Duration(m.SecondsLeft)*time.Second))
	facts.row("expected pauses", "one for each table, the longest about "+millis(m.LongestPauseMillis))
	facts.body(l, "")
	l.add("In a pause all statements of the cluster wait. Tables that applications hold are tried again later.")
	pinned(l, m)
	return l.String()
}
