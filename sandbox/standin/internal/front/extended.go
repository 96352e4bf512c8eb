// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// extended is the state of a session between a first Parse and its Sync. Statements that the server behind can run are
// passed on message by message; those that the front runs itself live here and never reach it.
type extended struct {
	statements map[string]*managed
	portals    map[string]*managed
	admitted   bool
	failed     bool
	pending    int  // answers that the server owes
	syncing    bool // the answer to a Sync is being relayed
}

// managed is a prepared statement, or a portal of one, that the front carries out.
type managed struct {
	step    dialect.Step
	formats []int16
}

// extended serves one message of the extended protocol.
func (s *session) extended(ctx context.Context, m wire.Msg) error {
	if m.Type == 'S' {
		return s.sync(ctx)
	}
	if s.ext.failed {
		return nil // until Sync, as PostgreSQL does
	}
	if !s.ext.admitted {
		s.ext.admitted = true
		s.sawError = false
		if err := s.waitForPause(); err != nil {
			return s.refuseExtended(err)
		}
		if err := s.waitForGTM(); err != nil {
			return s.refuseExtended(err)
		}
	}
	switch m.Type {
	case 'P':
		return s.parse(ctx, m)
	case 'B':
		return s.bind(m)
	case 'D':
		return s.describe(ctx, m)
	case 'E':
		portal, _ := wire.CString(m.Body)
		if p := s.ext.portals[portal]; p != nil {
			return s.execute(ctx, p)
		}
	case 'C':
		name, _ := wire.CString(m.Body[1:])
		of := map[byte]map[string]*managed{'S': s.ext.statements, 'P': s.ext.portals}[m.Body[0]]
		if of[name] != nil {
			delete(of, name)
			return s.answerInOrder(wire.Msg{Type: '3'})
		}
	case 'H':
		if err := s.catchUp(); err != nil {
			return err
		}
		return s.client.Flush()
	}
	return s.passExtended(m)
}

func (s *session) passExtended(m wire.Msg) error {
	s.ext.pending++
	if s.child.Write(m) != nil {
		return errGone
	}
	return nil
}

// parse decides where a statement lives.
func (s *session) parse(ctx context.Context, m wire.Msg) error {
	name, rest := wire.CString(m.Body)
	text, rest := wire.CString(rest)
	script := s.srv.scripts.parse(text)
	if err := s.admitStatement(script); err != nil {
		return s.refuseExtended(err)
	}
	if script.Guarded() {
		if err := s.syncServer(ctx); err != nil || s.ext.failed {
			return err
		}
		failed, err := s.checkGuards(ctx, script)
		if err != nil {
			return err
		}
		if failed != nil {
			return s.refuseExtended(failed)
		}
	}
	delete(s.ext.statements, name)
	if !script.Managed() {
		body := append(append([]byte(name), 0), append([]byte(script.Whole), 0)...)
		return s.passExtended(wire.Msg{Type: 'P', Body: append(body, rest...)})
	}
	if len(script.Steps) != 1 {
		return s.refuseExtended(wire.Errorf("42601", "cannot insert multiple commands into a prepared statement"))
	}
	s.ext.statements[name] = &managed{step: script.Steps[0]}
	return s.answerInOrder(wire.Msg{Type: '1'})
}

func (s *session) bind(m wire.Msg) error {
	portal, rest := wire.CString(m.Body)
	name, _ := wire.CString(rest)
	delete(s.ext.portals, portal)
	st := s.ext.statements[name]
	if st == nil {
		return s.passExtended(m)
	}
	var b pgproto3.Bind
	if err := b.Decode(m.Body); err != nil {
		return s.refuseExtended(wire.Errorf("08P01", "invalid Bind message: %v", err))
	}
	formats := b.ResultFormatCodes
	if formats == nil {
		formats = []int16{}
	}
	s.ext.portals[portal] = &managed{step: st.step, formats: formats}
	return s.answerInOrder(wire.Msg{Type: '2'})
}

