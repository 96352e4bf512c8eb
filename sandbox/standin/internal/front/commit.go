// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// distributed is a session's transaction from its first vote to its decision. The README tells the protocol.
type distributed struct {
	gid     string
	writers int
	nodes   []string // of the writers
	ddl     bool
	failed  bool
	voted   []*branch // prepared, or perhaps prepared
}

// gid names a transaction so that only its own coordinator, in a later life, will touch it.
func (s *session) gid() string {
	return fmt.Sprintf("T%d%06d_%s", s.srv.Start, s.srv.serial.Add(1), s.srv.Name())
}

// vote makes or finds the distributed transaction. The caller holds mu. Writers are counted at the first vote: after
// it no statement of the transaction can run any more.
func (s *session) vote() *distributed {
	if s.dtx == nil {
		s.dtx = &distributed{gid: s.gid()}
		for b, p := range s.parts {
			if p.changed() {
				s.dtx.writers++
				s.dtx.nodes = append(s.dtx.nodes, b.node.Name)
			}
			s.dtx.ddl = s.dtx.ddl || p.ddl
		}
	}
	return s.dtx
}

// voteOn ends one branch's part of a transaction: a lone writer commits at once, several prepare. The caller holds
// the branch.
func (s *session) voteOn(b *branch) *wire.Error {
	s.mu.Lock()
	d := s.vote()
	changed := s.parts[b].changed()
	prepare := changed && (d.writers > 1 || d.ddl)
	if prepare {
		d.voted = append(d.voted, b)
		s.srv.rxact.begin(d.gid, s.database(), d.nodes)
	}
	s.mu.Unlock()
	if !changed && b.conn != nil { // nothing depends on the end of a part that only read
		s.leave(b)
		b.later(wire.Query("COMMIT"))
		if err := b.send(); err != nil {
			b.drop()
		}
		return nil
	}
	sql := "COMMIT"
	if prepare {
		sql = "PREPARE TRANSACTION " + dialect.Literal(d.gid)
	}
	r := b.locked(sql)
	if r.err == nil && r.tag == "ROLLBACK" {
		r.err = wire.Errorf("25P02", "transaction on node %s was already aborted", b.node.Name)
	}
	s.leave(b)
	if r.err != nil {
		s.mu.Lock()
		d.failed = true
		s.mu.Unlock()
		if strings.Contains(r.err.Message, "prepared transactions are disabled") {
			r.err.Message = fmt.Sprintf("Fail recv %q from node %s: %s", sql+";", b.node.Name, r.err.Message)
		}
		return r.err
	}
	if prepare {
		b.prepared = d.gid
	}
	return nil
}

// commit ends the client's transaction on all nodes.
func (s *session) commit(ctx context.Context, text string) (result, error) {
	if s.status == 'T' && s.changing() {
		if err := s.prepareAll(); err != nil {
			_, lost := s.rollback(ctx, "ROLLBACK")
			return result{err: err}, lost
		}
	}
	r, err := s.exec(text)
	if err != nil {
		return r, err
	}
	settled, err := s.settle(ctx, r.err == nil && r.tag == "COMMIT", s.decideHere)
	if s.status == 'I' {
		s.clearParts()
	}
	if err == nil && settled != nil {
		return result{err: settled}, nil
	}
	return r, err
}

// changing tells whether the front itself has changed other nodes in this transaction.
func (s *session) changing() bool {
	return len(s.partsWhere(func(p part) bool { return p.ddl })) > 0
}

// prepareAll prepares every changed branch and puts the decision into the local transaction: it commits with it.
func (s *session) prepareAll() *wire.Error {
	if !s.srv.canPrepare() {
		return wire.Errorf("55000", "Fail recv \"PREPARE TRANSACTION\": prepared transactions are disabled").
			WithHint("Set max_prepared_transactions to a nonzero value.")
	}
	s.mu.Lock()
	d := s.vote()
	s.mu.Unlock()
	open := s.partsWhere(part.changed)
	if err := each(open, func(b *branch) *wire.Error {
		b.mu.Lock()
		defer b.mu.Unlock()
		return s.voteOn(b)
	}); err != nil {
		return err
	}
	r, err := s.exec(decideCall(d.gid, open, nil))
	if err != nil {
		return wire.Fatalf("08006", "connection to server lost")
	}
	return r.err
}

// each works on all branches at once and returns the first error.
func each(bs []*branch, do func(*branch) *wire.Error) *wire.Error {
	errs := make([]*wire.Error, len(bs))
	var wg sync.WaitGroup
	for i, b := range bs {
		wg.Go(func() { errs[i] = do(b) })
	}
	wg.Wait()
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}

