// SPDX-License-Identifier: Apache-2.0

package split

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/division"
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
	// commitPatience is how long the commit may take before coordinators are let go.
	commitPatience = 10 * time.Second
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
	// rescuers by coordinator, and readers, while the cluster is held.
	rescuers map[string]Rescuer
	readers  []reader
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
	var last error
	for tries := 1; ; tries++ {
		done, err := w.isDivided(life)
		switch {
		case err == nil && done:
			return instanceapi.SplitDone, fmt.Sprintf("%s are divided", strings.Join(w.sources(), ", "))
		case err == nil && errors.Is(last, errGiveUp):
			return instanceapi.SplitFailed, last.Error()
		case err == nil && w.wanted.Err() != nil:
			return instanceapi.SplitCancelled, "cancelled; nothing is divided"
		case err == nil && !errors.Is(last, errUnknown):
			err = w.try(life)
		case err == nil: // it was not committed, and the copies are primaries
			return instanceapi.SplitFailed, last.Error()
		}
		if err == nil {
			continue
		}
		if errors.Is(err, errGiveUp) || errors.Is(err, errUnknown) {
			last = err
		}
		w.Log.Warn("datanodes not divided", "try", tries, "error", err)
		w.note(func(s *instanceapi.SplitStatus) {
			s.Retries++
			s.Message = "trying again: " + err.Error()
		})
		if last != nil || w.wanted.Err() != nil {
			w.Sleep(life, firstPause) // the catalog must be read in any case
		} else {
			w.Sleep(w.wanted, pause(tries))
		}
		if life.Err() != nil {
			return instanceapi.SplitFailed, "the instance manager ends"
		}
	}
}

