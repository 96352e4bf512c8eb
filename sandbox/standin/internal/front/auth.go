// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/hba"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/scram"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// admit carries out what pg_hba.conf says for the visitor's true address.
func (s *Server) admit(ctx context.Context, v *visitor) *wire.Error {
	c := v.client()
	if c.User == "" {
		return wire.Fatalf("28000", "no PostgreSQL user name specified in startup packet")
	}
	rule, ok := hba.Match(*s.rules.Load(), c)
	if !ok || rule.Method == "reject" {
		return noEntry(c, ok)
	}
	if v.params[peerKey] != "" && rule.Method != "trust" {
		return wire.Fatalf("28000", "fe_sendauth: no password supplied").
			WithDetail("Nodes reach each other without a password: pg_hba.conf must trust %s.", c.Addr)
	}
	switch rule.Method {
	case "trust":
		return nil
	case "peer":
		if peerUser(v.Conn) != c.User {
			return wire.Fatalf("28000", "Peer authentication failed for user %q", c.User)
		}
		return nil
	}
	verifier, err := s.verifier(ctx, c.User)
	if err != nil {
		return err
	}
	if rule.Method == "password" {
		return clearText(v.Conn, verifier, c.User)
	}
	return saslExchange(v.Conn, verifier, c.User)
}

// verifier reads a role's stored password. A role without one gets a verifier that nothing matches.
func (s *Server) verifier(ctx context.Context, role string) (scram.Verifier, *wire.Error) {
	rows, err := s.ctl.rows(ctx, `SELECT COALESCE(rolpassword, '') FROM pg_catalog.pg_authid
		WHERE rolname = $1 AND (rolvaliduntil IS NULL OR rolvaliduntil > now())`, role)
	if err != nil {
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) {
			return scram.Verifier{}, wire.Fatalf(pgErr.Code, "%s", pgErr.Message)
		}
		if errors.Is(err, errShutdown) {
			return scram.Verifier{}, wire.Fatalf("57P03", "%v", err)
		}
		return scram.Verifier{}, wire.Fatalf("57P03", "the database system is starting up")
	}
	if len(rows) == 1 && strings.HasPrefix(rows[0][0], "md5") {
		return scram.Verifier{}, wire.Fatalf("28P01", "AntDB stand-in does not do md5 passwords, and role %q has one", role).
			WithHint("Set password_encryption = 'scram-sha-256' and set the password again.")
	}
	if len(rows) == 1 && rows[0][0] != "" {
		if p, err := scram.ParseVerifier(rows[0][0]); err == nil {
			return p, nil
		}
	}
	return scram.Verifier{Iterations: 4096, Salt: []byte("no such password")}, nil
}

func mismatch(user string) *wire.Error {
	return wire.Fatalf("28P01", "password authentication failed for user %q", user)
}

func clearText(c *wire.Conn, p scram.Verifier, user string) *wire.Error {
	if c.Send(wire.Encode(&pgproto3.AuthenticationCleartextPassword{})) != nil {
		return mismatch(user)
	}
	m, err := c.Read()
	if err != nil || m.Type != 'p' {
		return mismatch(user)
	}
	if pw, _ := wire.CString(m.Body); pw == "" || !p.Matches(pw) {
		return mismatch(user)
	}
	return nil
}

func saslExchange(c *wire.Conn, p scram.Verifier, user string) *wire.Error {
	nonce := make([]byte, 18)
	_, _ = rand.Read(nonce) // never fails
	x := scram.NewExchange(p, base64.StdEncoding.EncodeToString(nonce))
	if c.Send(wire.Encode(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{scram.Mechanism}})) != nil {
		return mismatch(user)
	}
	m, err := c.Read()
	var first pgproto3.SASLInitialResponse
	if err != nil || m.Type != 'p' || first.Decode(m.Body) != nil || first.AuthMechanism != scram.Mechanism {
		return mismatch(user)
	}
	reply, err := x.First(first.Data)
	if err != nil {
		return wire.Fatalf("08P01", "%v", err)
	}
	if c.Send(wire.Encode(&pgproto3.AuthenticationSASLContinue{Data: reply})) != nil {
		return mismatch(user)
	}
	if m, err = c.Read(); err != nil || m.Type != 'p' {
		return mismatch(user)
	}
	if reply, err = x.Final(m.Body); err != nil {
		return mismatch(user)
	}
	if c.Write(wire.Encode(&pgproto3.AuthenticationSASLFinal{Data: reply})) != nil {
		return mismatch(user)
	}
	return nil
}

// peerUser is the operating system user at the other end of a Unix socket.
func peerUser(c *wire.Conn) string {
	u, ok := c.Conn.(*net.UnixConn)
	if !ok {
		return ""
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ""
	}
	name := ""
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			if known, err := user.LookupId(strconv.Itoa(int(cred.Uid))); err == nil {
				name = known.Username
			}
		}
	})
	return name
}

// writes lists the statements by which postgres_fdw changes rows.
func writes(sql string) bool {
	word, _, _ := strings.Cut(sql, " ")
	return slices.Contains([]string{"INSERT", "UPDATE", "DELETE", "TRUNCATE"}, word)
}
