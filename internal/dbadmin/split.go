// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/antdb-operator/antdb-operator/internal/division"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// SplitApplication is the application_name of sessions that divide datanodes: whoever finds the cluster paused finds it by
// this name, and ends the pause by ending the session.
const SplitApplication = "antdb-split"

// Splitter is a session on gc that divides datanodes.
type Splitter struct{ session *Session }

// OpenSplitter connects to a database. What limits a statement is its context.
func (s Server) OpenSplitter(ctx context.Context, database string) (*Splitter, error) {
	session, err := s.open(ctx, database, map[string]string{
		"application_name": SplitApplication, "options": "-c force_parallel_mode=off",
	})
	if err != nil {
		return nil, err
	}
	return &Splitter{session}, nil
}

// Close ends the session, and with it a pause and a transaction that it had begun.
func (s *Splitter) Close() { s.session.Close() }

// Able tells whether the engine can divide datanodes, and how many tables are not clean since the last time.
func (s *Splitter) Able(ctx context.Context) (able bool, unclean int, err error) {
	names, err := s.session.texts(ctx, "select relname::text from pg_class where relname = 'adb_clean' and relnamespace = 'pg_catalog'::regnamespace")
	if err != nil || len(names) == 0 {
		return false, 0, err
	}
	unclean, err = s.Unclean(ctx)
	return true, unclean, err
}

// Unclean counts, over all databases, the tables of which rows lie twice.
func (s *Splitter) Unclean(ctx context.Context) (int, error) {
	var n int
	if err := s.session.conn.QueryRow(ctx, "select count(*)::int8 from adb_clean").Scan(&n); err != nil {
		return 0, fmt.Errorf("count tables that lie twice: %w", explain(err))
	}
	return n, nil
}

// UncleanDatabases are those with tables of which rows lie twice.
func (s *Splitter) UncleanDatabases(ctx context.Context) ([]string, error) {
	names, err := s.session.texts(ctx, "select distinct d.datname::text from adb_clean c join pg_database d on d.oid = c.clndb order by 1")
	if err != nil {
		return nil, fmt.Errorf("list databases that lie twice: %w", err)
	}
	return names, nil
}

// Tablespaces are those that users made.
func (s *Splitter) Tablespaces(ctx context.Context) ([]string, error) {
	names, err := s.session.texts(ctx, "select spcname::text from pg_tablespace where spcname not in ('pg_default', 'pg_global') order by 1")
	if err != nil {
		return nil, fmt.Errorf("list tablespaces: %w", err)
	}
	return names, nil
}

// Databases lists all, without their tables.
func (s *Splitter) Databases(ctx context.Context) ([]division.Database, error) {
	type row struct {
		Name             string
		Template, Closed bool
	}
	rows, err := collect[row](ctx, s.session, "select datname::text, datistemplate, not datallowconn from pg_database order by 1")
	if err != nil {
		return nil, fmt.Errorf("list databases: %w", err)
	}
	all := make([]division.Database, 0, len(rows))
	for _, r := range rows {
		all = append(all, division.Database{Name: r.Name, Template: r.Template, Closed: r.Closed})
	}
	return all, nil
}

// Tables reads where the tables of the session's database lie.
func (s *Splitter) Tables(ctx context.Context) ([]division.Table, error) {
	type row struct {
		Schema, Name, Locator string
		Unlogged              bool
		Nodes                 string
	}
	rows, err := collect[row](ctx, s.session, `
select n.nspname::text, c.relname::text, x.pclocatortype::text, c.relpersistence = 'u',
 coalesce((select string_agg(p.node_name::text, ',') from pgxc_node p where p.oid = any(x.nodeoids::oid[])), '')
from pgxc_class x join pg_class c on c.oid = x.pcrelid join pg_namespace n on n.oid = c.relnamespace order by 1, 2`)
	if err != nil {
		return nil, fmt.Errorf("read tables: %w", err)
	}
	all := make([]division.Table, 0, len(rows))
	for _, r := range rows {
		all = append(all, division.Table{Schema: r.Schema, Name: r.Name, Locator: r.Locator, Unlogged: r.Unlogged, Nodes: split(r.Nodes)})
	}
	return all, nil
}

