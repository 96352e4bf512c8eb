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
	// Grow and Shrink are the steps of the operations that move rows, from the plan to the last table. Pause is the part of
	// Grow in which the table itself was moved, ByHand the engine's own ALTER TABLE … ADD NODE over the same rows.
	Grow, Shrink, Pause, ByHand time.Duration
	// GrowStall and ShrinkStall are the longest times that a session of an application waited during the operation.
	GrowStall, ShrinkStall time.Duration
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
	text := strings.Replace(manifest(name, o.image, true), "  gtm:", "  retention: 0s\n  gtm:", 1)
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
		m, err := moveOnce(ctx, n, before, rows)
		if err != nil {
			return "", fmt.Errorf("move %d rows: %w", rows, err)
		}
		say("%d rows: to the fourth datanode %s, its own pause %s, by hand %s, longest stall %s", rows, round(m.Grow), round(m.Pause), round(m.ByHand), round(m.GrowStall))
		all = append(all, m)
	}
	return moveSection(o, all), nil
}

func moveOnce(ctx context.Context, n *cluster.Namespace, before map[string]bool, rows int64) (m moved, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
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
	for _, sql := range []string{
		"create table " + movedTable + " (id int primary key, filler text)",
		fmt.Sprintf("insert into %s select i, 'filler of row ' || i from generate_series(1, %d) i", movedTable, rows),
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return m, fmt.Errorf("%s: %w", sql, err)
		}
	}
	w, err := writer.Start(ctx, writer.Options{
		Connect: login.Connect, Table: fmt.Sprintf("written_beside_%d", rows), Writers: 1, Readers: 1,
		Pause: 20 * time.Millisecond, Patience: 5 * time.Minute,
	})
	if err != nil {
		return m, err
	}
	defer w.Stop()
	grown, err := scaled(ctx, n, w, before, 4, "AddNodes dn4")
	if err != nil {
		return m, err
	}
	m.Grow, m.Pause, m.GrowStall, m.Bytes = grown.took, grown.pause, grown.stall, grown.bytes
	if m.ByHand, err = byHand(ctx, n); err != nil {
		return m, err
	}
	shrunk, err := scaled(ctx, n, w, before, 3, "RemoveNodes dn4")
	if err != nil {
		return m, err
	}
	m.Shrink, m.ShrinkStall = shrunk.took, shrunk.stall
	w.Stop()
	if _, err := w.Verify(ctx); err != nil {
		return m, err
	}
	_, err = conn.Exec(ctx, "drop table "+movedTable)
	return m, err
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

// byHand takes the fourth datanode's share away and gives it back by the engine's own statements, as a person would, and
// takes the time of the second.
func byHand(ctx context.Context, n *cluster.Namespace) (took time.Duration, err error) {
	login, err := n.Login(ctx, cluster.Target{Cluster: name, Node: "gc"})
	if err != nil {
		return 0, err
	}
	var conn *pgx.Conn
	if conn, err = login.Connect(ctx); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, "alter table "+movedTable+" delete node (dn4)"); err != nil {
		return 0, fmt.Errorf("take the share of dn4 away by hand: %w", err)
	}
	begin := time.Now()
	if _, err := conn.Exec(ctx, "alter table "+movedTable+" add node (dn4)"); err != nil {
		return 0, fmt.Errorf("give dn4 its share by hand: %w", err)
	}
	return time.Since(begin), nil
}

func moveSection(o options, all []moved) string {
	var b strings.Builder
	fmt.Fprintf(&b, `## Moving rows (%s)

A fourth datanode gets its share of a table with a primary key, and gives it back, while another table is written and read
through a coordinator. The step is the operation's MoveRows, with its plan, seen from outside; the pause is the part of it in
which the table is moved and the cluster's statements wait; by hand is the engine's own ALTER TABLE … ADD NODE over the same
rows in the same run. The ratio is that of the rows that are moved in a second. The stall is the longest time for which a
session of the application waited during the whole operation. `, o.engine)
	b.WriteString(measured())
	b.WriteString("\n| rows in the table | grow: step | pause | by hand | ratio | rows/s | MB/s | stall | shrink: step | stall |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, m := range all {
		s := m.Pause.Seconds()
		fmt.Fprintf(&b, "| %d | %.2f s | %.2f s | %.2f s | **%.2f** | %.0f | %.1f | %.2f s | %.2f s | %.2f s |\n", m.Rows, m.Grow.Seconds(), s, m.ByHand.Seconds(),
			m.ByHand.Seconds()/s, float64(m.Rows)/s, float64(m.Bytes)/1e6/s, m.GrowStall.Seconds(), m.Shrink.Seconds(), m.ShrinkStall.Seconds())
	}
	return b.String()
}
