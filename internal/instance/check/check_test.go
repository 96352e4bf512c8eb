// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instance/check"
)

const patience = 10 * time.Second

// asker answers from a channel and counts what is open.
type asker struct {
	answers chan error
	open    *atomic.Int32
	dead    atomic.Bool
}

func (a *asker) Ask(ctx context.Context) error {
	a.open.Add(1)
	defer a.open.Add(-1)
	select {
	case err := <-a.answers:
		return err
	case <-ctx.Done():
		a.dead.Store(true)
		return ctx.Err()
	}
}

func (a *asker) Dead() bool { return a.dead.Load() }

func (a *asker) Close() {}

// rig runs a loop over connections that a test hands out.
type rig struct {
	t       *testing.T
	conns   chan *asker
	reports chan check.Report
	nudges  atomic.Int32
	open    atomic.Int32
	dials   atomic.Int32
}

func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, conns: make(chan *asker, 8), reports: make(chan check.Report, 64)}
	ctx, cancel := context.WithCancel(context.Background())
	loop := &check.Loop{
		Dial: func(ctx context.Context) (check.Asker, error) {
			r.dials.Add(1)
			select {
			case c := <-r.conns:
				return c, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
		Every: time.Millisecond, Deadline: 30 * time.Millisecond,
		Nudge:   func() { r.nudges.Add(1) },
		Changed: func(report check.Report) { r.reports <- report },
	}
	done := make(chan struct{})
	go func() { defer close(done); loop.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// connect hands out a connection with its answers.
func (r *rig) connect(answers ...error) *asker {
	c := &asker{answers: make(chan error, 64), open: &r.open}
	for _, a := range answers {
		c.answers <- a
	}
	r.conns <- c
	return c
}

func (r *rig) want(want check.Report) {
	r.t.Helper()
	select {
	case got := <-r.reports:
		if got != want {
			r.t.Fatalf("report %+v, want %+v", got, want)
		}
	case <-time.After(patience):
		r.t.Fatalf("no report, want %+v", want)
	}
}

func TestAnAnswerIsGoodAndALateOneIsAwaited(t *testing.T) {
	r := start(t)
	c := r.connect(nil, nil)
	r.want(check.Report{State: check.Good})
	r.want(check.Report{State: check.Late})
	if open, dials := r.open.Load(), r.dials.Load(); open != 1 || dials != 1 {
		t.Errorf("%d questions on %d connections, want one of each", open, dials)
	}
	c.answers <- nil
	r.want(check.Report{State: check.Good})
}

func TestAnErrorStaysUntilAGoodAnswer(t *testing.T) {
	r := start(t)
	c := r.connect(errors.New("wait stream timeout"))
	r.want(check.Report{State: check.Failed, Error: "wait stream timeout"})
	<-time.After(60 * time.Millisecond) // long enough to be late
	c.answers <- errors.New("wait stream timeout")
	c.answers <- nil
	r.want(check.Report{State: check.Good})
}

func TestALostConnectionIsReplacedWithoutAWord(t *testing.T) {
	r := start(t)
	first := r.connect(nil)
	r.want(check.Report{State: check.Good})
	r.connect(nil, nil, nil)
	first.dead.Store(true)
	first.answers <- errors.New("terminating connection due to administrator command")
	deadline := time.Now().Add(patience)
	for r.dials.Load() < 2 {
		if time.Now().After(deadline) {
			t.Fatal("no second connection")
		}
		<-time.After(time.Millisecond)
	}
	select {
	case got := <-r.reports:
		if got.State == check.Failed {
			t.Errorf("reported %+v", got)
		}
	default:
	}
}

func TestAConnectionThatNeverAnsweredIsAFailure(t *testing.T) {
	r := start(t)
	c := &asker{answers: make(chan error, 1), open: &r.open}
	c.dead.Store(true)
	c.answers <- errors.New("server closed the connection")
	r.conns <- c
	r.want(check.Report{State: check.Failed, Error: "server closed the connection"})
}

func TestAServerThatOwesAnAnswerIsNudged(t *testing.T) {
	r := start(t)
	c := r.connect()
	r.want(check.Report{State: check.Late})
	deadline := time.Now().Add(patience)
	for r.nudges.Load() == 0 {
		if time.Now().After(deadline) {
			t.Fatal("not nudged")
		}
		<-time.After(time.Millisecond)
	}
	c.answers <- nil
	r.want(check.Report{State: check.Good})
}
