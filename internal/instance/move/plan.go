// SPDX-License-Identifier: Apache-2.0

package move

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/redistribute"
)

// Limits of a plan: how long reading one database may take, and how many tables the status names.
const (
	readLimit  = time.Minute
	tableLimit = 50
)

// plan reads all catalogs and decides what is left to do.
func (w *work) plan(ctx context.Context) (redistribute.Plan, error) {
	var databases []string
	err := w.read(ctx, dbadmin.Maintenance, func(ctx context.Context) (err error) {
		databases, err = w.session.Databases(ctx)
		return err
	})
	if err != nil {
		return redistribute.Plan{}, err
	}
	var all []redistribute.Table
	for _, database := range databases {
		err := w.read(ctx, database, func(ctx context.Context) error {
			tables, err := w.measured(ctx)
			all = append(all, tables...)
			return err
		})
		if err != nil {
			return redistribute.Plan{}, err
		}
	}
	return redistribute.Decide(all, wish(w.order)), nil
}

// read asks something of a database.
func (w *work) read(ctx context.Context, database string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	if err := w.enter(ctx, database); err != nil {
		return err
	}
	err := ask(ctx)
	if err != nil {
		w.leave()
	}
	return err
}

// measured reads the tables of the session's database with their sizes. The datanodes that hold something are asked,
// and those that shall: while one of them is away, nothing is moved.
func (w *work) measured(ctx context.Context) ([]redistribute.Table, error) {
	tables, err := w.session.Tables(ctx)
	if err != nil {
		return nil, err
	}
	nodes := slices.Clone(w.order.Onto)
	for _, t := range tables {
		nodes = append(nodes, t.Nodes...)
	}
	slices.Sort(nodes)
	var held [][]redistribute.Size
	for _, node := range slices.Compact(nodes) {
		sizes, err := w.session.SizesOn(ctx, node)
		if err != nil {
			return nil, err
		}
		held = append(held, sizes)
	}
	redistribute.Measure(tables, held)
	return tables, nil
}

func tables(steps []redistribute.Step) (n int) {
	for _, s := range steps {
		n += len(s.Targets)
	}
	return n
}

// tell puts a new plan into the status: what is done already, and what is left.
func (w *work) tell(p redistribute.Plan) {
	all := slices.Clone(w.done)
	var rows, bytes int64
	for _, s := range p.Steps {
		rows, bytes = rows+s.Rows, bytes+s.Bytes
		state, message := "Waiting", ""
		if reason := w.failed[key(s)]; reason != "" {
			state, message = "Failed", reason
		}
		all = append(all, moves(s, state, message)...)
	}
	slices.SortStableFunc(all, func(a, b instanceapi.TableMove) int { return cmp.Compare(b.Bytes, a.Bytes) })
	w.note(func(s *instanceapi.MoveStatus) {
		s.TablesTotal = len(w.done) + tables(p.Steps)
		s.RowsTotal, s.BytesTotal = s.RowsDone+rows, s.BytesDone+bytes
		s.Pinned = p.Pinned
		s.Tables = all[:min(len(all), tableLimit)]
		w.estimate(s)
	})
}

// moves are the tables of a step.
func moves(s redistribute.Step, state, message string) []instanceapi.TableMove {
	var all []instanceapi.TableMove
	for _, t := range s.Targets {
		all = append(all, instanceapi.TableMove{
			Database: s.Database, Table: t.Table.FullName(), Rows: t.Rows, Bytes: t.Bytes, State: state, Message: message,
		})
	}
	return all
}

// mark changes the state of a step's tables.
func (w *work) mark(s redistribute.Step, state, message string) {
	w.note(func(status *instanceapi.MoveStatus) {
		if state == "Running" {
			status.Message = "moving " + key(s)
		}
		changed := slices.Clone(status.Tables) // others may be reading the old one
		for i, t := range changed {
			if t.Database == s.Database && slices.ContainsFunc(s.Targets, func(x redistribute.Target) bool { return x.Table.FullName() == t.Table }) {
				changed[i].State, changed[i].Message = state, message
			}
		}
		status.Tables = changed
	})
}

// finish counts a step that is done.
func (w *work) finish(s redistribute.Step) {
	w.done = append(w.done, moves(s, "Done", "")...)
	w.mark(s, "Done", "")
	w.note(func(status *instanceapi.MoveStatus) {
		status.TablesDone, status.RowsDone, status.BytesDone = len(w.done), status.RowsDone+s.Rows, status.BytesDone+s.Bytes
		w.estimate(status)
	})
}

func (w *work) estimate(s *instanceapi.MoveStatus) {
	s.SecondsLeft = redistribute.SecondsLeft(s.TablesTotal-s.TablesDone, s.BytesTotal-s.BytesDone, s.BytesDone, w.spent.Seconds())
}
