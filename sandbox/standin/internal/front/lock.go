// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// tryShared asks for the lock that pgxc_lock_for_backup holds against DDL. It is an advisory lock of the session's
// database, as AntDB's is; every DDL holds it, shared, to its end.
const tryShared = "SELECT pg_catalog.pg_try_advisory_xact_lock_shared(65535, 65535)"

func lockedCluster(tag string) *wire.Error {
	return wire.Errorf("25006", "cannot execute %s in a locked cluster", tag)
}

// checkLocked takes the shared lock here and on the other coordinators, or refuses the statement.
func (s *session) checkLocked(tag string, coordinators []*branch) (*wire.Error, error) {
	r, err := s.exec(tryShared)
	if err != nil || r.err != nil {
		return r.err, err
	}
	if r.rows[0][0] != "t" {
		return lockedCluster(tag), nil
	}
	return each(coordinators, func(b *branch) *wire.Error {
		r := b.query(tryShared)
		if r.err == nil && r.rows[0][0] != "t" {
			return lockedCluster(tag)
		}
		return r.err
	}), nil
}

// checkGuards refuses statements that the server behind the front runs alone and that a locked cluster does not let
// through.
func (s *session) checkGuards(ctx context.Context, script *dialect.Script) (*wire.Error, error) {
	for _, st := range script.Steps {
		if st.Kind != dialect.Pass {
			continue
		}
		if failed, err := s.checkGuard(ctx, st); failed != nil || err != nil {
			return failed, err
		}
	}
	return nil, nil
}

// checkGuard refuses one statement that concerns this node only. Like AntDB it asks every coordinator all the same.
func (s *session) checkGuard(ctx context.Context, st dialect.Step) (*wire.Error, error) {
	if st.Guard == "" || s.srv.Role == Datanode || s.srv.Restore {
		return nil, nil
	}
	coordinators, failed, err := s.coordinators(ctx)
	if failed != nil || err != nil {
		return failed, err
	}
	return s.checkLocked(st.Guard, coordinators)
}

// coordinators are the branches to gc and all other coordinators.
func (s *session) coordinators(ctx context.Context) ([]*branch, *wire.Error, error) {
	r, err := s.exec(nodeColumns)
	if err != nil || r.err != nil {
		return nil, r.err, err
	}
	bs, failed := s.reachCoordinators(ctx, nodesOf(r.rows))
	return bs, failed, nil
}

func (s *session) reachCoordinators(ctx context.Context, nodes []Node) ([]*branch, *wire.Error) {
	var out []*branch
	for _, n := range nodes {
		if n.Type != "C" || n.Name == s.srv.Name() {
			continue
		}
		b, failed := s.branch(ctx, n)
		if failed != nil {
			return nil, failed
		}
		out = append(out, b)
	}
	return out, nil
}
