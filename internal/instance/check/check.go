// SPDX-License-Identifier: Apache-2.0

// Package check asks a server over one long-lived connection whether SQL runs.
//
// It never has more than one question open and never takes one back. It does not know what follows from the answer.
package check

import (
	"context"
	"time"
)

// State is what is known of the server.
type State string

// The states of a check.
const (
	Unknown State = ""       // nothing was answered yet
	Good    State = "Good"   // the last answer was in time
	Late    State = "Late"   // an answer is due
	Failed  State = "Failed" // the last answer was an error
)

// Report is the state with what the server said.
type Report struct {
	State State
	// Error is the server's last error; it stays while a later answer is due.
	Error string
}

// Asker is the connection.
type Asker interface {
	Ask(context.Context) error
	Dead() bool
	Close()
}

// Loop asks.
type Loop struct {
	Dial func(context.Context) (Asker, error)
	// Every is the pause between questions and Deadline when an answer is late.
	Every, Deadline time.Duration
	// Nudge, if there is one, is called again and again while an answer is due. A gc that cannot give out a snapshot
	// sleeps before it looks again, 5 seconds at first and 5 more each time; a signal ends the sleep.
	Nudge func()
	// Changed is called with every change.
	Changed func(Report)

	last Report
}

// Run asks until ctx ends, which must be when the server stops.
func (l *Loop) Run(ctx context.Context) {
	l.last = Report{State: Unknown}
	for ctx.Err() == nil {
		var asker Asker
		err := l.await(func() (err error) { asker, err = l.Dial(ctx); return err })
		if err == nil {
			err = l.ask(ctx, asker)
			asker.Close()
		}
		if err != nil {
			l.failed(ctx, err)
		}
	}
}

// ask uses one connection for as long as it lives. It returns an error if the connection never was of any use. The
// loss of one that was says little: somebody may have ended the session, and the next one tells.
func (l *Loop) ask(ctx context.Context, asker Asker) error {
	answered := false
	for ctx.Err() == nil {
		err := l.await(func() error { return asker.Ask(ctx) })
		switch {
		case err == nil:
			answered = true
			l.report(Report{State: Good})
			l.pause(ctx)
		case !asker.Dead():
			l.failed(ctx, err)
		case answered:
			return nil
		default:
			return err
		}
	}
	return nil
}

// await waits for the answer however long it takes, and reports when it is late.
func (l *Loop) await(question func() error) error {
	answer := make(chan error, 1)
	go func() { answer <- question() }()
	asked := time.Now()
	late := time.NewTimer(l.Deadline)
	defer late.Stop()
	nudge := time.NewTimer(nudgeAfter(0))
	defer nudge.Stop()
	for {
		select {
		case err := <-answer:
			return err
		case <-late.C:
			// An error stays what is known best while the next answer is due: reporting both in turn would never settle.
			if l.last.State != Failed {
				l.report(Report{State: Late})
			}
		case <-nudge.C:
			if l.Nudge != nil {
				l.Nudge()
			}
			nudge.Reset(nudgeAfter(time.Since(asked)))
		}
	}
}

// nudgeAfter is the pause before the next nudge: short while an answer is to be expected any moment.
func nudgeAfter(waited time.Duration) time.Duration {
	switch {
	case waited == 0:
		return 100 * time.Millisecond
	case waited < 300*time.Millisecond:
		return 300 * time.Millisecond
	case waited < 10*time.Second:
		return time.Second
	}
	return 3 * time.Second
}

// failed reports an error, unless it only comes from the end of the server, and pauses.
func (l *Loop) failed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		l.report(Report{State: Failed, Error: err.Error()})
	}
	l.pause(ctx)
}

func (l *Loop) pause(ctx context.Context) {
	timer := time.NewTimer(l.Every)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (l *Loop) report(r Report) {
	if r != l.last {
		l.last = r
		l.Changed(r)
	}
}