func (s *session) describe(ctx context.Context, m wire.Msg) error {
	name, _ := wire.CString(m.Body[1:])
	of := map[byte]map[string]*managed{'S': s.ext.statements, 'P': s.ext.portals}[m.Body[0]]
	st := of[name]
	if st == nil {
		return s.passExtended(m)
	}
	columns := wire.Msg{Type: 'n'}
	if st.step.Kind == dialect.Direct {
		if err := s.syncServer(ctx); err != nil || s.ext.failed {
			return err
		}
		var failed *wire.Error
		var err error
		if columns, failed, err = s.describeDirect(ctx, st.step); err != nil {
			return err
		}
		if failed != nil {
			return s.refuseExtended(failed)
		}
	}
	if m.Body[0] == 'S' {
		if err := s.answerInOrder(wire.Encode(&pgproto3.ParameterDescription{})); err != nil {
			return err
		}
	}
	return s.answerInOrder(columns)
}

// execute carries a managed statement out. What the client sent before it in the same batch is completed first.
func (s *session) execute(ctx context.Context, p *managed) error {
	if err := s.syncServer(ctx); err != nil || s.ext.failed {
		return err
	}
	s.sawError = false
	var err error
	if p.step.Kind == dialect.Direct {
		err = s.direct(ctx, p.step, p.formats)
	} else {
		err = s.step(ctx, p.step)
	}
	s.ext.failed = s.sawError
	return errors.Join(err, s.release())
}

// answerInOrder sends an answer of the front's own after what the server still owes.
func (s *session) answerInOrder(m wire.Msg) error {
	if err := s.catchUp(); err != nil || s.ext.failed {
		return err
	}
	return s.client.Write(m)
}

func (s *session) refuseExtended(e *wire.Error) error {
	if err := s.catchUp(); err != nil || s.ext.failed {
		return err
	}
	s.ext.failed = true
	if s.status == 'T' {
		// The server's transaction must fail too, and it can be asked only after a Sync.
		if err := s.child.Send(wire.Msg{Type: 'S'}); err != nil {
			return errGone
		}
		if err := s.untilReady(""); err != nil {
			return err
		}
	}
	return s.fail(e)
}

// catchUp relays the answers that the server owes for messages without Sync.
func (s *session) catchUp() error {
	if s.ext.pending == 0 {
		return nil
	}
	if s.child.Send(wire.Msg{Type: 'H'}) != nil {
		return errGone
	}
	for s.ext.pending > 0 {
		m, err := s.next()
		if err != nil {
			return err
		}
		switch m.Type {
		case '1', '2', '3', 'n', 'T', 'C', 'I', 's':
			s.ext.pending--
		case 'E':
			s.ext.pending, s.ext.failed = 0, true
		}
		if err := s.toClient(m); err != nil {
			return err
		}
	}
	return s.release()
}

// syncServer brings the server to rest inside a client's batch.
func (s *session) syncServer(ctx context.Context) error {
	if s.ext.pending == 0 {
		return nil
	}
	if err := s.catchUp(); err != nil {
		return err
	}
	if s.child.Send(wire.Msg{Type: 'S'}) != nil {
		return errGone
	}
	if err := s.untilReady(""); err != nil {
		return err
	}
	s.ext.failed = s.ext.failed || s.sawError
	return s.settleImplicit(ctx)
}

// sync ends a batch.
func (s *session) sync(ctx context.Context) error {
	if s.child.Send(wire.Msg{Type: 'S'}) != nil {
		return errGone
	}
	s.ext.syncing = true
	err := s.untilReady("")
	s.ext.syncing = false
	if err != nil {
		return err
	}
	s.sawError = s.sawError || s.ext.failed
	s.ext.pending, s.ext.failed, s.ext.admitted = 0, false, false
	if err := s.settleImplicit(ctx); err != nil {
		return err
	}
	return s.ready()
}
