// SPDX-License-Identifier: Apache-2.0

package split

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/division"
	"github.com/antdb-operator/antdb-operator/internal/instance/rescue"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Limits of what is done while the cluster is held.
const (
	// stepLimit bounds a statement that neither waits nor moves anything.
	stepLimit = 10 * time.Second
	// promoteLimit is how long copies may take to become primaries after their mark.
	promoteLimit = 20 * time.Second
	// divideLimit bounds the transaction: it changes catalogs only.
	divideLimit = 2 * time.Minute
	// settleLimit is how long other nodes may take to finish a transaction that is committed.
	settleLimit = 15 * time.Second
	// look is the pause between two looks at something that is about to happen.
	look = 25 * time.Millisecond
	// closeTo is how far, in bytes, a copy may be behind when the cluster is held.
	closeTo = 16 << 20
	// followTries is how often a copy may be found that does not follow, half a minute in all, before it is given up.
	followTries = 6
)

// work is one split under way. It belongs to one goroutine.
type work struct {
	*Splitter
	order instanceapi.Split
	// wanted ends when the split is cancelled.
	wanted context.Context
	astray int
	// crew and readers while the cluster is held.
	crew    *rescue.Crew
	readers []reader
}

func (w *work) note(change func(*instanceapi.SplitStatus)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.split)
}

// errors that decide how it goes on. Every other one is tried again: nothing was changed.
var (
	// errGiveUp says that this split cannot succeed any more.
	errGiveUp = errors.New("given up")
	// errUnknown says that it may be done: the catalog tells.
	errUnknown = errors.New("not known")
)

// carryOut tries until the datanodes are divided, or that is cancelled or cannot succeed any more.
func (w *work) carryOut(life context.Context) (instanceapi.SplitPhase, string) {
	if w.order.PlanOnly {
		return w.plan(life)
	}
	var last error // why there is no other try
	for tries := 1; life.Err() == nil; tries++ {
		done, err := w.isDivided(life)
		if err == nil {
			if phase, message := w.judge(done, last); phase != instanceapi.SplitNone {
				return phase, message
			}
			if err = w.try(life); err == nil {
				continue
			}
		}
		if errors.Is(err, errGiveUp) || errors.Is(err, errUnknown) {
			last = err
		}
		w.putOff(life, tries, last != nil, err)
	}
	return instanceapi.SplitFailed, "the instance manager ends"
}

// judge tells how it ended, by what the catalog says; no phase says that there is another try.
func (w *work) judge(done bool, last error) (instanceapi.SplitPhase, string) {
	switch {
	case done:
		return instanceapi.SplitDone, strings.Join(w.sources(), ", ") + " are divided"
	case last != nil:
		return instanceapi.SplitFailed, last.Error()
	case w.wanted.Err() != nil:
		return instanceapi.SplitCancelled, "cancelled; nothing is divided"
	}
	return instanceapi.SplitNone, ""
}

// putOff waits for the next try, or until the catalog can be read to tell how the last one ended.
func (w *work) putOff(life context.Context, tries int, over bool, err error) {
	w.Log.Warn("datanodes not divided", "try", tries, "error", err)
	w.note(func(s *instanceapi.SplitStatus) {
		s.Retries++
		s.Message = "trying again: " + err.Error()
	})
	if over || w.wanted.Err() != nil {
		w.Sleep(life, firstPause)
		return
	}
	w.Sleep(w.wanted, pause(tries))
}

// planTries bounds how often a plan is made that a lost node, or session, spoils: together half a minute.
const planTries = 7

func (w *work) plan(life context.Context) (instanceapi.SplitPhase, string) {
	for tries := 1; ; tries++ {
		f, err := w.read(life)
		switch {
		case err == nil:
			return w.planned(&f)
		case w.wanted.Err() != nil:
			return instanceapi.SplitCancelled, "cancelled; nothing is planned"
		case tries == planTries:
			return instanceapi.SplitFailed, err.Error()
		}
		w.putOff(life, tries, false, err)
	}
}

