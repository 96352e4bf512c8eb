// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// margin is how much of a datanode's free space a move may take, in percent.
const margin = 90

// pause is how many seconds a move that failed is left alone before it is asked for again.
const pause = 30

// move is what gc is asked for.
func (r *run) move() instanceapi.Move {
	m := instanceapi.Move{Token: r.token(), MaxPauseMillis: r.maxPause()}
	switch all := r.active(antdb.RoleDatanode); r.op.Spec.Type {
	case v1alpha1.OperationAddNodes:
		m.From = r.active(antdb.RoleDatanode, r.op.Spec.Nodes...)
		m.Onto = slices.Concat(m.From, r.nodes())
	case v1alpha1.OperationRemoveNodes, v1alpha1.OperationDrainNodes:
		m.Off = r.nodes()
	case v1alpha1.OperationRebalance:
		m.Onto, m.All = all, true
	case v1alpha1.OperationEvictNodes:
	}
	return m
}

// maxPause is how long statements may be held back while locks are waited for, in milliseconds.
func (r *run) maxPause() int64 {
	const usual = 5000
	if r.op.Spec.MaxPause != nil {
		return r.op.Spec.MaxPause.Duration.Milliseconds()
	}
	return usual
}

// planned asks gc what would be moved. The token differs from that of the move itself.
func (r *run) planned() (*instanceapi.MoveStatus, outcome) {
	order := r.move()
	order.Token, order.PlanOnly = r.token()+"/plan", true
	s := r.status(antdb.GTMNode)
	if s == nil {
		return nil, wait("gc does not answer: %s", r.f.Nodes[antdb.GTMNode].Why)
	}
	if s.Move == nil || s.Move.Token != order.Token {
		r.order(Move{order})
		return nil, wait("gc is asked what would be moved")
	}
	switch s.Move.Phase {
	case instanceapi.MovePlanned, instanceapi.MoveDone:
		return s.Move, outcome{}
	case instanceapi.MoveFailed, instanceapi.MoveCancelled:
		return nil, fail("gc cannot plan the move: %s", s.Move.Message)
	case instanceapi.MoveNone, instanceapi.MoveRunning:
	}
	return nil, wait("gc plans the move: %s", s.Move.Message)
}

// planRows writes down what would be moved, and changes nothing.
func planRows(r *run) outcome {
	if role(r.op) == antdb.RoleCoordinator {
		return done("coordinators hold no rows: none would be moved")
	}
	m, o := r.planned()
	if m == nil {
		if o.kind == kindFail {
			return refuse("%s", o.message)
		}
		return o
	}
	r.report(m)
	return done("%d tables would be moved", m.TablesTotal)
}

// check refuses a move that cannot end well: a table that lies nowhere else, or too little space on the others.
func check(r *run) outcome {
	m, o := r.planned()
	if m == nil {
		if o.kind == kindFail {
			return refuse("%s", o.message)
		}
		return o
	}
	if len(m.Pinned) > 0 {
		return refuse("tables lie on %s alone, where somebody put them: %s; move them with ALTER TABLE … TO NODE first", list(r.nodes()), list(m.Pinned))
	}
	stay := r.active(antdb.RoleDatanode, r.op.Spec.Nodes...)
	need := share(m, len(r.nodes()), len(stay))
	var small []string
	for _, name := range stay {
		s := r.status(name)
		switch {
		case s == nil:
			return wait("%s", r.why(name))
		case s.Volume == nil:
			return wait("%s has not told its free space yet", name)
		case s.Volume.Free/100*margin < need:
			small = append(small, fmt.Sprintf("%s has %s free", name, bytes(s.Volume.Free)))
		}
	}
	if len(small) > 0 {
		return refuse("the rows of %s need about %s on each datanode that stays, and at most %d %% of its free space is used: %s",
			list(r.nodes()), bytes(need), margin, strings.Join(small, ", "))
	}
	return done("about %s go to each datanode that stays", bytes(need))
}

// share is what each datanode that stays must take: its part of what lies on the others, and for a while a second copy
// of its part of the biggest table.
func share(m *instanceapi.MoveStatus, leave, stay int) int64 {
	var biggest int64
	for _, t := range m.Tables {
		biggest = max(biggest, t.Bytes)
	}
	return m.BytesTotal*int64(leave)/int64(leave+stay)/int64(stay) + biggest/int64(stay)
}

func bytes(n int64) string { return resource.NewQuantity(n, resource.BinarySI).String() }

// moveStatus is what gc says of the move of this attempt; nil if it says nothing of it.
func (r *run) moveStatus() *instanceapi.MoveStatus {
	s := r.status(antdb.GTMNode)
	if s == nil || s.Move == nil || s.Move.Token != r.token() {
		return nil
	}
	return s.Move
}

// moveRows lets gc move the rows, and asks again where gc was restarted meanwhile.
func moveRows(r *run) outcome {
	r.Status.PointOfNoReturn = false
	if r.status(antdb.GTMNode) == nil {
		return wait("gc does not answer: %s", r.f.Nodes[antdb.GTMNode].Why)
	}
	m := r.moveStatus()
	if m == nil {
		r.order(Move{r.move()})
		return wait("gc is asked to move the rows")
	}
	r.report(m)
	switch m.Phase {
	case instanceapi.MoveDone:
		return done("%d tables moved, longest pause %d ms", m.TablesDone, m.LongestPauseMillis)
	case instanceapi.MoveFailed:
		return r.moveFailed(m)
	case instanceapi.MoveCancelled:
		return again(StepMoveRows, "the move was stopped")
	case instanceapi.MoveNone, instanceapi.MoveRunning, instanceapi.MovePlanned:
	}
	return wait("%s", m.Message)
}

// moveFailed lets some time pass before it asks again. The failure is noted in the message of the step, with the moment
// in EndedAt.
func (r *run) moveFailed(m *instanceapi.MoveStatus) outcome {
	e := entry(&r.Status, StepMoveRows)
	if e.EndedAt == nil {
		now := r.f.Now
		e.EndedAt = &now
	}
	if r.passed(*e.EndedAt) < pause {
		return wait("%s; it is tried again after %d s", m.Message, pause)
	}
	return again(StepMoveRows, "%s", m.Message)
}

// report copies how far the move is into the status.
func (r *run) report(m *instanceapi.MoveStatus) {
	out := v1alpha1.MoveStatus{
		TablesTotal: int32(m.TablesTotal), TablesDone: int32(m.TablesDone), //nolint:gosec // tables of a database fit
		RowsTotal: m.RowsTotal, RowsDone: m.RowsDone, BytesTotal: m.BytesTotal, BytesDone: m.BytesDone,
		SecondsLeft: m.SecondsLeft, LongestPauseMillis: m.LongestPauseMillis, Retries: int32(m.Retries), //nolint:gosec // as above
		Pinned: m.Pinned,
	}
	for _, t := range m.Tables {
		out.Tables = append(out.Tables, v1alpha1.TableMove{
			Database: t.Database, Table: t.Table, Rows: t.Rows, Bytes: t.Bytes, State: v1alpha1.StepState(t.State), Message: t.Message,
		})
	}
	r.Status.Move = &out
	r.Status.Progress = fmt.Sprintf("%d/%d tables, %d%%", m.TablesDone, m.TablesTotal, percent(m))
}

func percent(m *instanceapi.MoveStatus) int64 {
	switch {
	case m.BytesTotal > 0:
		return min(100, m.BytesDone*100/m.BytesTotal)
	case m.TablesTotal > 0:
		return int64(m.TablesDone * 100 / m.TablesTotal)
	default:
		return 100
	}
}
