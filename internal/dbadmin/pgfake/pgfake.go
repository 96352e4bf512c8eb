// SPDX-License-Identifier: Apache-2.0

// Package pgfake is a server that speaks the wire protocol of PostgreSQL and answers what a test tells it to. Only
// tests import it.
//
// It knows messages, sessions and the state of a transaction; it does not know SQL.
package pgfake

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Column is a column of a result.
type Column struct {
	Name string
	oid  uint32
}

// Object identifiers of the types that columns may have.
const (
	oidBool = 16
	oidInt8 = 20
	oidText = 25
)

// Text is a column of text.
func Text(name string) Column { return Column{name, oidText} }

// Int is a column of whole numbers.
func Int(name string) Column { return Column{name, oidInt8} }

// Bool is a column of truth values, written t and f.
func Bool(name string) Column { return Column{name, oidBool} }

// Reply is the answer to one statement.
type Reply struct {
	Columns []Column
	Rows    [][]string
	// Code and Message refuse the statement.
	Code, Message string
	// Wait holds the answer back until it is closed.
	Wait <-chan struct{}
	// HangUp ends the session in place of an answer.
	HangUp bool
}

// Refuse is a reply with an error.
func Refuse(code, message string) Reply { return Reply{Code: code, Message: message} }

// Session is one connection, as its client began it.
type Session struct {
	Parameters map[string]string
	status     byte
}

// Handler answers a statement.
type Handler func(s *Session, sql string) Reply

// Port is where Start listens.
const Port = 5432

// Start answers on the unix socket of Port in a folder of its own, until stop is called or the test ends. After stop nothing
// is answered any more.
func Start(t testing.TB, answer Handler) (folder string, stop func()) {
	t.Helper()
	folder = t.TempDir()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(folder, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); Serve(l, answer) }()
	stop = func() { _ = l.Close(); <-done }
	t.Cleanup(stop)
	return folder, stop
}

// Serve answers on a listener until that is closed, and then waits for its sessions, which end with it.
func Serve(l net.Listener, answer Handler) {
	var sessions sync.WaitGroup
	defer sessions.Wait()
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		for c := range open {
			_ = c.Close()
		}
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		mu.Lock()
		open[conn] = true
		mu.Unlock()
		sessions.Go(func() {
			_ = serveSession(conn, answer)
			_ = conn.Close()
			mu.Lock()
			defer mu.Unlock()
			delete(open, conn)
		})
	}
}

func serveSession(conn net.Conn, answer Handler) error {
	b := pgproto3.NewBackend(conn, conn)
	first, err := b.ReceiveStartupMessage()
	if err != nil {
		return err
	}
	startup, ok := first.(*pgproto3.StartupMessage)
	if !ok { // a request to cancel, which is never heeded
		return errors.New("no startup")
	}
	s := &Session{Parameters: startup.Parameters, status: 'I'}
	b.Send(&pgproto3.AuthenticationOk{})
	for name, value := range map[string]string{"standard_conforming_strings": "on", "client_encoding": "UTF8", "server_version": "11.10"} {
		b.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: s.status})
	if err := b.Flush(); err != nil {
		return err
	}
	for {
		message, err := b.Receive()
		if err != nil {
			return err
		}
		query, ok := message.(*pgproto3.Query)
		if !ok {
			return nil
		}
		if err := s.reply(b, query.String, answer); err != nil {
			return err
		}
	}
}

func (s *Session) reply(b *pgproto3.Backend, sql string, answer Handler) error {
	r := Refuse("25P02", "current transaction is aborted")
	word, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(sql)), " ")
	ends := word == "ROLLBACK" || word == "COMMIT"
	if s.status != 'E' || ends {
		r = answer(s, sql)
	}
	if r.Wait != nil {
		<-r.Wait
	}
	switch {
	case r.HangUp:
		return errors.New("hang up")
	case r.Code != "":
		if s.status == 'T' {
			s.status = 'E'
		}
		b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: r.Code, Message: r.Message})
	default:
		s.follow(word)
		if len(r.Columns) > 0 {
			sendRows(b, r)
		}
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("OK")})
	}
	b.Send(&pgproto3.ReadyForQuery{TxStatus: s.status})
	return b.Flush()
}

// follow keeps track of whether the session is inside a transaction.
func (s *Session) follow(word string) {
	switch word {
	case "BEGIN":
		s.status = 'T'
	case "ROLLBACK", "COMMIT":
		s.status = 'I'
	}
}

// InTransaction tells whether the session is inside a transaction.
func (s *Session) InTransaction() bool { return s.status != 'I' }

func sendRows(b *pgproto3.Backend, r Reply) {
	var fields []pgproto3.FieldDescription
	for _, c := range r.Columns {
		fields = append(fields, pgproto3.FieldDescription{Name: []byte(c.Name), DataTypeOID: c.oid, DataTypeSize: -1, TypeModifier: -1})
	}
	b.Send(&pgproto3.RowDescription{Fields: fields})
	for _, row := range r.Rows {
		var values [][]byte
		for _, v := range row {
			values = append(values, []byte(v))
		}
		b.Send(&pgproto3.DataRow{Values: values})
	}
}