func (w *work) plan(life context.Context) (instanceapi.SplitPhase, string) {
	f, err := w.read(life)
	if err != nil {
		return instanceapi.SplitFailed, err.Error()
	}
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
	if err := w.callRescuers(life); err != nil {
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
	if err := limited(ctx, stepLimit, main.Pause); err != nil {
		return err // the session ends, and a pause with it
	}
	defer func() {
		if err := limited(ctx, stepLimit, main.Unpause); err != nil {
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
	for _, source := range w.sources() {
		if err := main.Checkpoint(life, source); err != nil {
			return err
		}
	}
	return nil
}

// callRescuers opens a session on each coordinator before the cluster is held.
func (w *work) callRescuers(life context.Context) error {
	ctx, cancel := context.WithTimeout(life, readLimit)
	defer cancel()
	w.rescuers = map[string]Rescuer{}
	for _, n := range w.Coordinators() {
		r, err := w.Reach(ctx, n.Host)
		if err != nil {
			return fmt.Errorf("reach %s: %w", n.Name, err)
		}
		w.rescuers[n.Name] = r
	}
	return nil
}

func (w *work) dismiss() {
	for _, r := range w.readers {
		r.session.Close()
	}
	for _, r := range w.rescuers {
		r.Close()
	}
	w.rescuers, w.readers = nil, nil
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

// held divides the datanodes while the cluster is held.
func (w *work) held(ctx context.Context, main Session) error {
	if err := w.quiet(ctx, main); err != nil {
		return err
	}
	hidden, tables, err := w.lookAgain(ctx, main)
	if err != nil {
		return err
	}
	if err := w.closed(ctx, main); err != nil {
		return err
	}
	if err := w.divide(ctx, main); err != nil {
		return err
	}
	w.note(func(s *instanceapi.SplitStatus) { s.Tables = tables })
	w.settle(ctx, main)
	for _, r := range hidden {
		if err := errors.Join(r.session.Clean(ctx), r.session.Commit(ctx)); err != nil {
			// It is done later; until then rows that are written into tables at random may be hidden.
			w.Log.Error("rows that lie twice not removed while the cluster was held", "database", r.database.Name, "error", err)
		}
	}
	return nil
}

// quiet waits until nobody is inside a transaction, as long as the cluster may be held for that: what is not committed
// would be on the source and not on its copy.
func (w *work) quiet(ctx context.Context, main Session) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(w.order.MaxPauseMillis)*time.Millisecond)
	defer cancel()
	nodes := slices.Concat([]string{""}, w.coordinators(), w.sources())
	last := ""
	for i := 0; i < len(nodes); {
		found, err := main.Busy(ctx, nodes[i])
		switch {
		case err == nil && len(found) == 0:
			i++
			continue
		case err == nil:
			last = strings.TrimPrefix(nodes[i]+": ", ": ") + found[0]
		case last == "":
			return err
		}
		if err != nil || !w.Sleep(ctx, look) {
			return fmt.Errorf("applications are in the way: %s", last)
		}
		i = 0
	}
	return nil
}

// lookAgain looks whether something came since the plan that the engine cannot divide, and which databases must be cleaned
// before the cluster is let go.
func (w *work) lookAgain(ctx context.Context, main Session) (hidden []reader, tables int, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	f := division.Facts{Sources: w.sources()}
	if f.Able, f.Unclean, err = main.Able(ctx); err != nil {
		return nil, 0, err
	}
	now, err := main.Databases(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, d := range now {
		if d.Closed {
			f.Databases = append(f.Databases, d)
			continue
		}
		i := slices.IndexFunc(w.readers, func(r reader) bool { return r.database.Name == d.Name })
		if i < 0 {
			return nil, 0, fmt.Errorf("database %s has just been made", d.Name)
		}
		if d.Tables, err = w.readers[i].session.Tables(ctx); err != nil {
			return nil, 0, err
		}
		f.Databases, tables = append(f.Databases, d), tables+len(d.Tables)
		if d.Hides(f.Sources) {
			hidden = append(hidden, w.readers[i])
		}
	}
	if refusals := f.Refusals(); len(refusals) > 0 {
		return nil, 0, fmt.Errorf("%w: %s", errGiveUp, strings.Join(refusals, "; "))
	}
	return hidden, tables, nil
}

// closed waits until the copies hold all that their sources do.
func (w *work) closed(ctx context.Context, main Session) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for _, p := range w.order.Pairs {
		for {
			lag, following, err := main.Behind(ctx, p.Source, p.Target.Name)
			if err != nil {
				return err
			}
			if following && lag == 0 {
				break
			}
			if !w.Sleep(ctx, look) {
				return fmt.Errorf("%s does not catch up with %s", p.Target.Name, p.Source)
			}
		}
	}
	return nil
}

// divide lets the copies become primaries, and divides everything in one transaction. Once a mark is written there is no
// other try: the copies are of no use after a failure.
func (w *work) divide(ctx context.Context, main Session) (err error) {
	ctx, cancel := context.WithTimeout(ctx, divideLimit)
	defer cancel()
	if err := main.Begin(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil { // an end of the session would do as well
			err = errors.Join(err, limited(context.WithoutCancel(ctx), stepLimit, main.Rollback))
		}
	}()
	for _, p := range w.order.Pairs {
		if err := main.Register(ctx, p.Target); err != nil {
			return err
		}
	}
	if err := w.marked(ctx, main); err != nil {
		return fmt.Errorf("%w: %w", errGiveUp, err)
	}
	if err := main.Divide(ctx, w.order.Pairs, w.coordinators()); err != nil {
		return fmt.Errorf("%w: %w", errGiveUp, err)
	}
	if err := w.commit(main); err != nil {
		return fmt.Errorf("%w whether it is committed: %w", errUnknown, err)
	}
	return nil
}

// commit commits. A datanode that is lost in this very moment would hold the whole cluster for ever: gc then waits until
// its own helper has finished the transaction on every node, and the helper waits, on each coordinator, for the end of the
// pause, which gc cannot end. So the pause is ended from the side of the coordinators then, but not before every datanode
// is back: until the transaction is finished, coordinators would still write where rows lay before.
func (w *work) commit(main Session) error {
	ctx := context.Background() // it ends with the server, and with nothing else
	pids := map[string]int{}
	for name := range w.rescuers {
		pid, err := main.Backend(ctx, name)
		if err != nil {
			return err
		}
		pids[name] = pid
	}
	watch, over := context.WithCancel(ctx)
	defer over()
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		if !w.Sleep(watch, commitPatience) {
			return
		}
		for {
			away := w.away(watch)
			if away == "" {
				break
			}
			w.note(func(s *instanceapi.SplitStatus) {
				s.Message = "it is decided, and the cluster is held until " + away + " is back"
			})
			if !w.Sleep(watch, time.Second) {
				return
			}
		}
		w.Log.Error("the transaction does not come to its end; coordinators are let go")
		for name, r := range w.rescuers {
			if err := r.End(ctx, pids[name]); err != nil {
				w.Log.Error("coordinator not let go", "coordinator", name, "error", err)
			}
		}
	})
	err := main.Commit(ctx)
	over()
	return err
}

// away names a datanode that does not answer.
func (w *work) away(ctx context.Context) string {
	if len(w.readers) == 0 {
		return ""
	}
	for _, name := range w.datanodes() {
		err := limited(ctx, stepLimit, func(ctx context.Context) error {
			_, err := w.readers[0].session.Primary(ctx, name)
			return err
		})
		if err != nil {
			return name
		}
	}
	return ""
}

// marked writes the restore points and waits until all copies are primaries.
func (w *work) marked(ctx context.Context, main Session) error {
	for _, source := range w.sources() {
		if err := main.Mark(ctx, source, w.order.Mark); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, promoteLimit)
	defer cancel()
	for _, p := range w.order.Pairs {
		for {
			primary, err := main.Primary(ctx, p.Target.Name)
			if err == nil && primary {
				break
			}
			if !w.Sleep(ctx, look) {
				return errors.Join(fmt.Errorf("%s has not become a primary within %s", p.Target.Name, promoteLimit), err)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// settle waits until every node has finished what is committed: until then one could read rows twice, or not at all.
func (w *work) settle(ctx context.Context, main Session) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for {
		open, err := main.Undecided(ctx)
		if err == nil && len(open) == 0 {
			return
		}
		if err != nil || !w.Sleep(ctx, look) {
			w.Log.Warn("a node has not finished its part of the transaction yet", "undecided", open, "error", err)
			return
		}
	}
}

func limited(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}
