// SPDX-License-Identifier: Apache-2.0

// Package dbadmin runs SQL on the server next door, over its unix socket. It is the only place that opens database
// connections.
//
// It knows statements and what the server answers. It decides nothing: which rows a catalog shall hold comes from
// package topology, when a statement may run from package instance.
package dbadmin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// Application is the application_name of every connection.
const Application = "antdb-instance"

// Maintenance is the database that every server has.
const Maintenance = antdb.Superuser

// Server is where connections go.
type Server struct {
	// Sockets is the folder of the unix socket.
	Sockets string
	Port    uint16
}

// Session is one connection.
type Session struct{ conn *pgx.Conn }

// Open connects to a database. Every statement ends after timeout by the server's own doing, as long as the server
// listens to it, and with ctx by ours. The limit is given with the connection: setting it by a statement would wait
// for the very thing that it shall not wait for.
func (s Server) Open(ctx context.Context, database string, timeout time.Duration) (*Session, error) {
	return s.open(ctx, database, map[string]string{
		"options": "-c statement_timeout=" + strconv.FormatInt(timeout.Milliseconds(), 10),
	})
}

func (s Server) open(ctx context.Context, database string, parameters map[string]string) (*Session, error) {
	conf, err := pgx.ParseConfig("sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("connect to database %s: %w", database, err)
	}
	conf.Host, conf.Port, conf.User, conf.Database = s.Sockets, s.Port, antdb.Superuser, database
	conf.Password, conf.Fallbacks, conf.ConnectTimeout = "", nil, 0
	conf.RuntimeParams = map[string]string{"application_name": Application, "client_encoding": "UTF8"}
	maps.Copy(conf.RuntimeParams, parameters)
	// Plain statements: nothing is prepared, so nothing depends on what a pooled backend remembers.
	conf.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("connect to database %s: %w", database, err)
	}
	return &Session{conn}, nil
}

// goodbye is how long a connection may take to end in order.
const goodbye = 200 * time.Millisecond

// Close ends the connection.
func (s *Session) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = s.conn.Close(ctx) // a connection that does not end in order ends anyway
}

// Usable tells whether the server still answers in a session that is in no transaction.
func (s *Session) Usable(ctx context.Context) bool {
	return s.conn.PgConn().TxStatus() == 'I' && s.conn.Ping(ctx) == nil
}

// Exec runs one statement, or several as one, without looking at rows.
func (s *Session) Exec(ctx context.Context, sql string) error {
	if _, err := s.conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return explain(err)
	}
	return nil
}

// explain adds to the server's message what it says beside it.
func explain(err error) error {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return err
	}
	text := refusal.Message
	if refusal.Detail != "" {
		text += ": " + refusal.Detail
	}
	if refusal.Hint != "" {
		text += " (" + refusal.Hint + ")"
	}
	return &ServerError{Code: refusal.Code, text: text}
}

// ServerError is what the server answered instead of a result.
type ServerError struct {
	// Code is the SQLSTATE.
	Code string
	text string
}

func (e *ServerError) Error() string { return e.text + " (SQLSTATE " + e.Code + ")" }

// texts reads a result of one text column.
func (s *Session) texts(ctx context.Context, sql string, args ...any) ([]string, error) {
	rows, err := s.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, explain(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, explain(err)
	}
	return values, nil
}

// NewServerError is an answer of a server, for those who judge answers.
func NewServerError(code, text string) *ServerError { return &ServerError{Code: code, text: text} }