func decideCall(gid string, bs []*branch, forget []string) string {
	names := make([]string, len(bs))
	for i, b := range bs {
		names[i] = b.node.Name
	}
	gone := make([]string, len(forget))
	for i, g := range forget {
		gone[i] = dialect.Literal(g)
	}
	return fmt.Sprintf("CALL pg_catalog.standin_decide(%s, %s, ARRAY[%s]::text[])",
		dialect.Literal(gid), dialect.Literal(strings.Join(names, ",")), strings.Join(gone, ", "))
}

// decideHere writes a decision through the session's own server connection, which is idle.
func (s *session) decideHere(_ context.Context, d *distributed) (*wire.Error, error) {
	s.mu.Lock()
	forget := s.forgotten
	s.forgotten = nil
	s.mu.Unlock()
	r, err := s.exec(decideCall(d.gid, d.voted, forget))
	return r.err, err
}

// decideAside writes it through the front's own connection, for a transaction that ended inside a running statement.
func (s *session) decideAside(ctx context.Context, d *distributed) (*wire.Error, error) {
	_, err := s.srv.ctl.rows(ctx, decideCall(d.gid, d.voted, nil))
	return nil, err
}

// settle finishes a distributed transaction: the decision is made durable, and only then carried out. An error from
// deciding is certain to mean that nothing was decided, unless the connection broke: then the resolver finds out.
func (s *session) settle(ctx context.Context, committed bool, decide func(context.Context, *distributed) (*wire.Error, error)) (*wire.Error, error) {
	s.mu.Lock()
	d := s.dtx
	s.dtx = nil
	s.mu.Unlock()
	if d == nil {
		return nil, nil
	}
	if len(d.voted) == 0 {
		return nil, nil
	}
	defer s.srv.rxact.handOver(d.gid)
	committed = committed && !d.failed
	var refused *wire.Error
	if committed && !d.ddl {
		var err error
		if refused, err = decide(ctx, d); err != nil {
			for _, b := range d.voted {
				b.prepared = ""
			}
			s.srv.rxact.wake()
			return nil, err
		}
		committed = refused == nil
	}
	s.srv.rxact.decide(d.gid, committed)
	verb := "ROLLBACK PREPARED "
	if committed {
		verb = "COMMIT PREPARED "
	}
	failed := each(d.voted, func(b *branch) *wire.Error {
		b.mu.Lock()
		defer b.mu.Unlock()
		was := b.prepared
		b.prepared = ""
		if was == "" { // its PREPARE got no answer
			return wire.Errorf("08006", "connection to node %s is lost", b.node.Name)
		}
		r := b.locked(verb + dialect.Literal(d.gid))
		if r.err == nil {
			s.srv.rxact.done(b.node.Name, d.gid)
		}
		return r.err
	})
	for _, n := range d.nodes { // what never voted was rolled back in its own connection
		if !slices.ContainsFunc(d.voted, func(b *branch) bool { return b.node.Name == n }) {
			s.srv.rxact.done(n, d.gid)
		}
	}
	switch {
	case failed != nil:
		s.srv.rxact.wake()
	case committed && d.ddl:
		_, err := s.exec("CALL pg_catalog.standin_forget(" + dialect.Literal(d.gid) + ")")
		return refused, err
	case committed:
		s.mu.Lock()
		s.forgotten = append(s.forgotten, d.gid)
		s.mu.Unlock()
	}
	return refused, nil
}

// settleImplicit finishes what a statement outside a transaction block began on other nodes. The statement's
// CommandComplete is still held; if the decision fails the client gets an error instead of it.
func (s *session) settleImplicit(ctx context.Context) error {
	s.mu.Lock()
	pending, left := s.dtx != nil, len(s.parts) > 0
	s.mu.Unlock()
	if left && s.status == 'I' {
		defer s.clearParts() // what postgres_fdw could not end, because its connection broke
	}
	if pending {
		refused, err := s.settle(ctx, !s.sawError, s.decideHere)
		if err != nil {
			return err
		}
		if refused != nil {
			s.held = nil
			return s.fail(refused)
		}
	}
	return s.release()
}

// rollback ends the client's transaction everywhere.
func (s *session) rollback(ctx context.Context, text string) (result, error) {
	r, err := s.exec(text)
	if err == nil {
		err = s.rollbackPeers(ctx)
	}
	return r, err
}

// savepoint runs SAVEPOINT, RELEASE or ROLLBACK TO here and where the front itself changes something.
func (s *session) savepoint(_ context.Context, text string) error {
	r, err := s.exec(text)
	if err != nil || r.err != nil {
		return s.answer(r, err)
	}
	open := s.partsWhere(func(p part) bool { return p.ddl })
	if err := each(open, func(b *branch) *wire.Error { return b.query(text).err }); err != nil {
		return s.fail(err)
	}
	return s.answer(r, nil)
}

// canPrepare tells whether this node could hold a prepared transaction.
func (s *Server) canPrepare() bool { return s.conf.Load().Int("max_prepared_transactions", 0) > 0 }
