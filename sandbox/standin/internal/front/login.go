// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/conf"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/hba"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// peerKey is the startup parameter by which another node's front makes itself known. It counts only from addresses
// that pg_hba.conf trusts.
const peerKey = "standin.peer"

// visitor is a connection before it is a session.
type visitor struct {
	*wire.Conn
	params map[string]string
	tls    bool
}

// login takes a connection from its first byte to its end.
func (s *Server) login(ctx context.Context, c net.Conn) {
	v := &visitor{Conn: wire.NewConn(c)}
	if !s.greet(v) {
		return
	}
	if err := s.admit(ctx, v); err != nil {
		_ = v.Send(err.Msg())
		return
	}
	child, err := s.open(v)
	if err != nil {
		_ = v.Send(err.Msg())
		return
	}
	defer child.Close()
	switch {
	case replicates(v.params) != "":
		relayRaw(v.Conn, child)
	case v.params[peerKey] != "":
		s.servePeer(v.params[peerKey], v.Conn, child)
	default:
		newSession(s, v, child).run(ctx)
	}
}

// greet reads first packets until one is an ordinary startup; others are served here.
func (s *Server) greet(v *visitor) bool {
	for {
		code, body, err := v.Startup()
		if err != nil {
			return false
		}
		switch code {
		case wire.SSLCode:
			if !s.offerTLS(v) {
				return false
			}
		case wire.GSSCode:
			if _, err := v.Conn.Conn.Write([]byte{'N'}); err != nil {
				return false
			}
		case wire.CancelCode:
			s.cancel(body)
			return false
		case wire.RegisterCode:
			if s.Host != nil {
				s.Host.Serve(v.Conn, wire.Params(body)["node"])
			}
			return false
		default:
			if code>>16 != 3 {
				_ = v.Send(wire.Fatalf("0A000", "unsupported frontend protocol %d.%d", code>>16, code&0xffff).Msg())
				return false
			}
			v.params = wire.Params(body)
			if code != wire.Protocol3 {
				_ = v.Send(wire.Encode(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: 0}))
			}
			return true
		}
	}
}

func (s *Server) offerTLS(v *visitor) bool {
	c := s.conf.Load()
	var cert tls.Certificate
	var err error
	on := c.Bool("ssl") && v.RemoteAddr().Network() == "tcp"
	if on {
		if cert, err = tls.LoadX509KeyPair(c.Path("ssl_cert_file", "server.crt"), c.Path("ssl_key_file", "server.key")); err != nil {
			s.Log.Printf("LOG:  could not load server certificate: %v", err)
			on = false
		}
	}
	if !on {
		_, err := v.Conn.Conn.Write([]byte{'N'})
		return err == nil
	}
	if _, err := v.Conn.Conn.Write([]byte{'S'}); err != nil {
		return false
	}
	t := tls.Server(v.Conn.Conn, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if t.Handshake() != nil {
		return false
	}
	v.Conn, v.tls = wire.NewConn(t), true
	return true
}

// cancel passes a cancel request on; a session that waits in the front is woken here.
func (s *Server) cancel(body []byte) {
	if len(body) != 8 {
		return
	}
	pid, key := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
	s.mu.Lock()
	target := s.sessions[pid]
	s.mu.Unlock()
	if target != nil && target.key == key {
		select {
		case target.canceled <- struct{}{}:
		default:
		}
	}
	if c, err := net.Dial("unix", s.childSocket()); err == nil {
		_ = wire.NewConn(c).SendStartup(wire.CancelCode, body)
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
}

// replicates is the replication parameter if it asks for a replication connection.
func replicates(params map[string]string) string {
	switch v := strings.ToLower(params["replication"]); v {
	case "", "false", "off", "no", "0":
		return ""
	default:
		return v
	}
}

// client describes a visitor to pg_hba.conf.
func (v *visitor) client() hba.Client {
	r := replicates(v.params)
	c := hba.Client{TLS: v.tls, User: v.params["user"], Database: v.params["database"], Replication: r != "" && r != "database"}
	if c.Database == "" {
		c.Database = c.User
	}
	host, _, err := net.SplitHostPort(v.RemoteAddr().String())
	if c.Local = v.RemoteAddr().Network() == "unix"; !c.Local && err == nil {
		host, _, _ = strings.Cut(host, "%")
		c.Addr, _ = netip.ParseAddr(host)
	}
	return c
}

// options returns the -c settings of the options parameter, with AntDB's names made known to the child.
func options(params map[string]string) (settings map[string]string, rest string) {
	settings = map[string]string{}
	var keep []string
	words := strings.Fields(params["options"])
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			w = words[i]
		case strings.HasPrefix(w, "-c"):
			w = w[2:]
		case strings.HasPrefix(w, "--"):
			w = w[2:]
		default:
			keep = append(keep, w)
			continue
		}
		name, value, _ := strings.Cut(w, "=")
		settings[strings.ReplaceAll(name, "-", "_")] = value
		if name == "remotetype" { // AntDB accepts it at login, and it opens no door
			continue
		}
		if shown, ok := conf.Shown(name); ok {
			name = shown
		}
		keep = append(keep, "-c", name+"="+value)
	}
	return settings, strings.Join(keep, " ")
}

