// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// nudge is how often an interrupted session asks its nodes to stop: a request that comes between two statements of the
// front has no effect.
const nudge = 200 * time.Millisecond

// interruptible runs work on other nodes, where statement_timeout and a cancel request must reach it.
func (s *session) interruptible(ctx context.Context, limit time.Duration,
	work func() (string, *wire.Error, error)) (string, *wire.Error, error) {
	done := make(chan struct{})
	reason := make(chan *wire.Error, 1)
	go func() { reason <- s.interrupt(ctx, limit, done) }()
	tag, failed, err := work()
	close(done)
	if why := <-reason; why != nil && failed != nil && failed.Code == "57014" {
		failed = why
	}
	return tag, failed, err
}

// interrupt waits for a reason to stop the work and then asks all nodes for it until the work is done.
func (s *session) interrupt(ctx context.Context, limit time.Duration, done <-chan struct{}) *wire.Error {
	var timeout <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		timeout = t.C
	}
	select { // a cancel request that came too late for an earlier statement
	case <-s.canceled:
	default:
	}
	var why *wire.Error
	select {
	case <-done:
		return nil
	case <-s.canceled:
		why = wire.Errorf("57014", "canceling statement due to user request")
	case <-timeout:
		why = wire.Errorf("57014", "canceling statement due to statement timeout")
	case <-s.childGone:
		why = wire.Fatalf("57P01", "terminating connection due to administrator command")
	}
	for {
		s.mu.Lock()
		var open []*branch
		for _, b := range s.branches {
			if b.live.Load() != nil {
				open = append(open, b)
			}
		}
		s.mu.Unlock()
		for _, b := range open {
			b.cancel(ctx)
		}
		select {
		case <-done:
			return why
		case <-time.After(nudge):
		}
	}
}
