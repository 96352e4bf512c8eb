// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
	"github.com/antdb-operator/antdb-operator/test/e2e/writer"
)

// moved is what it took to give a fourth datanode its share of one table, and to take it back.
type moved struct {
	Rows, Bytes int64
	// One entry for each time.
	//
	// Grow and Shrink are the steps of the operations that move rows, from the plan to the last table. Pause is the part of
	// Grow in which the table itself was moved, ByHand the engine's own ALTER TABLE … ADD NODE over the same rows.
	Grow, Shrink, Pause, ByHand []time.Duration
	// GrowStall and ShrinkStall are the longest times that a session of an application waited during the operation.
	GrowStall, ShrinkStall []time.Duration
}

const movedTable = "moved"

// measureMove lets a cluster grow from three datanodes to four and shrink again, once for each size of a table, while
// applications write and read another one.
func measureMove(ctx context.Context, o options, say func(string, ...any)) (section string, err error) {
	n, remove, err := space(ctx, o)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, remove()) }()
	text := strings.NewReplacer("  gtm:", "  retention: 0s\n  gtm:", "{count: 3, storage: {size: 1Gi}}", "{count: 3, storage: {size: 16Gi}}").
		Replace(manifest(name, o.image, true))
	if err := n.Create(ctx, text); err != nil {
		return "", err
	}
	wait, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := n.WaitReady(wait, 1); err != nil {
		return "", err
	}
	var all []moved
	before := map[string]bool{} // operations that ended
	for _, number := range strings.Split(o.rows, ",") {
		rows, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return "", fmt.Errorf("flag --rows: %w", err)
		}
		m, err := moveTable(ctx, n, before, rows, o.runs)
		if err != nil {
			return "", fmt.Errorf("move %d rows: %w", rows, err)
		}
		say("%d rows: to the fourth datanode %s, its own pause %s, by hand %s, longest stall %s (medians of %d)", rows,
			round(median(m.Grow)), round(median(m.Pause)), round(median(m.ByHand)), round(median(m.GrowStall)), o.runs)
		all = append(all, m)
	}
	return moveSection(o, all), nil
}

// moveTable makes a table and moves it to and fro.
func moveTable(ctx context.Context, n *cluster.Namespace, before map[string]bool, rows int64, runs int) (m moved, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	m.Rows = rows
	login, err := n.Login(ctx, cluster.Target{Cluster: name, Node: "cn1"})
	if err != nil {
		return m, err
	}
	if err := reachable(ctx, login); err != nil {
		return m, err
	}
	conn, err := login.Connect(ctx)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	w, err := writer.Start(ctx, writer.Options{
		Connect: login.Connect, Table: fmt.Sprintf("written_beside_%d", rows), Writers: 1, Readers: 1,
		Pause: 20 * time.Millisecond, Patience: 5 * time.Minute,
	})
	if err != nil {
		return m, err
	}
	defer w.Stop()
	for range runs {
		if err := m.byOperator(ctx, n, w, conn, before); err != nil {
			return m, err
		}
		if err := m.byHand(ctx, n, w, conn, before); err != nil {
			return m, err
		}
	}
	w.Stop()
	_, err = w.Verify(ctx)
	return m, err
}

// fill makes the table on the first three datanodes. It ends with a vacuum: who reads rows first since they were written
// pays for it.
func fill(ctx context.Context, conn *pgx.Conn, rows int64) error {
	return runAll(ctx, conn,
		"create table "+movedTable+" (id int primary key, filler text) to node (dn1, dn2, dn3)",
		fmt.Sprintf("insert into %s select i, 'filler of row ' || i from generate_series(1, %d) i", movedTable, rows),
		"vacuum "+movedTable)
}

