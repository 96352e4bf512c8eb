// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// errGone ends a session: its client or its server is gone.
var errGone = errors.New("connection is gone")

// session is one client. One goroutine runs it; links to other nodes work beside it while the server is busy with a
// statement of this session, and share what mu guards.
type session struct {
	srv    *Server
	client *wire.Conn
	child  *wire.Conn
	params map[string]string

	fromClient, fromChild chan wire.Msg
	done                  chan struct{}
	childGone             chan struct{} // the server behind has ended the session
	canceled              chan struct{}
	pid, key              uint32
	encoding              string
	status                byte // transaction status as the server last gave it
	timeout               time.Duration
	readOnly              bool // a client's own session on a datanode

	ext extended

	held      *wire.Msg // a CommandComplete not yet passed on: it may acknowledge a commit
	sawError  bool
	lastTag   string
	forgotten []string // transactions that are finished everywhere

	mu       sync.Mutex
	branches map[int32]*branch
	parts    map[*branch]part
	dtx      *distributed
	strict   bool
}

func newSession(srv *Server, v *visitor, child *wire.Conn) *session {
	return &session{
		srv: srv, client: v.Conn, child: child, params: v.params,
		fromClient: make(chan wire.Msg, 64), fromChild: make(chan wire.Msg, 64), done: make(chan struct{}), childGone: make(chan struct{}),
		canceled: make(chan struct{}, 1), timeout: statementTimeout(v.params),
		readOnly: srv.Role == Datanode && !srv.Restore,
		ext:      extended{statements: map[string]*managed{}, portals: map[string]*managed{}},
		branches: map[int32]*branch{}, parts: map[*branch]part{},
	}
}

// run serves the session from the end of its login.
func (s *session) run(ctx context.Context) {
	defer s.end()
	if s.greeting() != nil {
		return
	}
	go s.read(s.client, s.fromClient)
	go func() {
		s.read(s.child, s.fromChild)
		close(s.childGone)
	}()
	for {
		select {
		case m, ok := <-s.fromChild: // nobody asked: a notice, a changed parameter, or the end
			if !ok {
				_ = s.client.Flush()
				return
			}
			if s.client.Write(m) != nil || len(s.fromChild) == 0 && s.client.Flush() != nil {
				return
			}
		case m, ok := <-s.fromClient:
			if !ok || m.Type == 'X' || s.handle(ctx, m) != nil {
				_ = s.client.Flush()
				return
			}
		}
	}
}

// greeting passes the rest of the server's welcome on and adds AntDB's.
func (s *session) greeting() error {
	for {
		m, err := s.child.Read()
		if err != nil {
			return err
		}
		switch m.Type {
		case 'K':
			if len(m.Body) != 8 {
				return errGone
			}
			s.pid, s.key = binary.BigEndian.Uint32(m.Body), binary.BigEndian.Uint32(m.Body[4:])
			s.srv.mu.Lock()
			s.srv.sessions[s.pid] = s
			s.srv.mu.Unlock()
		case 'S':
			if k, v := wire.CString(m.Body); k == "server_encoding" {
				s.encoding, _ = wire.CString(v)
			}
		case 'Z':
			s.status = m.Body[0]
			node := wire.Encode(&pgproto3.ParameterStatus{Name: "adb_node_type", Value: string(s.srv.Role)})
			return s.client.Send(node, m)
		}
		if err := s.client.Write(m); err != nil {
			return err
		}
		if m.Type == 'E' {
			return errors.Join(s.client.Flush(), errGone)
		}
	}
}

// read feeds messages into the session until its connection or the session ends.
func (s *session) read(c *wire.Conn, to chan<- wire.Msg) {
	defer close(to)
	for {
		m, err := c.Read()
		if err != nil {
			return
		}
		select {
		case to <- m:
		case <-s.done:
			return
		}
	}
}

func (s *session) end() {
	close(s.done)
	s.srv.mu.Lock()
	if s.srv.sessions[s.pid] == s {
		delete(s.srv.sessions, s.pid)
	}
	s.srv.mu.Unlock()
	s.srv.pause.release(s)
	_, _ = s.client.Close(), s.child.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.branches {
		b.close()
	}
	if d := s.dtx; d != nil && len(d.voted) > 0 {
		s.srv.rxact.handOver(d.gid)
		s.srv.rxact.wake()
	}
}

