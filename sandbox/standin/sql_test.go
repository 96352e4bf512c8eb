// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// perNode counts a table's rows on each datanode.
func (c *cluster) perNode(t *testing.T, table string) []int {
	t.Helper()
	var out []int
	for _, dn := range names[3:] {
		n, err := strconv.Atoi(c.sql(t, dn, "select count(*) from "+table))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

func TestTablesAreDistributedAsTheirClausesSay(t *testing.T) {
	c := whole
	c.drop(t, "h, m, n, r, two")
	c.sql(t, "cn1",
		"create table h (a int, b text) distribute by hash (b)", "create table m (a int) distribute by modulo (a)",
		"create table n (a int) distribute by random", "create table r (a int primary key, b text) distribute by replication",
		"create table two (a int) distribute by hash (a) to node (dn1, dn3)")
	if got := c.sql(t, "cn2", "select pcrelid::regclass, pclocatortype from pgxc_class order by pcrelid::regclass::text"); got != "h|H\nm|M\nn|N\nr|R\ntwo|H" {
		t.Errorf("pgxc_class: %q", got)
	}
	c.sql(t, "cn1", "insert into h select g, g from generate_series(1, 300) g", "insert into two select generate_series(1, 300)",
		"insert into r select g, 'x' from generate_series(1, 20) g")
	if got := c.perNode(t, "r"); fmt.Sprint(got) != "[20 20 20]" {
		t.Errorf("replicated rows: %v", got)
	}
	c.sql(t, "cn2", "update r set b = 'y' where a <= 5", "delete from r where a > 15")
	for _, dn := range names[3:] {
		if got := c.sql(t, dn, "select count(*), count(*) filter (where b = 'y') from r"); got != "15|5" {
			t.Errorf("replicated rows on %s after changes: %s", dn, got)
		}
	}
	if got := c.perNode(t, "h"); got[0] == 0 || got[1] == 0 || got[2] == 0 || got[0]+got[1]+got[2] != 300 {
		t.Errorf("hashed rows: %v", got)
	}
	if got := c.sql(t, "dn1", "select count(*) > 0 from two") + c.sql(t, "dn3", "select count(*) > 0 from two"); got != "tt" {
		t.Errorf("rows to node: %s", got)
	}
	if got := c.perNode(t, "two"); got[1] != 0 {
		t.Errorf("rows to node (dn1, dn3): %v", got)
	}
	c.refused(t, "cn1", "Unique index of partitioned table must contain the hash distribution column", "create unique index on h (a)")
	c.refused(t, "cn1", "Partition column can't be updated", "update two set a = a + 1000")
	c.sql(t, "cn1", "update two set a = a where a = 7")
	c.refused(t, "cn1", "Unique index of partitioned table must contain the hash distribution column",
		"create table never (a int, b int primary key) distribute by hash (a)")
}

func TestDDLReachesEveryNode(t *testing.T) {
	c := whole
	t.Cleanup(func() { c.sql(t, "gc", "drop schema s cascade", "drop role reader") })
	c.sql(t, "cn1", "create schema s", "create role reader login", "create table s.t (id serial primary key, a text unique, b int check (b > 0)) distribute by replication",
		"create index i on s.t (b)", "alter table s.t add column d date not null default '2026-01-01'", "create view s.v as select id, a from s.t",
		"grant usage on schema s to reader", "grant select, insert on s.t to reader", "grant select on s.v to reader",
		"comment on table s.t is 'known'", "create extension hstore schema s", "create type s.mood as enum ('good', 'bad')")
	c.sql(t, "cn2", "alter table s.t rename column b to bb", "alter table s.t rename to tt", "insert into s.tt (a, bb) values ('x', 1), ('y', 2)",
		"alter table s.tt add column m s.mood", "update s.tt set m = 'good'", "drop index s.i", "alter table s.tt owner to reader")
	if got := c.sql(t, "gc", "set role reader", "select * from s.v order by 1", "select count(*) from s.tt where m = 'good' and d = '2026-01-01'"); got != "1|x\n2|y\n2" {
		t.Errorf("gc sees %q", got)
	}
	c.refused(t, "cn1", "violates check constraint", "insert into s.tt (a, bb) values ('z', 0)")
	c.refused(t, "cn1", "duplicate key value", "insert into s.tt (a, bb) values ('x', 3)")
	if got := c.sql(t, "gc", "insert into s.tt (a, bb) values ('z', 4) returning id > 2"); got != "t" {
		t.Errorf("sequences do not go on from node to node: %s", got)
	}
	c.sql(t, "cn1", "truncate s.tt", "drop table s.tt cascade", "drop type s.mood")
	for _, n := range names {
		if got := c.sql(t, n, "select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace where nspname in ('s', 'pg_standin') and relkind in ('r', 'p', 'f')"); got != "0" {
			t.Errorf("%s keeps %s relations", n, got)
		}
	}
}

func TestDatabasesAndPasswordsAreCreatedOnEveryNode(t *testing.T) {
	c := whole
	t.Cleanup(func() { c.sql(t, "cn1", "drop database app", "drop role app") })
	c.sql(t, "cn2", "create role app login password 'one'", "create database app owner app")
	for _, n := range []string{"gc", "cn1", "cn2"} {
		conn, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://app@127.0.0.1:%d/app?sslmode=disable", c.port[n]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "create table t_"+n+" as select g from generate_series(1, 30) g"); err != nil {
			t.Error(err)
		}
		var rows int
		if err := conn.QueryRow(t.Context(), "select count(*) from t_"+n).Scan(&rows); err != nil || rows != 30 {
			t.Errorf("%d rows, %v", rows, err)
		}
		_ = conn.Close(t.Context())
	}
	c.refused(t, "cn1", "already exists", "create database app")
	c.refused(t, "cn1", "cannot run inside a transaction block", "begin", "create database never")
	for _, n := range names {
		if got := c.sql(t, n, "select count(*) from pg_database where datname in ('app', 'antdb')"); got != "2" {
			t.Errorf("%s has %s of the databases", n, got)
		}
	}
}

func TestTransactionsHoldDDLAndRowsTogether(t *testing.T) {
	c := whole
	c.drop(t, "kept, gone, made, chosen")
	c.sql(t, "cn1", "begin", "create table kept (a int)", "insert into kept select generate_series(1, 50)", "savepoint s", "create table gone (a int)",
		"insert into kept values (99)", "rollback to s", "insert into kept values (51)", "commit")
	if got := c.sql(t, "cn2", "select count(*), max(a) from kept"); got != "51|51" {
		t.Errorf("kept: %s", got)
	}
	c.refused(t, "cn2", "does not exist", "select * from gone")
	c.sql(t, "cn1", "begin", "create table gone (a int)", "insert into gone values (1)", "delete from kept", "rollback")
	c.refused(t, "cn1", "does not exist", "select * from gone")
	c.refused(t, "cn1", "division by zero", "create table gone (a int); insert into gone values (1); select 1/0")
	c.refused(t, "gc", "does not exist", "select * from gone")
	c.sql(t, "cn1", "create table made as select a, a * 2 as b from kept", "select a into chosen from made where a < 10")
	if got := c.sql(t, "cn2", "select count(*), sum(b) from made", "select count(*) from chosen"); got != "51|2652\n9" {
		t.Errorf("made and chosen: %s", got)
	}
	c.sql(t, "cn1", "create temp table mine (a int)", "insert into mine select a from kept", "alter table mine add b int", "drop table mine")
}

func TestCopyAndPgbench(t *testing.T) {
	c := whole
	c.drop(t, "copied, pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history")
	c.sql(t, "cn1", "create table copied (a int, b text default 'd')")
	conn := c.conn(t, "cn1")
	tag, err := conn.PgConn().CopyFrom(t.Context(), strings.NewReader("1\tx\n2\ty\n3\tz\n"), "copy copied from stdin")
	if err != nil || tag.String() != "COPY 3" {
		t.Fatalf("%v %v", tag, err)
	}
	if _, err := conn.PgConn().CopyFrom(t.Context(), strings.NewReader("four\n"), "copy copied (a) from stdin"); err == nil {
		t.Error("a bad row is accepted")
	}
	n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"copied"}, []string{"a"}, pgx.CopyFromRows([][]any{{int32(5)}, {int32(6)}}))
	if err != nil || n != 2 {
		t.Fatalf("%d %v", n, err)
	}
	if got := c.sql(t, "cn2", "select count(*), count(*) filter (where b = 'd') from copied"); got != "5|2" {
		t.Errorf("copied: %s", got)
	}
	for _, args := range [][]string{{"-i", "-s", "1"}, {"-n", "-S", "-t", "50", "-c", "2"}, {"-n", "-N", "-t", "20", "-c", "2"},
		{"-n", "-N", "-t", "20", "-M", "prepared"}} {
		args = append(args, "-h", "127.0.0.1", "-p", strconv.Itoa(c.port["cn1"]), "-U", "postgres", "postgres")
		out, err := exec.Command(filepath.Join(bin, "pgbench"), args...).CombinedOutput()
		if err != nil || strings.Contains(string(out), "ERROR") || strings.Contains(string(out), "WARNING") {
			t.Fatalf("pgbench %v: %v\n%s", args, err, out)
		}
	}
	if got := c.sql(t, "gc", "select count(*) from pgbench_accounts", "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)"); got != "100000\nt" {
		t.Errorf("pgbench left %s", got)
	}
}