// Sizes are the bytes of every database on a datanode.
func (s *Splitter) Sizes(ctx context.Context, datanode string) (map[string]int64, error) {
	type row struct {
		Name  string
		Bytes int64
	}
	rows, err := collect[row](ctx, s.session, topology.On(datanode, "select datname::text, pg_database_size(oid)::int8 from pg_database"))
	if err != nil {
		return nil, fmt.Errorf("measure databases on %s: %w", datanode, err)
	}
	sizes := map[string]int64{}
	for _, r := range rows {
		sizes[r.Name] = r.Bytes
	}
	return sizes, nil
}

// workers counts the background workers of a server, too many rather than too few.
const workers = `select current_setting('max_worker_processes')::int8, (select count(*)::int8 from pg_stat_activity
where backend_type not in ('client backend', 'walsender', 'autovacuum launcher', 'autovacuum worker', 'background writer',
 'checkpointer', 'startup', 'walwriter', 'walreceiver'))`

// Workers tells how many background workers a node may have and has; an empty name is gc itself.
func (s *Splitter) Workers(ctx context.Context, node string) (limit, busy int, err error) {
	if err := s.session.conn.QueryRow(ctx, on(node, workers)).Scan(&limit, &busy); err != nil {
		return 0, 0, fmt.Errorf("count workers of %s: %w", node, explain(err))
	}
	return limit, busy, nil
}

// Feeding tells how many more walsenders and replication slots a datanode can have.
func (s *Splitter) Feeding(ctx context.Context, datanode string) (senders, slots int, err error) {
	const free = `select current_setting('max_wal_senders')::int8 - (select count(*) from pg_stat_replication),
 current_setting('max_replication_slots')::int8 - (select count(*) from pg_replication_slots)`
	if err := s.session.conn.QueryRow(ctx, topology.On(datanode, free)).Scan(&senders, &slots); err != nil {
		return 0, 0, fmt.Errorf("look how many copies %s can feed: %w", datanode, explain(err))
	}
	return senders, slots, nil
}

func on(node, query string) string {
	if node == "" {
		return query
	}
	return topology.On(node, query)
}

// Nodes are the names in gc's catalog.
func (s *Splitter) Nodes(ctx context.Context) ([]string, error) {
	rows, err := s.session.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(rows))
	for _, r := range rows {
		names = append(names, r.Name)
	}
	return names, nil
}

// Backend is the number of the process that serves this session on another node.
func (s *Splitter) Backend(ctx context.Context, node string) (pid int, err error) {
	return s.session.Backend(ctx, node)
}

// Begin begins a transaction: a session inside one is not held back by a pause that begins later.
func (s *Splitter) Begin(ctx context.Context) error { return s.session.Exec(ctx, "BEGIN") }

// Rollback ends a transaction without a trace.
func (s *Splitter) Rollback(ctx context.Context) error { return s.session.Exec(ctx, "ROLLBACK") }

// Commit ends a transaction. Its error does not say that nothing was committed.
func (s *Splitter) Commit(ctx context.Context) error { return s.session.Commit(ctx) }

// Pause holds all other statements of the cluster back, until Unpause or the end of the session.
func (s *Splitter) Pause(ctx context.Context) error {
	if err := s.session.Exec(ctx, "SELECT pg_pause_cluster()"); err != nil {
		return fmt.Errorf("pause cluster: %w", err)
	}
	return nil
}

// Unpause lets them go on.
func (s *Splitter) Unpause(ctx context.Context) error {
	if err := s.session.Exec(ctx, "SELECT pg_unpause_cluster()"); err != nil {
		return fmt.Errorf("end pause of the cluster: %w", err)
	}
	return nil
}

