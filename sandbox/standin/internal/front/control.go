// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

var errShutdown = errors.New("the database system is shutting down")

// control is the front's own superuser connection to the server behind it. It is opened when needed.
type control struct {
	socket string

	mu     sync.Mutex
	conn   *pgconn.PgConn
	closed bool
}

// connect opens a superuser connection to one database of the server on a private socket.
func connect(ctx context.Context, socket, database string) (*pgconn.PgConn, error) {
	port := strings.TrimPrefix(filepath.Ext(socket), ".")
	return pgconn.Connect(ctx, fmt.Sprintf("host='%s' port=%s user=%s dbname='%s' sslmode=disable application_name=antdb-standin",
		filepath.Dir(socket), port, Superuser, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database)))
}

// rows runs one statement and returns its rows as text.
func (c *control) rows(ctx context.Context, sql string, args ...string) ([][]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errShutdown
	}
	if c.conn == nil || c.conn.IsClosed() {
		conn, err := connect(ctx, c.socket, Superuser)
		if err != nil {
			return nil, fmt.Errorf("connect to own server: %w", err)
		}
		c.conn = conn
	}
	out, err := query(ctx, c.conn, sql, args...)
	var pgErr *pgconn.PgError
	if err != nil && !errors.As(err, &pgErr) {
		_ = c.conn.Close(ctx)
	}
	return out, err
}

func query(ctx context.Context, conn *pgconn.PgConn, sql string, args ...string) ([][]string, error) {
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	res := conn.ExecParams(ctx, sql, params, nil, nil, nil).Read()
	if res.Err != nil {
		return nil, res.Err
	}
	out := make([][]string, len(res.Rows))
	for i, r := range res.Rows {
		for _, v := range r {
			out[i] = append(out[i], string(v))
		}
	}
	return out, nil
}

// close ends the connection for good.
func (c *control) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		_ = c.conn.Close(context.Background())
	}
}