// handle serves one message of the client.
func (s *session) handle(ctx context.Context, m wire.Msg) error {
	switch m.Type {
	case 'Q':
		text, _ := wire.CString(m.Body)
		return s.simple(ctx, text)
	case 'P', 'B', 'D', 'E', 'C', 'H', 'S':
		return s.extended(ctx, m)
	case 'F':
		return s.refuseExtended(wire.Unsupported("the function call message"))
	case 'd', 'c', 'f': // the rest of a COPY that failed
		return nil
	}
	return s.client.Send(wire.Fatalf("08P01", "invalid frontend message type %d", m.Type).Msg())
}

// simple serves a simple query.
func (s *session) simple(ctx context.Context, text string) error {
	script := s.srv.scripts.parse(text)
	failed := s.waitForPause()
	if failed == nil {
		failed = s.admitStatement(script)
	}
	if failed == nil {
		var err error
		if failed, err = s.checkGuards(ctx, script); err != nil {
			return err
		}
	}
	if failed != nil {
		if err := s.fail(failed); err != nil {
			return err
		}
		return s.ready()
	}
	if script.Managed() {
		return s.runScript(ctx, script)
	}
	tag := ""
	if len(script.Steps) == 1 {
		tag = script.Steps[0].Tag
	}
	if err := s.pass(script.Whole, tag); err != nil {
		return err
	}
	if err := s.settleImplicit(ctx); err != nil {
		return err
	}
	return s.ready()
}

// ready ends the answer to a query.
func (s *session) ready() error { return s.client.Send(wire.Ready(s.status)) }

// admitStatement holds a statement back while the GTM is away and refuses what a datanode's client must not do.
func (s *session) admitStatement(script *dialect.Script) *wire.Error {
	if err := s.waitForGTM(); err != nil {
		return err
	}
	s.mu.Lock()
	s.strict = s.strict || script.Strict
	s.mu.Unlock()
	switch {
	case script.Reloads:
		s.srv.Reload()
	case script.Looks:
		s.srv.Look()
	}
	if !s.readOnly {
		return nil
	}
	for _, st := range script.Steps {
		if st.LiftsReadOnly {
			return wire.Errorf("25006", "cannot set transaction read-write mode on a datanode").
				WithHint("Connect to a coordinator to change data.")
		}
		if st.Kind == dialect.Spread || st.Kind == dialect.TableAs || st.Kind == dialect.Truncate || st.Kind == dialect.Nodes || st.Kind == dialect.Redistribute {
			return wire.Errorf("25006", "cannot execute %s in a read-only transaction", verb(st))
		}
	}
	return nil
}

// waitForGTM returns when the gate is open. On gc itself nothing ends the wait but the gate; elsewhere the setting
// snapshot_sync_waittime, a statement_timeout given at login and a cancel request do.
func (s *session) waitForGTM() *wire.Error {
	opened := s.srv.Gate.Opened()
	select {
	case <-opened:
		return nil
	default:
	}
	if s.srv.Role == GTM {
		<-opened
		return nil
	}
	select { // a cancel request that came too late for an earlier statement
	case <-s.canceled:
	default:
	}
	wait := time.NewTimer(s.srv.conf.Load().Millis("snapshot_sync_waittime"))
	defer wait.Stop()
	var timeout <-chan time.Time
	if s.timeout > 0 {
		t := time.NewTimer(s.timeout)
		defer t.Stop()
		timeout = t.C
	}
	for {
		select {
		case <-opened:
			return nil
		case <-wait.C:
			return wire.Errorf("XX000", "cannot connect to GTMCOORD: wait stream timeout")
		case <-timeout:
			return wire.Errorf("57014", "canceling statement due to statement timeout")
		case <-s.canceled:
			return wire.Errorf("57014", "canceling statement due to user request")
		case m, ok := <-s.fromChild: // a shutdown ends the wait
			if !ok {
				return wire.Fatalf("57P01", "terminating connection due to administrator command")
			}
			_ = s.client.Send(m)
		}
	}
}