func runAll(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// byOperator lets the cluster grow, with the table, and shrink again.
func (m *moved) byOperator(ctx context.Context, n *cluster.Namespace, w *writer.Writer, conn *pgx.Conn, before map[string]bool) error {
	if err := fill(ctx, conn, m.Rows); err != nil {
		return err
	}
	grown, err := scaled(ctx, n, w, before, 4, "AddNodes dn4")
	if err != nil {
		return err
	}
	shrunk, err := scaled(ctx, n, w, before, 3, "RemoveNodes dn4")
	if err != nil {
		return err
	}
	m.Bytes = grown.bytes
	m.Grow, m.Pause, m.GrowStall = append(m.Grow, grown.took), append(m.Pause, grown.pause), append(m.GrowStall, grown.stall)
	m.Shrink, m.ShrinkStall = append(m.Shrink, shrunk.took), append(m.ShrinkStall, shrunk.stall)
	return runAll(ctx, conn, "drop table "+movedTable)
}

// byHand makes the table anew beside a fourth datanode that is as new as the operator's, and gives that its share by the
// engine's own statement, as a person would.
func (m *moved) byHand(ctx context.Context, n *cluster.Namespace, w *writer.Writer, conn *pgx.Conn, before map[string]bool) error {
	if _, err := scaled(ctx, n, w, before, 4, "AddNodes dn4"); err != nil {
		return err
	}
	if err := fill(ctx, conn, m.Rows); err != nil {
		return err
	}
	login, err := n.Login(ctx, cluster.Target{Cluster: name, Node: "gc"})
	if err != nil {
		return err
	}
	gc, err := login.Connect(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	err = runAll(ctx, gc, "alter table "+movedTable+" add node (dn4)")
	m.ByHand = append(m.ByHand, time.Since(begin))
	if err := errors.Join(err, gc.Close(context.WithoutCancel(ctx)), runAll(ctx, conn, "drop table "+movedTable)); err != nil {
		return err
	}
	_, err = scaled(ctx, n, w, before, 3, "RemoveNodes dn4")
	return err
}

// step is the moving step of one operation.
type step struct {
	took, pause, stall time.Duration
	bytes              int64
}

// scaled changes the number of datanodes and takes the time of the step that moves rows.
func scaled(ctx context.Context, n *cluster.Namespace, w *writer.Writer, before map[string]bool, datanodes int, title string) (s step, err error) {
	if _, err := w.Gap(ctx); err != nil { // what was before does not count
		return s, err
	}
	if err := n.Patch(ctx, name, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"datanodes":{"count":%d}}}`, datanodes)); err != nil {
		return s, err
	}
	var begin, end time.Time
	o, err := n.WaitOperation(ctx, title, before, func(o cluster.Operation) bool {
		switch state := o.Step("MoveRows"); {
		case state == "Running" && begin.IsZero():
			begin = time.Now()
		case state == "Done" && end.IsZero():
			end = time.Now()
		}
		return o.Ended()
	})
	if err != nil {
		return s, err
	}
	before[o.Metadata.Name] = true
	if o.Status.Phase != "Completed" || begin.IsZero() || o.Status.Move == nil {
		return s, fmt.Errorf("the operation did not do what is measured: %s", o)
	}
	if _, err := n.WaitCondition(ctx, name, cluster.Ready); err != nil {
		return s, err
	}
	s.took, s.bytes = end.Sub(begin), o.Status.Move.BytesDone
	s.pause = time.Duration(o.Status.Move.LongestPauseMillis) * time.Millisecond
	s.stall, err = w.Gap(ctx)
	return s, err
}

func moveSection(o options, all []moved) string {
	var b strings.Builder
	fmt.Fprintf(&b, `## Moving rows (%s)

A fourth datanode gets its share of a table with a primary key, and gives it back, while another table is written and read
through a coordinator. The step is the operation's MoveRows, with its plan, seen from outside; the pause is the part of it in
which the table is moved and the cluster's statements wait; by hand is the engine's own ALTER TABLE … ADD NODE over the same
rows in the same run, onto a datanode as new as the operator's. The ratio is that of the rows that are moved in a second. The stall is the longest time for which a
session of the application waited during the whole operation. `, o.engine)
	b.WriteString(measured())
	b.WriteString("\n| rows in the table | grow: step | pause | by hand | ratio of the medians | rows/s | MB/s | stall | shrink: step | stall |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, m := range all {
		pause := median(m.Pause).Seconds()
		fmt.Fprintf(&b, "| %d | %s | %s | %s | **%.2f** | %.0f | %.1f | %s | %s | %s |\n", m.Rows, spread(m.Grow), spread(m.Pause), spread(m.ByHand),
			median(m.ByHand).Seconds()/pause, float64(m.Rows)/pause, float64(m.Bytes)/1e6/pause, spread(m.GrowStall), spread(m.Shrink), spread(m.ShrinkStall))
	}
	return b.String()
}
