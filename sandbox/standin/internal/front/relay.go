// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"errors"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// result is the answer of a server to a statement that the front ran itself.
type result struct {
	rows [][]string
	tag  string
	err  *wire.Error
}

// next waits for the server's next message.
func (s *session) next() (wire.Msg, error) {
	m, ok := <-s.fromChild
	if !ok {
		return m, errGone
	}
	return m, nil
}

// toClient passes a message on. A CommandComplete is held until the next one, and what is written is flushed when the
// server pauses: an acknowledgement never overtakes the decision it acknowledges.
func (s *session) toClient(m wire.Msg) error {
	if s.held != nil {
		if err := s.client.Write(*s.held); err != nil {
			return err
		}
		s.held = nil
	}
	switch m.Type {
	case 'C':
		s.lastTag, _ = wire.CString(m.Body)
		s.held = &m
		return nil
	case 'E':
		s.sawError = true
		m = s.explain(m)
	}
	if err := s.client.Write(m); err != nil {
		return err
	}
	if len(s.fromChild) == 0 {
		return s.client.Flush()
	}
	return nil
}

// explain adds the stand-in's name to errors that AntDB would not give.
func (s *session) explain(m wire.Msg) wire.Msg {
	e := wire.DecodeError(m.Body)
	if s.srv.Role == Datanode || e.Hint != "" || e.Code != "42P10" && e.Code != "0A000" {
		return m
	}
	return e.WithHint("AntDB stand-in: tables are spread by foreign partitions; see its README for what that leaves out.").Msg()
}

// release passes the held CommandComplete on.
func (s *session) release() error {
	if s.held == nil {
		return nil
	}
	m := *s.held
	s.held = nil
	return s.client.Write(m)
}

// pass runs one text on the server behind and relays its answer, all but ReadyForQuery. The last CommandComplete stays
// held.
func (s *session) pass(text, tag string) error {
	s.sawError, s.lastTag = false, ""
	if err := s.child.Send(wire.Query(text)); err != nil {
		return errGone
	}
	return s.untilReady(tag)
}

// untilReady relays until the server is ready again; a tag given replaces the server's.
func (s *session) untilReady(tag string) error {
	for {
		m, err := s.next()
		if err != nil {
			return err
		}
		switch m.Type {
		case 'Z':
			s.status = m.Body[0]
			return nil
		case 'G':
			if err := s.copyIn(m); err != nil {
				return err
			}
			continue
		case 'C':
			if tag != "" {
				m = wire.Complete(tag)
			}
		}
		if err := s.toClient(m); err != nil {
			return err
		}
	}
}

// copyIn carries a COPY from the client to the server.
func (s *session) copyIn(m wire.Msg) error {
	if err := errors.Join(s.toClient(m), s.client.Flush()); err != nil {
		return err
	}
	ended := false // in the extended protocol a Sync follows the end of the data
	for {
		select {
		case m, ok := <-s.fromClient:
			if !ok || m.Type == 'X' {
				return errGone
			}
			if !ended && (m.Type == 'H' || m.Type == 'S') {
				continue
			}
			if err := s.child.Write(m); err != nil {
				return errGone
			}
			ended = ended || m.Type == 'c' || m.Type == 'f'
			if ended && (!s.ext.syncing || m.Type == 'S') {
				return s.child.Flush()
			}
		case m, ok := <-s.fromChild:
			if !ok {
				return errGone
			}
			if err := s.toClient(m); err != nil {
				return err
			}
			if m.Type == 'E' {
				return nil
			}
		}
	}
}

// exec runs a statement of the front's own on the server behind. Notices go to the client.
func (s *session) exec(sql string) (result, error) {
	var r result
	if err := s.child.Send(wire.Query(sql)); err != nil {
		return r, errGone
	}
	for {
		m, err := s.next()
		if err != nil {
			return r, err
		}
		switch m.Type {
		case 'D':
			r.rows = append(r.rows, wire.Values(m.Body))
		case 'C':
			r.tag, _ = wire.CString(m.Body)
		case 'E':
			r.err = wire.DecodeError(m.Body)
		case 'Z':
			s.status = m.Body[0]
			return r, nil
		case 'N', 'A', 'S':
			if err := s.client.Write(m); err != nil {
				return r, err
			}
		}
	}
}