func TestTheExtendedProtocolKnowsTheDialect(t *testing.T) {
	c := whole
	c.drop(t, "ext")
	conn := c.conn(t, "cn1")
	ask := func(sql string, args ...any) string {
		t.Helper()
		rows, err := conn.Query(t.Context(), sql, args...)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
			v, err := r.Values()
			return fmt.Sprint(v...), err
		})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return strings.Join(all, ",")
	}
	ask("create table ext (a int, b text)")
	ask("insert into ext select g, $1 from generate_series(1, $2::int) g", "x", 100)
	for _, q := range []struct{ sql, want string }{
		{"show adb_node_type", "coordinator"},
		{"select count(*) from ext e where e.xc_node_id in (select node_id from pgxc_node)", "100"},
		{"execute direct on (dn1) 'select 7 as n'", "7"},
		{"select pgxc_pool_reload()", "true"},
		{"alter node dn1 with (type='datanode', preferred=false)", ""},
	} {
		if got := ask(q.sql); got != q.want {
			t.Errorf("%s: %q", q.sql, got)
		}
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	batch := &pgx.Batch{}
	for i := range 20 {
		batch.Queue("insert into ext values ($1, 'batch')", 1000+i)
	}
	if err := tx.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "update ext set b = 'one' where a = $1", 1005); err != nil {
		t.Fatal(err)
	}
	if got := c.sql(t, "cn2", "select count(*), count(*) filter (where b = 'one') from ext"); got != "120|1" {
		t.Errorf("rows: %s", got)
	}
}

