// SPDX-License-Identifier: Apache-2.0

package move

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/rescue"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/redistribute"
)

// Pauses between attempts at one table, and how often a failure without a reason is tried again.
const (
	firstPause   = 500 * time.Millisecond
	lastPause    = time.Minute
	unclearTries = 5
)

// Whoever waits in a pause looks only every 100 ms whether it is over, and would miss the moment between two of them. So
// after that much of pauses there is a breath that is longer than that.
const (
	breathAfter = 250 * time.Millisecond
	breath      = 150 * time.Millisecond
)

// work is one move under way. It belongs to one goroutine.
type work struct {
	*Mover
	order instanceapi.Move
	// wanted ends when the move is cancelled.
	wanted context.Context

	session  Session
	database string
	crew     *rescue.Crew
	// away counts failures in a row because a node was away.
	away int
	// What follows is of steps, by database and name.
	attempts  map[string]int
	unclear   map[string]int
	notBefore map[string]time.Time
	failed    map[string]string
	done      []instanceapi.TableMove
	// spent is the time in pauses that moved something, and held that since the last breath.
	spent, held time.Duration
}

func key(s redistribute.Step) string { return s.Database + "." + s.Name() }

// carryOut plans and moves until the plan is empty. Planning anew finds tables that were made meanwhile.
func (w *work) carryOut(life context.Context) (instanceapi.MovePhase, string) {
	for tries := 0; ; {
		if w.wanted.Err() != nil {
			return instanceapi.MoveCancelled, "cancelled; what was moved stays where it is"
		}
		plan, err := w.plan(life)
		if err != nil {
			tries++
			w.note(func(s *instanceapi.MoveStatus) { s.Message = "trying again: " + err.Error() })
			w.Sleep(w.wanted, pause(tries))
			continue
		}
		tries = 0
		w.tell(plan)
		switch {
		case plan.Blocked != "":
			return instanceapi.MoveFailed, plan.Blocked
		case w.order.PlanOnly:
			return instanceapi.MovePlanned, fmt.Sprintf("%d tables would be moved", tables(plan.Steps))
		}
		left := slices.DeleteFunc(plan.Steps, func(s redistribute.Step) bool { return w.failed[key(s)] != "" })
		if len(left) == 0 {
			return w.end()
		}
		if next := w.pass(life, left); next > 0 {
			w.leave() // an idle session would keep the database from being dropped
			w.Sleep(w.wanted, next)
		}
	}
}

// end says how it ended, when nothing is left that could be moved.
func (w *work) end() (instanceapi.MovePhase, string) {
	if len(w.failed) == 0 {
		return instanceapi.MoveDone, fmt.Sprintf("%d tables were moved", len(w.done))
	}
	var all []string
	for name, reason := range w.failed {
		all = append(all, name+": "+reason)
	}
	slices.Sort(all)
	return instanceapi.MoveFailed, fmt.Sprintf("%d tables were moved, these were not: %s", len(w.done), strings.Join(all, "; "))
}

// pass tries each step that is due once. It returns how long to wait if there was none.
func (w *work) pass(life context.Context, steps []redistribute.Step) (next time.Duration) {
	tried := false
	for _, s := range steps {
		if w.wanted.Err() != nil {
			return 0
		}
		if wait := w.notBefore[key(s)].Sub(w.Now()); wait > 0 {
			if next == 0 || wait < next {
				next = wait
			}
			continue
		}
		tried = true
		if !w.step(life, s) {
			return pause(w.away)
		}
	}
	if tried {
		return 0
	}
	return next
}

// step moves the tables of one step, or says why not. It returns false if a node is away, so that others need not be
// tried: each would hold the cluster up in vain.
func (w *work) step(life context.Context, s redistribute.Step) bool {
	name := key(s)
	if s.Refused != "" {
		w.fail(s, s.Refused)
		return true
	}
	w.mark(s, "Running", "")
	took, err := w.paused(life, s)
	if err == nil {
		w.spent, w.away = w.spent+took, 0
		w.finish(s)
		return true
	}
	w.leave()
	w.Log.Warn("table not moved", "table", name, "attempt", w.attempts[name]+1, "error", err)
	kind := dbadmin.Judge(err)
	if kind == dbadmin.Unclear {
		w.unclear[name]++
	}
	switch {
	case kind == dbadmin.Gone: // the next plan will not name it
		return true
	case kind == dbadmin.Lasting, w.unclear[name] >= unclearTries:
		w.fail(s, err.Error())
		return true
	case kind == dbadmin.Away:
		w.away++
		w.putOff(s, pause(w.away), err)
		return false
	}
	w.attempts[name]++
	w.notBefore[name] = w.Now().Add(pause(w.attempts[name]))
	w.putOff(s, pause(w.attempts[name]), err)
	return true
}

// paused moves the tables of one step in a pause of the cluster, and tells how long that held statements back.
func (w *work) paused(life context.Context, s redistribute.Step) (took time.Duration, err error) {
	if err := w.enter(life, s.Database); err != nil {
		return 0, err
	}
	began := w.Now()
	err = w.session.Paused(life, time.Duration(w.order.MaxPauseMillis)*time.Millisecond, s.Lock(), s.Statements(), w.commit)
	took = w.Now().Sub(began)
	w.note(func(status *instanceapi.MoveStatus) {
		status.LongestPauseMillis = max(status.LongestPauseMillis, took.Milliseconds())
		w.pauses = w.pauses.With(took)
	})
	w.breathe(took)
	return took, err
}

// commit ends the transaction of a step.
func (w *work) commit() error {
	return w.crew.Commit(w.session, w.Datanodes(), func(datanode string) {
		w.note(func(s *instanceapi.MoveStatus) {
			s.Message = "what is moved is being committed; the cluster is held until " + datanode + " is back"
		})
	})
}

func (w *work) putOff(s redistribute.Step, wait time.Duration, err error) {
	w.note(func(status *instanceapi.MoveStatus) {
		status.Retries++
		status.Message = fmt.Sprintf("%s is put off, the next try is in %s: %s", key(s), wait, err)
	})
	w.mark(s, "Waiting", err.Error())
}

// breathe lets through whoever waited, when the cluster was held long enough.
func (w *work) breathe(took time.Duration) {
	if w.held += took; w.held >= breathAfter {
		w.held = 0
		w.Sleep(w.wanted, breath)
	}
}

func (w *work) fail(s redistribute.Step, reason string) {
	w.Log.Error("table cannot be moved", "table", key(s), "reason", reason)
	w.failed[key(s)] = reason
	w.mark(s, "Failed", reason)
}

// pause grows with the number of attempts.
func pause(attempts int) time.Duration {
	return min(firstPause<<min(attempts-1, 10), lastPause)
}

// enter opens a session to the database, unless there is one.
func (w *work) enter(ctx context.Context, database string) error {
	if w.session != nil && w.database == database {
		return nil
	}
	w.leave()
	session, err := w.Open(ctx, database)
	if err != nil {
		return err
	}
	if w.crew, err = w.Ways.Call(ctx); err != nil {
		session.Close()
		return err
	}
	w.session, w.database = session, database
	return nil
}

func (w *work) leave() {
	if w.session != nil {
		w.session.Close()
		w.crew.Dismiss()
		w.session = nil
	}
}
