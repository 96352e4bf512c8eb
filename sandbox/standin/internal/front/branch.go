// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// Node is a row of pgxc_node.
type Node struct {
	Name, Type, Host string
	Port             int
	GTM              bool
	ID               int32
}

const nodeColumns = "SELECT node_name, node_type, node_host, node_port, nodeis_gtm, node_id FROM pg_catalog.pgxc_node ORDER BY node_name"

func nodesOf(rows [][]string) []Node {
	var out []Node
	for _, r := range rows {
		port, _ := strconv.Atoi(r[3])
		id, _ := strconv.ParseInt(r[5], 10, 32)
		out = append(out, Node{Name: r[0], Type: r[1], Host: r[2], Port: port, GTM: r[4] == "t", ID: int32(id)})
	}
	return out
}

// branch is a session's connection to another node. DDL and postgres_fdw share it, so that a transaction sees its own
// changes whichever way they went.
type branch struct {
	mu   sync.Mutex
	node Node
	conn *wire.Conn
	pid  uint32
	key  uint32
	live atomic.Pointer[wire.Conn] // conn again, for close

	prepared string // gid of a transaction that waits for its decision

	queued []wire.Msg  // to be sent before the next request
	owed   int         // ReadyForQuery of requests whose answers nobody waits for
	late   *wire.Error // the first error among those answers
}

// poolerError is what AntDB says when a node cannot be reached.
func poolerError(cause error) *wire.Error {
	return wire.Errorf("08006", "error message from poolmgr:reconnect three thimes , could not connect to server").WithDetail("%v", cause)
}

// attempts and their distance make an unreachable node fail a statement after about two seconds.
const (
	attempts = 3
	pause    = time.Second
	patience = 5 * time.Second // with a node that owes an answer it can give at once
)

// dialNode opens a connection to another node's front, as the given role and with the given settings.
func (s *Server) dialNode(ctx context.Context, n Node, params map[string]string) (*wire.Conn, uint32, uint32, *wire.Error) {
	var cause error
	for i := range attempts {
		if i > 0 {
			select {
			case <-ctx.Done():
				return nil, 0, 0, poolerError(ctx.Err())
			case <-time.After(pause):
			}
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(n.Host, strconv.Itoa(n.Port)))
		if err != nil {
			cause = fmt.Errorf("connect to node %s: %w", n.Name, err)
			continue
		}
		conn := wire.NewConn(c)
		if err := s.withoutTLS(conn); err != nil {
			_ = conn.Close()
			cause = fmt.Errorf("log in to node %s: %w", n.Name, err)
			break
		}
		pid, key, werr := handshake(conn, params)
		if werr == nil {
			return conn, pid, key, nil
		}
		_ = conn.Close()
		cause = fmt.Errorf("log in to node %s: %w", n.Name, werr)
		if werr.Code != "57P03" && !strings.HasPrefix(werr.Code, "08") {
			break
		}
	}
	return nil, 0, 0, poolerError(cause)
}

// withoutTLS asks a node for TLS as AntDB's pooler does unless PGSSLMODE forbids it, and fails as it does when the node
// agrees.
func (s *Server) withoutTLS(c *wire.Conn) error {
	if s.NoTLS {
		return nil
	}
	if err := c.SendStartup(wire.SSLCode, nil); err != nil {
		return err
	}
	answer, err := c.Byte()
	if err == nil && answer == 'S' {
		return errors.New("invalid socket: lost synchronization with server (TLS between nodes does not work: start them with PGSSLMODE=disable)")
	}
	return err
}

// handshake logs in; nodes do not ask each other for passwords.
func handshake(c *wire.Conn, params map[string]string) (pid, key uint32, _ *wire.Error) {
	lost := func(err error) *wire.Error { return wire.Fatalf("08006", "%v", err) }
	if err := c.SendStartup(wire.Protocol3, wire.EncodeParams(params)); err != nil {
		return 0, 0, lost(err)
	}
	for {
		m, err := c.Read()
		if err != nil {
			return 0, 0, lost(err)
		}
		switch m.Type {
		case 'E':
			return 0, 0, wire.DecodeError(m.Body)
		case 'R':
			if len(m.Body) != 4 || binary.BigEndian.Uint32(m.Body) != 0 {
				return 0, 0, wire.Fatalf("28000", "fe_sendauth: no password supplied")
			}
		case 'K':
			if len(m.Body) == 8 {
				pid, key = binary.BigEndian.Uint32(m.Body), binary.BigEndian.Uint32(m.Body[4:])
			}
		case 'Z':
			return pid, key, nil
		}
	}
}

