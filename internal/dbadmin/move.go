// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// MoveApplication is the application_name of sessions that move tables: whoever finds the cluster paused finds it by
// this name, and ends the pause by ending the session.
const MoveApplication = "antdb-move"

// OpenMove connects to a database in order to move its tables. Statements have no time limit yet.
func (s Server) OpenMove(ctx context.Context, database string) (*Session, error) {
	return s.open(ctx, database, map[string]string{"application_name": MoveApplication})
}

// Limits of what belongs to a pause but moves nothing.
const (
	pauseLimit   = 10 * time.Second
	cleanupLimit = 5 * time.Second
)

// Paused runs statements in one transaction while all other statements of the cluster are held back. lock takes what
// locks they need, and fails after wait; what follows takes as long as it takes. commit ends the transaction by Commit.
//
// The pause belongs to this session: it is over when Paused returns, and if the server could not be told so, the
// session is closed, which ends it as well.
func (s *Session) Paused(ctx context.Context, wait time.Duration, lock string, statements []string, commit func() error) (err error) {
	limit := strconv.FormatInt(wait.Milliseconds(), 10)
	for _, setting := range []string{"statement_timeout", "lock_timeout"} {
		if err := s.bounded(ctx, pauseLimit, "SET "+setting+" = "+limit); err != nil {
			return fmt.Errorf("limit waiting: %w", err)
		}
	}
	if err := s.bounded(ctx, pauseLimit, "SELECT pg_pause_cluster()"); err != nil {
		s.Close() // nobody knows whether it is paused
		return fmt.Errorf("pause cluster: %w", err)
	}
	defer func() {
		cleanup := context.WithoutCancel(ctx)
		var failed error
		if err != nil {
			failed = s.bounded(cleanup, cleanupLimit, "ROLLBACK")
		}
		if failed = errors.Join(failed, s.bounded(cleanup, cleanupLimit, "SELECT pg_unpause_cluster()")); failed != nil {
			s.Close()
		}
	}()
	// The limit is for the locks of all nodes together, and not for each: hence one statement that takes them all.
	all := append([]string{"BEGIN", lock, "SET LOCAL statement_timeout = 0"}, statements...)
	for _, sql := range all {
		if err := s.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return commit()
}

// Commit ends a transaction. Its error does not say that nothing was committed.
func (s *Session) Commit(ctx context.Context) error { return s.Exec(ctx, "COMMIT") }

// Backend is the number of the process that serves this session on another node.
func (s *Session) Backend(ctx context.Context, node string) (pid int, err error) {
	if err := s.conn.QueryRow(ctx, topology.On(node, "select pg_backend_pid()::int8")).Scan(&pid); err != nil {
		return 0, fmt.Errorf("look who serves this session on %s: %w", node, explain(err))
	}
	return pid, nil
}

// bounded runs a statement that must not take long.
func (s *Session) bounded(ctx context.Context, limit time.Duration, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.Exec(ctx, sql)
}

// Hindrance says what a failure means for whoever thinks of trying again.
type Hindrance int

// The kinds of failures.
const (
	// Busy ones end by themselves: somebody holds a lock.
	Busy Hindrance = iota
	// Away ones concern everything: a node or the connection is gone.
	Away
	// Unclear ones come without a reason of their own: the engine gives one code to refusals and to mishaps.
	Unclear
	// Lasting ones stay until somebody changes something.
	Lasting
	// Gone says that what was to be changed is not there any more.
	Gone
)

// words tell what kind of failure a remote node met: of its answer only the words are passed on, and not the code.
var words = []struct {
	text string
	kind Hindrance
}{
	{"lock timeout", Busy},
	{"statement timeout", Busy},
	{"deadlock detected", Busy},
	{"locked cluster", Busy},
	{"cluster already in progress", Busy},
	{"could not connect", Away},
	{"server closed the connection", Away},
	{"is starting up", Away},
	{"is shutting down", Away},
	{"terminating connection", Away},
	{"poolmgr", Away},
	{"GTM", Away},
	{"No space left on device", Lasting},
}

// kinds of failures by the server's code or its class.
var kinds = map[string]Hindrance{
	"42P01": Gone, "3D000": Gone, "3F000": Gone, // no such table, database, schema
	"53100": Lasting, "57014": Busy, // the disk is full; cancelled
	"25": Busy, "40": Busy, "53": Busy, "55": Busy, // read-only while locked, rollback, resources, locks
	"08": Away, "57": Away, // connection, intervention
	"XX": Unclear,
}

// Judge tells what kind of failure an error is.
func Judge(err error) Hindrance {
	refusal, ok := errors.AsType[*ServerError](err)
	if !ok {
		return Away // no answer
	}
	for _, w := range words {
		if strings.Contains(refusal.text, w.text) {
			return w.kind
		}
	}
	for _, code := range []string{refusal.Code, refusal.Code[:min(2, len(refusal.Code))]} {
		if kind, ok := kinds[code]; ok {
			return kind
		}
	}
	return Lasting
}
