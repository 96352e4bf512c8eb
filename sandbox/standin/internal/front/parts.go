// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// part is a branch's share in the session's transaction. It lasts until the transaction ends, even when the branch's
// connection is lost: otherwise the other branches could commit without it.
type part struct {
	ddl   bool // the front itself has changed something
	wrote bool // postgres_fdw has
}

func (p part) changed() bool { return p.ddl || p.wrote }

// partOf returns a branch's share, if it has one.
func (s *session) partOf(b *branch) (part, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.parts[b]
	return p, ok
}

// join adds to a branch's share.
func (s *session) join(b *branch, more part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[b]
	s.parts[b] = part{ddl: p.ddl || more.ddl, wrote: p.wrote || more.wrote}
}

// leave ends a branch's share.
func (s *session) leave(b *branch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parts, b)
}

// partsWhere lists the branches whose share satisfies a condition.
func (s *session) partsWhere(cond func(part) bool) []*branch {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*branch
	for b, p := range s.parts {
		if cond(p) {
			out = append(out, b)
		}
	}
	return out
}

// begin opens a transaction on a branch for the front's own changes.
func (s *session) begin(b *branch) *wire.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := s.partOf(b); !open {
		if r := b.locked("BEGIN"); r.err != nil {
			return r.err
		}
	}
	s.join(b, part{ddl: true})
	return nil
}

// rollbackPeers ends on the other nodes what has been ended here.
func (s *session) rollbackPeers(ctx context.Context) error {
	if _, err := s.settle(ctx, false, s.decideHere); err != nil {
		return err
	}
	s.clearParts()
	return nil
}

// clearParts rolls back whatever the session has open on other nodes.
func (s *session) clearParts() {
	open := s.partsWhere(func(part) bool { return true })
	each(open, func(b *branch) *wire.Error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.conn != nil && b.locked("ROLLBACK").err != nil {
			b.drop()
		}
		s.leave(b)
		return nil
	})
}