// statementTimeout is the one in force from the first statement on.
func statementTimeout(params map[string]string) time.Duration {
	settings, _ := options(params)
	v := settings["statement_timeout"]
	if v == "" {
		v = params["statement_timeout"]
	}
	ms, err := conf.Param{Name: "statement_timeout", Type: "integer", Unit: "ms", Max: 1<<31 - 1}.Check(v)
	if err != nil {
		return 0
	}
	d, _ := time.ParseDuration(ms + "ms")
	return d
}

// open logs the visitor into the server behind the front.
func (s *Server) open(v *visitor) (*wire.Conn, *wire.Error) {
	child, err := s.dialChild()
	if err != nil {
		return nil, err
	}
	p := maps.Clone(v.params)
	delete(p, peerKey)
	_, p["options"] = options(p)
	if v.params[peerKey] != "" {
		// Coordinators have checked privileges; a view's owner or a definer's function may read what the client may not.
		p["user"], p["database"] = Superuser, v.client().Database
	} else if s.Role == Datanode && !s.Restore && replicates(p) == "" {
		p["options"] += " -c default_transaction_read_only=on"
	}
	if p["options"] == "" {
		delete(p, "options")
	}
	if child.SendStartup(wire.Protocol3, wire.EncodeParams(p)) != nil {
		return nil, wire.Fatalf("57P03", "the database system is starting up")
	}
	m, ioErr := child.Read()
	switch {
	case ioErr != nil:
		return nil, wire.Fatalf("57P03", "the database system is starting up")
	case m.Type == 'E':
		return nil, wire.DecodeError(m.Body)
	case m.Type != 'R':
		return nil, wire.Fatalf("08P01", "unexpected message %q from the server at login", m.Type)
	}
	if v.Write(m) != nil {
		return nil, wire.Fatalf("08006", "connection lost")
	}
	return child, nil
}

// relayRaw copies both ways until one side ends: replication is PostgreSQL's own business.
func relayRaw(client, child *wire.Conn) {
	if client.Flush() != nil {
		return
	}
	done := make(chan struct{}, 2)
	for _, d := range [][2]*wire.Conn{{client, child}, {child, client}} {
		go func() {
			_, _ = io.Copy(d[0].Conn, d[1].Raw())
			done <- struct{}{}
		}()
	}
	<-done
	_, _ = client.Close(), child.Close()
	<-done
}

// noEntry is pg_hba.conf's refusal.
func noEntry(c hba.Client, rejected bool) *wire.Error {
	what := "no pg_hba.conf entry for"
	if rejected {
		what = "pg_hba.conf rejects connection for"
	}
	if c.Replication {
		what = strings.Replace(what, "connection", "replication connection", 1)
		c.Database = "replication"
	}
	enc := "no encryption"
	if c.TLS {
		enc = "SSL encryption"
	}
	host := fmt.Sprintf("host %q", c.Addr.Unmap())
	if c.Local {
		host = `host "[local]"`
	}
	host = strings.ReplaceAll(host, `\`, "")
	if c.Replication {
		return wire.Fatalf("28000", "%s %s, user %q, %s", what, host, c.User, enc)
	}
	return wire.Fatalf("28000", "%s %s, user %q, database %q, %s", what, host, c.User, c.Database, enc)
}
