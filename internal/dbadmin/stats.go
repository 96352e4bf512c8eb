// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Position is where a server is in its write-ahead log.
type Position struct {
	LSN      string
	Bytes    int64
	Timeline int64
}

const position = `
select l::text, (l - '0/0'::pg_lsn)::int8, (select timeline_id from pg_control_checkpoint())::int8
from (select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as l) p`

// Position reads the present position.
func (s *Session) Position(ctx context.Context) (Position, error) {
	var p Position
	if err := s.conn.QueryRow(ctx, position).Scan(&p.LSN, &p.Bytes, &p.Timeline); err != nil {
		return Position{}, fmt.Errorf("read position in the write-ahead log: %w", explain(err))
	}
	return p, nil
}

// Database is what is counted of one database.
type Database struct {
	Name               string
	Commits, Rollbacks int64
	Size               int64
}

// Numbers are what is counted of a server.
type Numbers struct {
	Position  Position
	Databases []Database
	// Connections by their state.
	Connections map[string]int64
	Prepared    int64
}

// Numbers counts. On a coordinator the engine adds the size of a database up over all datanodes, which costs
// connections and fails while one is down: the size is asked for where the rows are.
func (s *Session) Numbers(ctx context.Context, sizes bool) (Numbers, error) {
	var n Numbers
	var err error
	if n.Position, err = s.Position(ctx); err != nil {
		return Numbers{}, err
	}
	size := "0::int8"
	if sizes {
		size = "pg_database_size(datid)::int8"
	}
	n.Databases, err = collect[Database](ctx, s, "select datname::text, xact_commit::int8, xact_rollback::int8, "+size+
		" from pg_stat_database where datname is not null order by 1")
	if err != nil {
		return Numbers{}, fmt.Errorf("count transactions: %w", err)
	}
	if n.Connections, err = s.sessions(ctx); err != nil {
		return Numbers{}, err
	}
	if err := s.conn.QueryRow(ctx, "select count(*)::int8 from pg_prepared_xacts").Scan(&n.Prepared); err != nil {
		return Numbers{}, fmt.Errorf("count prepared transactions: %w", explain(err))
	}
	return n, nil
}

func collect[T any](ctx context.Context, s *Session, sql string) ([]T, error) {
	rows, err := s.conn.Query(ctx, sql)
	if err != nil {
		return nil, explain(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		return nil, explain(err)
	}
	return all, nil
}
