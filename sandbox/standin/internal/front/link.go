// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"encoding/binary"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// link is a connection of the own server, by postgres_fdw or dblink, to another node. It ends here, where the session
// that it belongs to is known, and goes on over that session's branch.
type link struct {
	*wire.Conn
	s      *session
	node   int32 // node_id, which the user mapping carries as the user's name
	id     uint32
	branch *branch
}

// serveLink serves one connection of the own server.
func (s *Server) serveLink(ctx context.Context, c net.Conn) {
	conn := wire.NewConn(c)
	code, body, err := conn.Startup()
	for err == nil && (code == wire.SSLCode || code == wire.GSSCode) {
		if _, err = c.Write([]byte{'N'}); err == nil {
			code, body, err = conn.Startup()
		}
	}
	if err != nil {
		return
	}
	if code == wire.CancelCode && len(body) == 8 {
		s.mu.Lock()
		l := s.links[binary.BigEndian.Uint32(body)]
		s.mu.Unlock()
		if l != nil && l.branch != nil {
			l.branch.cancel(ctx)
		}
		return
	}
	p := wire.Params(body)
	pid, err1 := strconv.ParseUint(p["application_name"], 10, 32)
	node, err2 := strconv.ParseInt(p["user"], 10, 32)
	s.mu.Lock()
	owner := s.sessions[uint32(pid)]
	s.mu.Unlock()
	if err1 != nil || err2 != nil || owner == nil {
		_ = conn.Send(wire.Fatalf("08004", "AntDB stand-in: only a client's session can reach other nodes").Msg())
		return
	}
	l := &link{Conn: conn, s: owner, node: int32(node), id: uint32(s.serial.Add(1))}
	s.mu.Lock()
	s.links[l.id] = l
	s.mu.Unlock()
	l.serve(ctx)
	s.mu.Lock()
	delete(s.links, l.id)
	s.mu.Unlock()
}

// serve greets without asking the node: it is reached when a transaction needs it.
func (l *link) serve(ctx context.Context) {
	ms := []wire.Msg{wire.Encode(&pgproto3.AuthenticationOk{})}
	for k, v := range map[string]string{
		"server_version": "15.0", "server_encoding": l.s.encoding, "client_encoding": l.s.encoding, "DateStyle": "ISO, MDY",
		"standard_conforming_strings": "on", "integer_datetimes": "on", "IntervalStyle": "postgres", "TimeZone": "GMT",
	} {
		ms = append(ms, wire.Encode(&pgproto3.ParameterStatus{Name: k, Value: v}))
	}
	key := binary.BigEndian.AppendUint32(nil, l.id)
	ms = append(ms, wire.Msg{Type: 'K', Body: binary.BigEndian.AppendUint32(key, l.id)}, wire.Ready('I'))
	if l.Send(ms...) != nil {
		return
	}
	var batch []wire.Msg
	for {
		m, err := l.Read()
		if err != nil || m.Type == 'X' {
			return
		}
		if batch = append(batch, m); m.Type != 'Q' && m.Type != 'S' {
			continue
		}
		if !l.request(ctx, batch) {
			return
		}
		batch = batch[:0]
	}
}