// busy describes the transactions of others on a server. What waits for the end of a pause has begun none.
const busy = `select format('transaction of %s in %s (%s, process %s, for %s s)', a.usename, a.datname, a.application_name, a.pid,
 extract(epoch from clock_timestamp() - a.xact_start)::int8)
from pg_stat_activity a
where a.backend_type in ('client backend', 'parallel worker') and a.xact_start is not null and a.pid <> pg_backend_pid()
 and a.application_name not in ('antdb-split', 'antdb-rescue')
union all select format('prepared transaction %s in %s', gid, database) from pg_prepared_xacts`

// Busy tells of transactions that are under way on a node; an empty name is gc itself.
func (s *Splitter) Busy(ctx context.Context, node string) ([]string, error) {
	found, err := s.session.texts(ctx, on(node, busy))
	if err != nil {
		return nil, fmt.Errorf("look for transactions on %s: %w", node, err)
	}
	return found, nil
}

// Behind tells by how many bytes of its log a copy is behind its source; following is false while it does not stream.
func (s *Splitter) Behind(ctx context.Context, source, copied string) (lag int64, following bool, err error) {
	lags, err := s.session.texts(ctx, topology.On(source, "select (pg_current_wal_lsn() - replay_lsn)::int8::text from pg_stat_replication"+
		" where state = 'streaming' and replay_lsn is not null and application_name = "+topology.Literal(copied)))
	if err != nil || len(lags) != 1 {
		return 0, false, err
	}
	lag, err = strconv.ParseInt(lags[0], 10, 64)
	return lag, err == nil, err
}

// Mark writes a restore point into the log of a datanode. Copies that wait for it become primaries there.
func (s *Splitter) Mark(ctx context.Context, source, name string) error {
	if _, err := s.session.texts(ctx, topology.On(source, "select pg_create_restore_point("+topology.Literal(name)+")::text")); err != nil {
		return fmt.Errorf("mark the log of %s: %w", source, err)
	}
	return nil
}

// Register makes the row of a new datanode on gc, within the transaction.
func (s *Splitter) Register(ctx context.Context, n topology.Node) error {
	return s.session.Exec(ctx, topology.Create(n))
}

// Primary tells whether a datanode that gc knows has become a primary.
func (s *Splitter) Primary(ctx context.Context, datanode string) (bool, error) {
	answers, err := s.session.texts(ctx, topology.On(datanode, "select pg_is_in_recovery()::text"))
	if err != nil {
		return false, fmt.Errorf("ask %s whether it follows: %w", datanode, err)
	}
	return slices.Equal(answers, []string{"false"}), nil
}

// Divide registers the new datanodes on the coordinators and on themselves, and divides all tables: all in the transaction
// that gc's own rows were made in.
func (s *Splitter) Divide(ctx context.Context, pairs []instanceapi.Pair, coordinators []string) error {
	copies := map[string][]string{}
	var statements []string
	for _, p := range pairs {
		copies[p.Source] = append(copies[p.Source], p.Target.Name)
		statements = append(statements, topology.Create(p.Target, append(slices.Clone(coordinators), p.Target.Name)...))
	}
	// Whoever finishes two-phase transactions after a crash must know the new nodes before there is one that they are in.
	statements = append(statements, topology.ReloadPool)
	for _, name := range coordinators {
		statements = append(statements, topology.On(name, topology.ReloadPool))
	}
	for _, sql := range append(statements, topology.Divide(copies)) {
		if err := s.session.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// Clean removes the rows of the session's database that lie twice.
func (s *Splitter) Clean(ctx context.Context) error {
	if err := s.session.Exec(ctx, topology.CleanDivided); err != nil {
		return fmt.Errorf("%s: %w", topology.CleanDivided, err)
	}
	return nil
}

// Undecided lists the two-phase transactions that gc has not finished.
func (s *Splitter) Undecided(ctx context.Context) ([]string, error) { return s.session.Undecided(ctx) }
