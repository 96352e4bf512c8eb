// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrStopping is returned to those who ask for something while the instance shuts down.
var ErrStopping = errors.New("the instance is shutting down")

// Supervisor keeps one server running.
type Supervisor struct {
	o        Options
	commands chan command
	reload   chan struct{}
	done     chan struct{}

	// What follows belongs to the goroutine of Run.
	process  *running
	snapshot Snapshot
	retry    <-chan time.Time
	failures int
}

type command struct {
	do    func(context.Context, Control) error
	reply chan error
}

// New makes a supervisor. Nothing runs before Run, and no server before a command starts it.
func New(o Options) *Supervisor {
	return &Supervisor{
		o:        o,
		commands: make(chan command),
		reload:   make(chan struct{}, 1),
		done:     make(chan struct{}),
		snapshot: Snapshot{Phase: Stopped, Mode: Normal},
	}
}

// Run owns the server until ctx ends; then it stops the server and returns.
func (s *Supervisor) Run(ctx context.Context) {
	defer close(s.done)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case c := <-s.commands:
			c.reply <- c.do(ctx, Control{s})
		case <-s.retry:
			s.start(Normal)
		case <-s.reload:
			s.hangUp()
		case err := <-s.ended():
			s.crashed(err)
		case <-s.changed():
			s.look()
		}
	}
	s.retry = nil
	s.stop(s.o.StopLadder())
}

// Do runs a procedure in the supervisor's own goroutine: nothing else happens to the server meanwhile.
func (s *Supervisor) Do(ctx context.Context, do func(context.Context, Control) error) error {
	c := command{do: do, reply: make(chan error, 1)}
	select {
	case s.commands <- c:
	case <-s.done:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.reply:
		return err
	case <-s.done:
		return ErrStopping
	}
}

// Start starts the server unless it runs.
func (s *Supervisor) Start(ctx context.Context) error {
	return s.Do(ctx, func(_ context.Context, c Control) error {
		c.Start(Normal)
		return nil
	})
}

// Reload makes the server read its configuration files again, as soon as it can. It never waits.
func (s *Supervisor) Reload() {
	select {
	case s.reload <- struct{}{}:
	default: // one is asked for already
	}
}

// Control is what a procedure may do to the server. It is valid within the procedure only.
type Control struct{ s *Supervisor }

// Start starts the server in a mode unless it runs.
func (c Control) Start(m Mode) {
	if c.s.process == nil {
		c.s.start(m)
	}
}

// Stop stops the server if it runs.
func (c Control) Stop(ladder []Rung) {
	c.s.retry = nil
	c.s.stop(ladder)
}

// AwaitAccepting waits until the server takes connections.
func (c Control) AwaitAccepting(ctx context.Context) error {
	for c.s.snapshot.Phase != Accepting {
		if c.s.process == nil {
			return fmt.Errorf("wait for the server: it ended: %s", c.s.snapshot.LastExit)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w", ctx.Err())
		case err := <-c.s.ended():
			c.s.remember(err)
		case <-c.s.changed():
			c.s.look()
		}
	}
	return nil
}

func (s *Supervisor) set(change func(*Snapshot)) {
	change(&s.snapshot)
	s.o.Changed(s.snapshot)
}

func (s *Supervisor) ended() <-chan error {
	if s.process == nil {
		return nil
	}
	return s.process.exit
}

func (s *Supervisor) changed() <-chan struct{} {
	if s.process == nil {
		return nil
	}
	return s.process.watch.changed
}
