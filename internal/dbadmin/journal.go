// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"errors"
	"fmt"

	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// JournalTable is where a database remembers which steps of its bootstrap are done.
const JournalTable = "antdb_operator.bootstrap_journal"

// States of a step in the journal.
const (
	journalStarted = "started"
	journalDone    = "done"
)

// inTransaction is the SQLSTATE of a statement that refuses to run inside a transaction.
const inTransaction = "25001"

// ErrUnclear says that a step may or may not have had its effect, so that it is neither repeated nor skipped.
var ErrUnclear = errors.New("it is not known whether the statement took effect")

// EnsureJournal makes the journal of a database unless it is there.
func (s *Session) EnsureJournal(ctx context.Context) error {
	for _, sql := range []string{
		"CREATE SCHEMA IF NOT EXISTS antdb_operator",
		"CREATE TABLE IF NOT EXISTS " + JournalTable + " (step text, state text, at timestamptz)",
	} {
		if err := s.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make journal: %w", err)
		}
	}
	return nil
}

// Once runs a statement unless the journal says that it ran before. Statement and journal entry are one transaction.
//
// A statement that refuses to run in a transaction runs between two entries instead; if only the first of them is
// found later, nobody can tell whether it took effect, and ErrUnclear says how a person decides.
func (s *Session) Once(ctx context.Context, step, statement string) error {
	states, err := s.texts(ctx, "select state from "+JournalTable+" where step = $1", step)
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	started := false
	for _, state := range states {
		if state == journalDone {
			return nil
		}
		started = true
	}
	if started {
		return unclear(step, statement)
	}
	err = s.together(ctx, step, statement)
	if refusal, ok := errors.AsType[*ServerError](err); ok && refusal.Code == inTransaction {
		return s.apart(ctx, step, statement)
	}
	return err
}

// together runs the statement and its entry in one transaction.
func (s *Session) together(ctx context.Context, step, statement string) error {
	err := s.Exec(ctx, "BEGIN")
	if err == nil {
		err = s.Exec(ctx, statement)
	}
	if err == nil {
		// A statement that ended the transaction by itself is done already; the entry then stands alone.
		err = s.Exec(ctx, entry(step, journalDone))
	}
	if s.conn.PgConn().TxStatus() == 'I' {
		return err
	}
	if err != nil {
		return errors.Join(err, s.Exec(ctx, "ROLLBACK"))
	}
	return s.Exec(ctx, "COMMIT")
}

// apart runs a statement that cannot be in a transaction.
func (s *Session) apart(ctx context.Context, step, statement string) error {
	if err := s.Exec(ctx, entry(step, journalStarted)); err != nil {
		return err
	}
	if err := s.Exec(ctx, statement); err != nil {
		if _, refused := errors.AsType[*ServerError](err); !refused {
			return fmt.Errorf("%w: %w", unclear(step, statement), err)
		}
		// The server itself refused it, so it took no effect and may be tried again.
		return errors.Join(err, s.Exec(ctx, "DELETE FROM "+JournalTable+" WHERE step = "+topology.Literal(step)))
	}
	return s.Exec(ctx, entry(step, journalDone))
}

func entry(step, state string) string {
	return "INSERT INTO " + JournalTable + " (step, state, at) VALUES (" +
		topology.Literal(step) + ", " + topology.Literal(state) + ", now())"
}

func unclear(step, statement string) error {
	where := "WHERE step = " + topology.Literal(step)
	return fmt.Errorf("%w: %s: it began and its end was not seen. If it took effect run: %s; if it did not, run: DELETE FROM %s %s",
		ErrUnclear, statement, entry(step, journalDone), JournalTable, where)
}