// branch returns the session's connection to a node, opened if need be.
func (s *session) branch(ctx context.Context, n Node) (*branch, *wire.Error) {
	s.mu.Lock()
	b := s.branches[n.ID]
	if b == nil {
		b = &branch{node: n}
		s.branches[n.ID] = b
	}
	s.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	_, open := s.partOf(b)
	switch {
	case open && b.conn == nil:
		return nil, wire.Errorf("08006", "connection to node %s was lost in the middle of a transaction", n.Name)
	case b.conn != nil && (open || b.alive()):
		return b, nil
	}
	b.drop()
	conn, pid, key, err := s.srv.dialNode(ctx, n, map[string]string{
		"user": s.params["user"], "database": s.database(), "application_name": "pgxc", peerKey: s.srv.Name(),
		"client_encoding": s.encoding,
		"options": "-c search_path=pg_catalog -c TimeZone=GMT -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=3 " +
			"-c default_transaction_read_only=off",
	})
	if err != nil {
		return nil, err
	}
	b.node, b.conn, b.pid, b.key = n, conn, pid, key
	b.live.Store(conn)
	return b, nil
}

// database is the one that the session is in.
func (s *session) database() string {
	if d := s.params["database"]; d != "" {
		return d
	}
	return s.params["user"]
}

// usable tells whether the branch needs no new connection.
func (b *branch) usable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conn != nil && b.alive()
}

// alive tells whether an idle connection is still there: the peer's end would show as something to read.
func (b *branch) alive() bool {
	if !b.collect() {
		return false
	}
	tcp, ok := b.conn.Conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && alive
}

// drop forgets a broken connection and what was open on it. The caller holds mu.
func (b *branch) drop() {
	if b.conn != nil {
		_ = b.conn.Close()
	}
	b.conn = nil
	b.queued, b.owed, b.late = nil, 0, nil
	b.live.Store(nil)
}

// close ends the connection whoever uses it.
func (b *branch) close() {
	if c := b.live.Load(); c != nil {
		_ = c.Close()
	}
}

// query runs a text and collects what it returns. A lost connection is an error of class 08.
func (b *branch) query(sql string) result {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.locked(sql)
}

func (b *branch) locked(sql string) result {
	var r result
	if b.conn == nil {
		return result{err: wire.Errorf("08006", "connection to node %s is lost", b.node.Name)}
	}
	if err := b.send(wire.Query(sql)); err != nil {
		return b.lost(err)
	}
	for {
		m, err := b.read()
		if err != nil {
			return b.lost(err)
		}
		switch m.Type {
		case 'D':
			r.rows = append(r.rows, wire.Values(m.Body))
		case 'C':
			r.tag, _ = wire.CString(m.Body)
		case 'E':
			if r.err = wire.DecodeError(m.Body); r.err.Severity == "FATAL" {
				b.drop()
				return r
			}
		case 'Z':
			return r
		}
	}
}

// later queues a request whose answer only matters if it is an error: then the next request reports it. It saves
// postgres_fdw most of its round trips.
func (b *branch) later(ms ...wire.Msg) {
	b.queued = append(b.queued, ms...)
	b.owed++
}

// send sends what is queued and a request.
func (b *branch) send(ms ...wire.Msg) error {
	all := append(b.queued, ms...)
	b.queued = nil
	return b.conn.Send(all...)
}

// read returns the next message that belongs to a request somebody waits for.
func (b *branch) read() (wire.Msg, error) {
	for {
		m, err := b.conn.Read()
		if err != nil {
			return m, err
		}
		if b.owed == 0 {
			if m.Type == 'E' && b.late != nil {
				m = b.late.Msg()
			}
			if m.Type == 'Z' {
				b.late = nil
			}
			return m, nil
		}
		switch m.Type {
		case 'E':
			if e := wire.DecodeError(m.Body); e.Severity == "FATAL" {
				return m, nil
			} else if b.late == nil {
				b.late = e
			}
		case 'Z':
			b.owed--
		}
	}
}

// collect takes in the answers nobody waits for, which a living node has sent by now.
func (b *branch) collect() bool {
	if b.owed == 0 {
		return true
	}
	if b.send() != nil || b.conn.SetReadDeadline(time.Now().Add(patience)) != nil {
		return false
	}
	for b.owed > 0 {
		m, err := b.conn.Read()
		switch {
		case err != nil:
			return false
		case m.Type == 'Z':
			b.owed--
		}
	}
	b.late = nil
	return b.conn.SetReadDeadline(time.Time{}) == nil
}

func (b *branch) lost(err error) result {
	b.drop()
	return result{err: wire.Errorf("08006", "server closed the connection unexpectedly").WithDetail("node %s: %v", b.node.Name, err)}
}

// cancel asks the node to stop what the branch runs.
func (b *branch) cancel(ctx context.Context) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(b.node.Host, strconv.Itoa(b.node.Port)))
	if err != nil {
		return
	}
	body := binary.BigEndian.AppendUint32(nil, b.pid)
	_ = wire.NewConn(c).SendStartup(wire.CancelCode, binary.BigEndian.AppendUint32(body, b.key))
	_ = c.Close()
}