// request serves what postgres_fdw sent up to a point where it waits. False ends the link.
func (l *link) request(ctx context.Context, batch []wire.Msg) bool {
	m := batch[0]
	if l.node == ownNode {
		return l.own(ctx, m)
	}
	if m.Type == 'Q' {
		sql, _ := wire.CString(m.Body)
		switch {
		case strings.HasPrefix(sql, "SET "): // postgres_fdw's session settings: the branch has them from its login
			return l.reply(result{tag: "SET"}, 'I')
		case strings.HasPrefix(sql, "START TRANSACTION"):
			return l.start(ctx, sql)
		case sql == "COMMIT TRANSACTION":
			return l.commit()
		case sql == "ABORT TRANSACTION":
			return l.abort()
		case strings.HasPrefix(sql, "RELEASE SAVEPOINT") && l.undecided():
			return l.reply(result{tag: "RELEASE"}, 'T') // the front has prepared the transaction already
		}
	}
	b := l.branch
	if b == nil { // dblink asks outside transactions
		var err *wire.Error
		if b, err = l.reach(ctx); err != nil {
			return l.reply(result{err: err}, 'I')
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn == nil {
		return false
	}
	for _, m := range batch {
		if sql := statementIn(m); writes(sql) || strings.Contains(sql, "standin_") {
			l.s.join(b, part{wrote: true})
		}
	}
	if answer := deferred(batch); answer != nil {
		b.later(batch...)
		return l.Send(append(answer, wire.Ready('T'))...) == nil
	}
	if b.send(batch...) != nil {
		b.drop()
		return false
	}
	return l.relay(b)
}

// deferred is the answer to a request that only prepares another one, or cleans up after it: opening and closing
// cursors and prepared statements.
func deferred(batch []wire.Msg) []wire.Msg {
	sql := statementIn(batch[0])
	switch {
	case batch[0].Type == 'P' && len(batch) == 2 && batch[1].Type == 'S':
		return []wire.Msg{{Type: '1'}}
	case strings.HasPrefix(sql, "DECLARE "):
		done := wire.Complete("DECLARE CURSOR")
		if batch[0].Type == 'Q' {
			return []wire.Msg{done}
		}
		return []wire.Msg{{Type: '1'}, {Type: '2'}, {Type: 'n'}, done}
	case strings.HasPrefix(sql, "CLOSE ") && batch[0].Type == 'Q':
		return []wire.Msg{wire.Complete("CLOSE CURSOR")}
	case strings.HasPrefix(sql, "DEALLOCATE ") && batch[0].Type == 'Q':
		return []wire.Msg{wire.Complete("DEALLOCATE")}
	}
	return nil
}

// statementIn is the text that a Query or Parse message carries.
func statementIn(m wire.Msg) string {
	switch m.Type {
	case 'Q':
		sql, _ := wire.CString(m.Body)
		return sql
	case 'P':
		_, rest := wire.CString(m.Body)
		sql, _ := wire.CString(rest)
		return sql
	}
	return ""
}

// relay carries the node's answer back. A node that is lost ends the link: libpq then reports it as such.
func (l *link) relay(b *branch) bool {
	for {
		m, err := b.read()
		if err != nil {
			b.drop()
			_ = l.Flush()
			return false
		}
		if l.Write(m) != nil {
			return false
		}
		if m.Type == 'E' && wire.DecodeError(m.Body).Severity == "FATAL" {
			b.drop()
			_ = l.Flush()
			return false
		}
		if m.Type == 'Z' {
			return l.Flush() == nil
		}
	}
}

// reply answers in the node's place.
func (l *link) reply(r result, status byte) bool {
	if r.err != nil {
		e := *r.err
		e.Severity, e.SeverityUnlocalized = "ERROR", "ERROR"
		return l.Send(e.Msg(), wire.Ready(status)) == nil
	}
	return l.Send(wire.Complete(r.tag), wire.Ready(status)) == nil
}

// reach finds the node by its id in today's catalog and returns the session's branch to it.
func (l *link) reach(ctx context.Context) (*branch, *wire.Error) {
	l.s.mu.Lock()
	b := l.s.branches[l.node]
	l.s.mu.Unlock()
	if b != nil && b.usable() {
		return b, nil
	}
	var n Node
	rows, err := l.s.srv.ctl.rows(ctx, nodeColumns)
	if err != nil {
		return nil, wire.Errorf("08006", "read pgxc_node: %v", err)
	}
	for _, known := range nodesOf(rows) {
		if known.ID == l.node {
			n = known
		}
	}
	if n.Name == "" {
		return nil, wire.Errorf("42704", "node with node_id %d is not defined", l.node)
	}
	return l.s.branch(ctx, n)
}

// start opens the node's part of a transaction. postgres_fdw always asks for repeatable reads; a transaction of the
// client that reads committed rows shall do so on the nodes too, or concurrent updates of one row would fail.
func (l *link) start(ctx context.Context, sql string) bool {
	if l.undecided() {
		if _, err := l.s.settle(ctx, true, l.s.decideAside); err != nil {
			return false
		}
	}
	b, err := l.reach(ctx)
	if err != nil {
		return l.reply(result{err: err}, 'I')
	}
	l.branch = b
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := l.s.partOf(b); open {
		return l.reply(result{tag: "START TRANSACTION"}, 'T')
	}
	l.s.mu.Lock()
	if !l.s.strict {
		sql = strings.Replace(sql, "REPEATABLE READ", "READ COMMITTED", 1)
	}
	l.s.mu.Unlock()
	b.later(wire.Query(sql))
	l.s.join(b, part{})
	return l.reply(result{tag: "START TRANSACTION"}, 'T')
}

// undecided tells whether an earlier transaction of this branch, one that ended inside a running statement, still
// waits for its decision.
func (l *link) undecided() bool {
	if l.branch == nil {
		return false
	}
	l.branch.mu.Lock()
	defer l.branch.mu.Unlock()
	return l.branch.prepared != ""
}

func (l *link) commit() bool {
	b := l.branch
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := l.s.partOf(b); !open {
		if b.prepared != "" { // the front has prepared it already
			return l.reply(result{tag: "COMMIT"}, 'I')
		}
		return false
	}
	err := l.s.voteOn(b)
	if err != nil && b.conn == nil {
		_ = l.reply(result{err: err}, 'I')
		return false
	}
	return l.reply(result{tag: "COMMIT", err: err}, 'I')
}

func (l *link) abort() bool {
	b := l.branch
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p, open := l.s.partOf(b); !open || p.ddl { // the front rolls its own changes back itself
		return l.reply(result{tag: "ROLLBACK"}, 'I')
	}
	r := b.locked("ROLLBACK")
	l.s.leave(b)
	if r.err != nil {
		return false
	}
	return l.reply(r, 'I')
}
