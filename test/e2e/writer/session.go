// SPDX-License-Identifier: Apache-2.0

package writer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// batchesPerSession keeps the batches of different sessions apart.
const batchesPerSession = 1_000_000_000

// session is one connection after the other, used by one goroutine.
type session struct {
	o      *Options
	number int64
	reads  bool
	conn   *pgx.Conn

	mu           sync.Mutex
	acknowledged []int64
	failures     map[string]int // by what was said
	faults       int            // failures that trying again would not mend
	unknown      int
	count        int64         // rows that were seen last
	fell         []string      // when fewer rows were seen than before
	ever         time.Duration // the longest gap
	last         time.Time     // the last success, at first the start
	longest      time.Duration // the longest gap since gaps were asked for
	progress     chan struct{} // closed at the next success
}

// run works until stop is closed.
func (s *session) run(ctx context.Context, stop <-chan struct{}) {
	defer s.leave(ctx)
	pause := time.NewTicker(s.o.Pause)
	defer pause.Stop()
	for batch := s.number * batchesPerSession; ; batch++ {
		s.step(ctx, batch)
		select {
		case <-stop:
			return
		case <-pause.C:
		}
	}
}

func (s *session) step(ctx context.Context, batch int64) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Patience)
	defer cancel()
	if s.conn == nil {
		conn, err := s.o.Connect(ctx)
		if err != nil {
			s.failed(fmt.Errorf("connect: %w", err))
			return
		}
		s.conn = conn
	}
	if s.reads {
		s.read(ctx)
		return
	}
	if _, err := s.conn.Exec(ctx, insert(s.o.Table, batch)); err != nil {
		s.failed(err)
		s.mu.Lock()
		s.unknown++
		s.mu.Unlock()
		s.leave(ctx)
		return
	}
	s.mu.Lock()
	s.acknowledged = append(s.acknowledged, batch)
	s.mu.Unlock()
	s.succeeded()
}

func (s *session) read(ctx context.Context) {
	var count int64
	if err := s.conn.QueryRow(ctx, "select count(*) from "+s.o.Table).Scan(&count); err != nil {
		s.failed(err)
		s.leave(ctx)
		return
	}
	s.counted(count)
	s.succeeded()
}

// counted notes how many rows were seen. Rows are only ever added, so that there can never be fewer than before.
func (s *session) counted(count int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if count < s.count {
		s.fell = append(s.fell, fmt.Sprintf("a reader saw %d rows after it had seen %d", count, s.count))
	}
	s.count = count
}

// leave gives the connection up. A server that is gone does not answer a farewell, so none is waited for.
func (s *session) leave(ctx context.Context) {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx)
	s.conn = nil
}

func (s *session) succeeded() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	gap := now.Sub(s.last)
	s.longest, s.ever, s.last = max(s.longest, gap), max(s.ever, gap), now
	close(s.progress)
	s.progress = make(chan struct{})
}

func (s *session) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[oneLine(err)]++
	if !retryable(err) {
		s.faults++
	}
}

// retryable tells whether the server asks for nothing but another try: the transaction met another one.
func retryable(err error) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"40001", "40P01", "55P03"}, refusal.Code)
}

// next is closed at the next success.
func (s *session) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress
}

func (s *session) takeGap() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	longest := s.longest
	s.longest = 0
	return longest
}

func (s *session) report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Report{Batches: len(s.acknowledged), Unknown: s.unknown, Faults: s.faults, Failures: maps.Clone(s.failures), Longest: s.ever}
}

func (s *session) findings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fell)
}

func (s *session) batches() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acknowledged)
}

// insert is the statement of one batch, a transaction of its own.
func insert(table string, batch int64) string {
	rows := make([]string, rowsPerBatch)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d, %d)", batch*rowsPerBatch+int64(i), batch)
	}
	return "insert into " + table + " values " + strings.Join(rows, ", ")
}

// oneLine is what an error says, short enough to be counted and shown.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 160 {
		text = text[:160] + "…"
	}
	return text
}