// fail reports an error of the front's own. Inside a transaction the server must fail with it.
func (s *session) fail(e *wire.Error) error {
	if err := s.release(); err != nil {
		return err
	}
	s.sawError = true
	if s.status == 'T' {
		if _, err := s.exec("CALL pg_catalog.standin_raise(" + dialect.Literal(e.Code) + ", 'failed by the front', '', '')"); err != nil {
			return err
		}
	}
	if err := s.client.Send(e.Msg()); err != nil || e.Severity == "FATAL" {
		return errors.Join(err, errGone)
	}
	return nil
}

// runScript carries out a text step by step. Several statements in one text are one transaction, as in PostgreSQL,
// unless they say otherwise themselves.
func (s *session) runScript(ctx context.Context, script *dialect.Script) error {
	block := len(script.Steps) > 1 && s.status == 'I'
	for _, st := range script.Steps {
		switch st.Kind {
		case dialect.Begin, dialect.Commit, dialect.Rollback, dialect.Savepoint:
			block = false
		case dialect.Spread:
			block = block && !st.Forms.Alone
		}
	}
	if block {
		if _, err := s.exec("BEGIN"); err != nil {
			return err
		}
	}
	s.sawError = false
	for _, st := range script.Steps {
		if err := s.step(ctx, st); err != nil {
			return err
		}
		if s.sawError {
			break
		}
		if !block {
			if err := s.release(); err != nil {
				return err
			}
		}
	}
	if block {
		if err := s.endBlock(ctx); err != nil {
			return err
		}
	}
	if err := s.release(); err != nil {
		return err
	}
	return s.ready()
}

// endBlock ends a transaction that the front opened around the client's statements.
func (s *session) endBlock(ctx context.Context) error {
	if s.sawError || s.status != 'T' {
		_, err := s.rollback(ctx, "ROLLBACK")
		return err
	}
	r, err := s.commit(ctx, "COMMIT")
	if err != nil || r.err == nil {
		return err
	}
	s.held = nil
	return s.fail(r.err)
}

// step carries out one statement. What the client gets for it ends with a held CommandComplete or an error.
func (s *session) step(ctx context.Context, st dialect.Step) error {
	switch st.Kind {
	case dialect.Pass, dialect.Begin:
		if err := s.pass(st.Text, st.Tag); err != nil {
			return err
		}
		return s.settleImplicit(ctx)
	case dialect.Commit:
		return s.answer(s.commit(ctx, st.Text))
	case dialect.Rollback:
		return s.answer(s.rollback(ctx, st.Text))
	case dialect.Savepoint:
		return s.savepoint(ctx, st.Text)
	case dialect.Nodes:
		return s.nodeStatement(ctx, st)
	case dialect.Direct:
		return s.direct(ctx, st, nil)
	case dialect.Spread:
		return s.spread(ctx, st)
	case dialect.Truncate:
		return s.truncate(ctx, st)
	case dialect.Vacuum:
		return s.vacuum(ctx, st)
	case dialect.Copy:
		return s.copyStep(ctx, st)
	case dialect.Redistribute:
		return s.redistribute(ctx, st)
	case dialect.TableAs:
		return s.tableAs(ctx, st)
	default:
		if plain, err := s.restoresDatanode(); st.Text != "" && plain || err != nil {
			return s.plainly(ctx, st, err)
		}
		return s.fail(st.Err)
	}
}

// answer passes the outcome of a statement on.
func (s *session) answer(r result, err error) error {
	if err != nil {
		return err
	}
	if r.err != nil {
		s.sawError = true
		return errors.Join(s.release(), s.client.Write(r.err.Msg()))
	}
	return s.toClient(wire.Complete(r.tag))
}
