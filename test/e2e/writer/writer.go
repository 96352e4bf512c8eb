// SPDX-License-Identifier: Apache-2.0

// Package writer puts rows into a database while somebody disturbs it, and afterwards proves that nothing which was
// acknowledged is lost, nothing is there twice and nothing is there by half. It also knows how long each session had to
// wait.
//
// It knows PostgreSQL's protocol and its own table. It knows nothing of Kubernetes: how a session is opened is given.
package writer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// rowsPerBatch is how many rows one transaction writes. Their keys follow each other, so that they are spread over all
// datanodes and a transaction that is done on one of them alone is seen.
const rowsPerBatch = 4

// Options say what is written, and where.
type Options struct {
	// Connect opens a session. It is called again whenever a session is lost.
	Connect func(context.Context) (*pgx.Conn, error)
	// Table is made at the start.
	Table string
	// Writers and Readers are the numbers of sessions.
	Writers, Readers int
	// Pause between two statements of a session.
	Pause time.Duration
	// Patience is how long a statement may take before its session is given up. It must be longer than any gap that
	// is asked about: a session that hangs longer counts as one that hung this long.
	Patience time.Duration
}

// Writer is a group of sessions at work.
type Writer struct {
	o        Options
	stop     chan struct{}
	stopped  sync.Once
	done     sync.WaitGroup
	sessions []*session
}

// Report is what a Writer did.
type Report struct {
	// Batches were acknowledged; Unknown ones were not, and may or may not be there.
	Batches, Unknown int
	// Faults are failures besides those that ask for another try: serialization, deadlock, lock not available.
	Faults int
	// Failures counts statements and connections that failed, by what was said.
	Failures map[string]int
	// Longest is the longest time between two successes of one session.
	Longest time.Duration
}

// mostFailures is how many different failures a report quotes.
const mostFailures = 6

// String is the report in a line, and the most frequent failures, one a line.
func (r Report) String() string {
	failures := 0
	for _, n := range r.Failures {
		failures += n
	}
	lines := []string{fmt.Sprintf("%d batches acknowledged, %d unknown, %d failures, longest gap %s",
		r.Batches, r.Unknown, failures, r.Longest.Round(10*time.Millisecond))}
	said := slices.SortedFunc(maps.Keys(r.Failures), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Failures[b], r.Failures[a]), cmp.Compare(a, b))
	})
	for _, text := range said[:min(len(said), mostFailures)] {
		lines = append(lines, fmt.Sprintf("  %d times: %s", r.Failures[text], text))
	}
	return strings.Join(lines, "\n")
}

// Start makes the table and lets the sessions begin. It returns when each has had a success.
func Start(ctx context.Context, o Options) (*Writer, error) {
	conn, err := o.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("make table %s: %w", o.Table, err)
	}
	_, err = conn.Exec(ctx, "create table "+o.Table+" (id bigint, batch bigint)")
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return nil, fmt.Errorf("make table %s: %w", o.Table, err)
	}
	w := &Writer{o: o, stop: make(chan struct{})}
	for i := range o.Writers + o.Readers {
		s := &session{o: &w.o, number: int64(i), reads: i >= o.Writers, last: time.Now(),
			failures: map[string]int{}, progress: make(chan struct{})}
		w.sessions = append(w.sessions, s)
		w.done.Go(func() { s.run(context.WithoutCancel(ctx), w.stop) })
	}
	if err := w.succeed(ctx); err != nil {
		w.Stop()
		return nil, err
	}
	return w, nil
}

// succeed waits until every session has had a success from now on.
func (w *Writer) succeed(ctx context.Context) error {
	waits := make([]<-chan struct{}, len(w.sessions))
	for i, s := range w.sessions {
		waits[i] = s.next()
	}
	for i, next := range waits {
		select {
		case <-next:
		case <-ctx.Done():
			return fmt.Errorf("session %d on table %s has no success: %s", i, w.o.Table, w.sessions[i].report())
		}
	}
	return nil
}

// Gap waits for one more success of every session, returns the longest gap since the last call, and begins anew.
func (w *Writer) Gap(ctx context.Context) (time.Duration, error) {
	if err := w.succeed(ctx); err != nil {
		return 0, err
	}
	var longest time.Duration
	for _, s := range w.sessions {
		longest = max(longest, s.takeGap())
	}
	return longest, nil
}

// Report tells what was done so far.
func (w *Writer) Report() Report {
	all := Report{Failures: map[string]int{}}
	for _, s := range w.sessions {
		r := s.report()
		all.Batches += r.Batches
		all.Unknown += r.Unknown
		all.Faults += r.Faults
		all.Longest = max(all.Longest, r.Longest)
		for text, n := range r.Failures {
			all.Failures[text] += n
		}
	}
	return all
}

// Stop lets every session finish its statement and ends it. It may be called again.
func (w *Writer) Stop() Report {
	w.stopped.Do(func() { close(w.stop) })
	w.done.Wait()
	return w.Report()
}

// Verify reads the table and compares it with what was acknowledged. The engine may still be finishing transactions
// whose coordinator was killed, so it looks again until ctx ends. It returns how long that took.
func (w *Writer) Verify(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		err := w.verify(ctx)
		if err == nil {
			return time.Since(begin), nil
		}
		select {
		case <-ctx.Done():
			return time.Since(begin), fmt.Errorf("verify table %s for %s: %w", w.o.Table, time.Since(begin).Round(time.Second), err)
		case <-tick.C:
		}
	}
}

func (w *Writer) verify(ctx context.Context) (err error) {
	conn, err := w.o.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	found, err := conn.Query(ctx, "select id, batch from "+w.o.Table)
	if err != nil {
		return err
	}
	rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[Row])
	if err != nil {
		return err
	}
	var acknowledged []int64
	for _, s := range w.sessions {
		acknowledged = append(acknowledged, s.batches()...)
	}
	findings := Audit(acknowledged, rows)
	for _, s := range w.sessions {
		findings = append(findings, s.findings()...)
	}
	if len(findings) > 0 {
		return errors.New(strings.Join(findings, "; "))
	}
	return nil
}
