// SPDX-License-Identifier: Apache-2.0

package dbadmin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
)

// journaled is a database with a journal, and with a list of what took effect. What happens in a transaction counts
// when that is committed.
type journaled struct {
	states, effects               []string
	pendingStates, pendingEffects []string
	// outside refuses to run in a transaction; fail is refused anywhere; hangUp loses the connection.
	outside, fail, hangUp string
}

func (j *journaled) answer(s *pgfake.Session, sql string) pgfake.Reply {
	switch {
	case sql == j.hangUp:
		return pgfake.Reply{HangUp: true}
	case sql == j.outside && s.InTransaction():
		return pgfake.Refuse("25001", sql+" cannot run inside a transaction block")
	case sql == j.fail:
		return pgfake.Refuse("42P01", "it does not exist")
	case strings.HasPrefix(sql, "select state from"):
		r := pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("state")}}
		for _, state := range j.states {
			r.Rows = append(r.Rows, []string{state})
		}
		return r
	case sql == "BEGIN", sql == "ROLLBACK":
		j.pendingStates, j.pendingEffects = nil, nil
	case sql == "COMMIT":
		j.states, j.effects = append(j.states, j.pendingStates...), append(j.effects, j.pendingEffects...)
	case strings.HasPrefix(sql, "INSERT INTO antdb_operator.bootstrap_journal"):
		state := "started"
		if strings.Contains(sql, "'done'") {
			state = "done"
		}
		j.add(s, &j.states, &j.pendingStates, state)
	case strings.HasPrefix(sql, "DELETE FROM antdb_operator.bootstrap_journal"):
		j.states = nil
	default:
		j.add(s, &j.effects, &j.pendingEffects, sql)
	}
	return pgfake.Reply{}
}

func (j *journaled) add(s *pgfake.Session, now, later *[]string, what string) {
	if s.InTransaction() {
		now = later
	}
	*now = append(*now, what)
}

func (j *journaled) once(t *testing.T) error {
	t.Helper()
	return j.onceWith(t, j.answer)
}

// onceWith runs the step on a server of its own.
func (j *journaled) onceWith(t *testing.T, answer pgfake.Handler) error {
	t.Helper()
	f := serve(t, answer)
	defer f.stop()
	ctx, session := open(t, f)
	return session.Once(ctx, "postInitSQL[0]", "do it")
}

func TestAStatementAndItsEntryAreOneTransaction(t *testing.T) {
	j := &journaled{}
	for range 2 {
		if err := j.once(t); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"do it"}, j.effects); d != "" {
		t.Errorf("effects after two runs (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"done"}, j.states); d != "" {
		t.Errorf("journal (-want +got):\n%s", d)
	}
}

func TestARefusedStatementLeavesNothingAndCanBeTriedAgain(t *testing.T) {
	j := &journaled{fail: "do it"}
	if err := j.once(t); err == nil || !strings.Contains(err.Error(), "it does not exist") {
		t.Errorf("got %v, want the server's words", err)
	}
	if len(j.effects)+len(j.states) > 0 {
		t.Errorf("effects %v, journal %v, want none", j.effects, j.states)
	}
	j.fail = ""
	if err := j.once(t); err != nil || !slices.Equal(j.effects, []string{"do it"}) {
		t.Errorf("second try: error %v, effects %v", err, j.effects)
	}
}

func TestALostConnectionInsideTheTransactionLeavesNothing(t *testing.T) {
	j := &journaled{hangUp: "do it"}
	if err := j.once(t); err == nil {
		t.Error("got no error")
	}
	j.hangUp = ""
	if err := j.once(t); err != nil || !slices.Equal(j.effects, []string{"do it"}) {
		t.Errorf("second try: error %v, effects %v, want the effect once", err, j.effects)
	}
}

func TestAStatementThatCannotBeInATransactionRunsBetweenTwoEntries(t *testing.T) {
	j := &journaled{outside: "do it"}
	for range 2 {
		if err := j.once(t); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"do it"}, j.effects); d != "" {
		t.Errorf("effects after two runs (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"started", "done"}, j.states); d != "" {
		t.Errorf("journal (-want +got):\n%s", d)
	}
}

func TestAStatementThatMayHaveTakenEffectIsNeitherRepeatedNorSkipped(t *testing.T) {
	j := &journaled{outside: "do it", states: []string{"started"}}
	err := j.once(t)
	if !errors.Is(err, dbadmin.ErrUnclear) {
		t.Fatalf("got %v, want ErrUnclear", err)
	}
	for _, part := range []string{"do it", "INSERT INTO antdb_operator.bootstrap_journal", "DELETE FROM antdb_operator.bootstrap_journal WHERE step = 'postInitSQL[0]'"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message does not say %q: %v", part, err)
		}
	}
	if len(j.effects) > 0 {
		t.Errorf("effects %v, want none", j.effects)
	}
}

func TestAConnectionLostOutsideATransactionIsUnclear(t *testing.T) {
	j := &journaled{outside: "do it"}
	err := j.onceWith(t, func(s *pgfake.Session, sql string) pgfake.Reply {
		if sql == "do it" && !s.InTransaction() {
			return pgfake.Reply{HangUp: true}
		}
		return j.answer(s, sql)
	})
	if !errors.Is(err, dbadmin.ErrUnclear) {
		t.Errorf("got %v, want ErrUnclear", err)
	}
	if d := cmp.Diff([]string{"started"}, j.states); d != "" {
		t.Errorf("journal (-want +got):\n%s", d)
	}
}

func TestARefusalOutsideATransactionIsKnownToHaveHadNoEffect(t *testing.T) {
	j := &journaled{outside: "do it"}
	err := j.onceWith(t, func(s *pgfake.Session, sql string) pgfake.Reply {
		if sql == "do it" && !s.InTransaction() {
			return pgfake.Refuse("42P01", "it does not exist")
		}
		return j.answer(s, sql)
	})
	if err == nil || errors.Is(err, dbadmin.ErrUnclear) || len(j.states) > 0 {
		t.Errorf("error %v, journal %v: want the refusal and an empty journal", err, j.states)
	}
}