func TestNodeStatementsRefuseWhatTheEngineRefuses(t *testing.T) {
	c := whole
	for sql, want := range map[string]string{
		"drop node cn1":                                                        "PGXC Node cn1: cannot drop local node",
		"drop node nobody":                                                     "PGXC Node nobody: object not defined",
		"create node dn2 with (type='datanode')":                               "PGXC Node dn2: object already defined",
		"create node x with (host='h')":                                        "PGXC node x: Node type not specified",
		"create node x with (type='gtm_coord')":                                "type value is incorrect",
		"create node x with (type='coordinator', primary)":                     "cannot be a primary node, it has to be a Datanode",
		"create node x with (type='coordinator', preferred=true)":              "cannot be a preferred node, it has to be a Datanode",
		"create node x with (type='datanode', primary=true)":                   "two nodes cannot be primary",
		"create node x with (type='datanode', colour=red)":                     "incorrect option: colour",
		"alter node dn2 with (type='coordinator')":                             "cannot alter Datanode to Coordinator",
		"create node x with (type='datanode', host='" + long + "')":            "at most 63 bytes",
		"create node x (type='datanode')":                                      "syntax error",
		"alter table t distribute by hash (b)":                                 "AntDB stand-in does not do ALTER TABLE … DISTRIBUTE BY",
		"alter node data (dn1 to (dn4))":                                       "AntDB stand-in does not do ALTER NODE DATA",
		"create barrier 'b'":                                                   "AntDB stand-in does not do CREATE BARRIER",
		"create trigger t after insert on x for each row execute function f()": "AntDB stand-in",
		"execute direct on (dn1) 'create table x (a int)'":                     "EXECUTE DIRECT cannot execute this utility query",
	} {
		c.refused(t, "cn1", want, sql)
	}
	c.sql(t, "cn1", `create node "Big" with (type='datanode slave', host='h', port=1) `, `drop node "Big"`,
		"begin", "create node x with (type='datanode', host='h', port=1)", "rollback",
		"create node y with (type='datanode', host='h', port=1) on (cn1, cn2)", "drop node y on (cn2)", "drop node y")
	if got := c.sql(t, "cn2", "select count(*) from pgxc_node"); got != "6" {
		t.Errorf("cn2 holds %s rows", got)
	}
	c.checkCatalog(t)
}

const long = "a-host-name-that-is-longer-than-sixty-three-bytes.in-some.namespace.svc"