func (w *work) planned(f *division.Facts) (instanceapi.SplitPhase, string) {
	refusals, tables := f.Refusals(), 0
	for _, d := range f.Databases {
		tables += len(d.Tables)
	}
	w.note(func(s *instanceapi.SplitStatus) { s.Refusals, s.Tables = refusals, tables })
	return instanceapi.SplitPlanned, fmt.Sprintf("%d tables would be divided", tables)
}

// isDivided reads gc's catalog: the new nodes stand there if and only if everything is divided.
func (w *work) isDivided(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	s, err := w.Open(ctx, maintenance)
	if err != nil {
		return false, err
	}
	defer s.Close()
	nodes, err := s.Nodes(ctx)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(w.order.Pairs, func(p instanceapi.Pair) bool { return !slices.Contains(nodes, p.Target.Name) }), nil
}

// try holds the cluster once. What it finds then decides: nobody can change anything meanwhile.
func (w *work) try(life context.Context) error {
	main, err := w.Open(life, maintenance)
	if err != nil {
		return err
	}
	defer main.Close()
	if err := w.ready(life, main); err != nil {
		return err
	}
	defer w.dismiss()
	if err := w.callReaders(life, main); err != nil {
		return err
	}
	if w.crew, err = w.Ways.Call(life); err != nil {
		return err
	}
	began := w.Now()
	defer func() {
		took := w.Now().Sub(began)
		w.note(func(s *instanceapi.SplitStatus) {
			s.LongestPauseMillis = max(s.LongestPauseMillis, took.Milliseconds())
		})
		w.Log.Info("cluster was held", "for", took.String())
	}()
	// What follows is brought to its end whatever becomes of this instance manager's life: each step has its own limit.
	ctx := context.WithoutCancel(life)
	if err := limited(ctx, main.Pause); err != nil {
		return err // the session ends, and a pause with it
	}
	defer func() {
		if err := limited(ctx, main.Unpause); err != nil {
			w.Log.Warn("pause not ended in order; the session is ended", "error", err)
		}
	}()
	return w.held(ctx, main)
}

// ready looks, before the cluster is held, whether the copies follow closely.
func (w *work) ready(life context.Context, main Session) error {
	ctx, cancel := context.WithTimeout(life, readLimit)
	defer cancel()
	for _, p := range w.order.Pairs {
		lag, following, err := main.Behind(ctx, p.Source, p.Target.Name)
		switch {
		case err != nil:
			return err
		case !following:
			if w.astray++; w.astray >= followTries {
				return fmt.Errorf("%w: %s does not follow %s", errGiveUp, p.Target.Name, p.Source)
			}
			return fmt.Errorf("%s does not follow %s", p.Target.Name, p.Source)
		case lag > closeTo:
			return fmt.Errorf("%s is %d MiB behind %s", p.Target.Name, lag>>20, p.Source)
		}
	}
	w.astray = 0
	return nil
}

func (w *work) dismiss() {
	for _, r := range w.readers {
		r.session.Close()
	}
	if w.crew != nil {
		w.crew.Dismiss()
	}
	w.crew, w.readers = nil, nil
}

// reader is a session in one database that was inside a transaction before the cluster was held: so it is not held back.
type reader struct {
	database division.Database
	session  Session
}

// callReaders opens one for each database that can be connected to.
func (w *work) callReaders(life context.Context, main Session) error {
	ctx, cancel := context.WithTimeout(life, readLimit)
	defer cancel()
	databases, err := main.Databases(ctx)
	if err != nil {
		return err
	}
	for _, d := range databases {
		if d.Closed {
			continue
		}
		s, err := w.Open(ctx, d.Name)
		if err != nil {
			return err
		}
		w.readers = append(w.readers, reader{d, s})
		if err := s.Begin(ctx); err != nil {
			return err
		}
	}
	return nil
}

// limited gives a step its time.
func limited(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	return do(ctx)
}
