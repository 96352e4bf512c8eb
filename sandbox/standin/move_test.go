// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// movable are tables of every kind, with something of everything that must survive a move, and their rows.
var movable = []string{
	"create table mh (a bigint primary key, b text not null default 'x', c numeric generated always as (a * 2) stored, d text collate \"C\")",
	"create index on mh (b)", "create table mm (a int, b text) distribute by modulo (a)", "create table mn (a int, b int[]) distribute by random",
	"create table mr (a int primary key, b text) distribute by replication",
	"create table mf (a int primary key, r int references mr, h bigint) distribute by hash (a)",
	"create table mc (h bigint references mh on delete cascade, n int, primary key (h, n)) distribute by hash (h)",
	"create table mp (a int, at date, b text, primary key (a, at, b)) partition by range (at) distribute by hash (a)",
	"create table mp1 partition of mp for values from ('2026-01-01') to ('2026-02-01')",
	"create table mp2 partition of mp for values from ('2026-02-01') to ('2026-03-01') partition by list (b)",
	"create table mp2x partition of mp2 for values in ('x')", "create table mp2d partition of mp2 default",
	"create table ml (a int, k int) partition by hash (k)", "create table ml0 partition of ml for values with (modulus 2, remainder 0)",
	"create table ml1 partition of ml for values with (modulus 2, remainder 1)", "create table me (a text)",
	"insert into mh (a, b, d) select g, 'b' || g, 'd' from generate_series(1, 3000) g", "insert into mm select g, g from generate_series(1, 500) g",
	"insert into mn select g, array[g, null] from generate_series(1, 500) g", "insert into mr select g, 'r' from generate_series(1, 50) g",
	"insert into mf select g, 1 + g % 50, g from generate_series(1, 300) g", "insert into mc select g, 1 from generate_series(1, 300) g",
	"insert into mp select g, '2026-01-01'::date + g % 59, case when g % 2 = 0 then 'x' else 'y' end from generate_series(1, 600) g",
	"insert into ml select g, g from generate_series(1, 400) g",
}

var movableTables = []string{"mh", "mm", "mn", "mr", "mf", "mc", "mp", "ml", "me"}

// sums are the rows of all tables, as one word.
func (c *cluster) sums(t *testing.T, node string) string {
	t.Helper()
	var parts []string
	for _, m := range movableTables {
		parts = append(parts, fmt.Sprintf("(select '%[1]s ' || count(*) || ' ' || coalesce(sum(hashtext(x::text)::bigint), 0) from %[1]s x)", m))
	}
	return c.sql(t, node, "select "+strings.Join(parts, " || ',' || "))
}

func TestTablesOfAllKindsMoveBetweenDatanodesWithTheirRows(t *testing.T) {
	c := whole
	c.drop(t, "mc, mf, mh, mm, mn, mr, mp, ml, me cascade")
	for _, sql := range movable {
		c.sql(t, "cn1", sql)
	}
	want := c.sums(t, "cn1")
	const on3 = "select string_agg(format('alter table %s delete node (dn3);', pcrelid::regclass), '' order by pcrelid) from pgxc_class " +
		"where (select oid from pgxc_node where node_name='dn3') = any(nodeoids::oid[])"
	script := c.sql(t, "cn2", on3)
	if n := strings.Count(script, ";"); n != 15 {
		t.Fatalf("%d tables on dn3: %s", n, script)
	}
	for _, table := range movableTables {
		c.sql(t, "gc", "alter table "+table+" delete node (dn3)")
	}
	for _, node := range names[:3] {
		if left := c.sql(t, node, on3); left != "" {
			t.Errorf("%s still has on dn3: %s", node, left)
		}
		if got := c.sums(t, node); got != want {
			t.Errorf("%s: %s, want %s", node, got, want)
		}
	}
	for _, table := range movableTables {
		if got := c.perNode(t, table); got[2] != 0 {
			t.Errorf("%s has %v rows", table, got)
		}
	}
	c.sql(t, "cn2", "insert into mh values (3001)", "delete from mh where a = 3001", "update mr set b = 'r'")
	c.refused(t, "gc", "The new distribution node is different from the parent table", "alter table mp1 add node (dn3)")
	for _, table := range movableTables {
		c.sql(t, "gc", "alter table "+table+" add node (dn3)")
	}
	for _, node := range names[:3] {
		if got := c.sums(t, node); got != want {
			t.Errorf("%s after the way back: %s, want %s", node, got, want)
		}
	}
	for _, table := range []string{"mh", "mm", "mn", "mf", "mp", "mp2x", "ml1"} {
		if got := c.perNode(t, table); got[0] == 0 || got[1] == 0 || got[2] == 0 {
			t.Errorf("%s has %v rows", table, got)
		}
	}
	c.refused(t, "cn1", "duplicate key", "insert into mh values (7)")
	c.refused(t, "cn1", "violates foreign key", "insert into mf values (9999, 51)")
	c.refused(t, "cn1", "violates foreign key", "delete from mr where a = 3")
	c.sql(t, "cn1", "delete from mh where a = 5")
	if got := c.sql(t, "gc", "select count(*) from mc where h = 5"); got != "0" {
		t.Errorf("a cascade left %s rows", got)
	}
	c.sql(t, "cn1", "alter table mh to node (dn1)", "alter table mr to node (dn1, dn2)", "create table mnew (a int)", "drop table mnew")
	if got := fmt.Sprint(c.perNode(t, "mh"), c.perNode(t, "mr")); got != "[2999 0 0] [50 50 0]" {
		t.Errorf("rows: %s", got)
	}
	for sql, want := range map[string]string{
		"alter table mh add node (dn1)":                                                       "PGXC Node dn1: object already in relation node list",
		"alter table mh delete node (dn2)":                                                    "PGXC Node dn2: object not in relation node list",
		"alter table mh delete node (dn1)":                                                    "Node list is empty: one node at least is mandatory",
		"alter table mh add node (dn9)":                                                       `PGXC Node "dn9": object not defined`,
		"alter table mh add node (cn2)":                                                       `PGXC node "cn2": not a Datanode`,
		"alter table nothing add node (dn2)":                                                  "does not exist",
		"alter table pg_class add node (dn2)":                                                 "is not a table",
		"alter table mh add node (dn2), add b":                                                "syntax error",
		"create table never (a int, r int references mh) distribute by hash (a)":              "Cannot create foreign key",
		"create table never (a int references mm (a)) distribute by replication":              "Cannot create foreign key",
		"create table never (a int references mn (a)) distribute by hash (a)":                 "Cannot create foreign key whose evaluation cannot be enforced to remote nodes",
		"create table never (a bigint references mh on delete set null, b int)":               "Cannot create foreign key",
		"create table never partition of mp for values from ('2026-01-05') to ('2026-01-06')": "would overlap",
	} {
		c.refused(t, "cn1", want, sql)
	}
}

func TestAMoveIsAllOrNothingAndWaitsNoLongerThanTold(t *testing.T) {
	c := whole
	c.drop(t, "stuck")
	c.sql(t, "cn1", "create table stuck (a int primary key)", "insert into stuck select generate_series(1, 1000)")
	c.sql(t, "cn1", "begin", "alter table stuck delete node (dn1)", "rollback")
	before := fmt.Sprint(c.perNode(t, "stuck"))
	writer := c.conn(t, "cn2")
	do(t, writer, "begin")
	do(t, writer, "insert into stuck values (1001)")
	for setting, want := range map[string]string{"lock_timeout": "55P03", "statement_timeout": "57014"} {
		conn := c.conn(t, "gc")
		do(t, conn, "set "+setting+" = '500ms'")
		took, err := timed(func() error {
			_, err := conn.Exec(t.Context(), "alter table stuck delete node (dn1)")
			return err
		})
		if code(err) != want || took > 5*time.Second {
			t.Errorf("%s: %v after %s", setting, err, took)
		}
	}
	conn := c.conn(t, "gc")
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "alter table stuck delete node (dn1)")
		ended <- err
	}()
	time.Sleep(300 * time.Millisecond)
	if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; code(err) != "57014" || !strings.Contains(err.Error(), "user request") {
		t.Errorf("a canceled move: %v", err)
	}
	do(t, writer, "rollback")
	if got := fmt.Sprint(c.perNode(t, "stuck")); got != before {
		t.Errorf("rows %s, before %s", got, before)
	}
	if got := c.sql(t, "cn2", "select count(*) from stuck", "select cardinality(nodeoids::oid[]) from pgxc_class where pcrelid = 'stuck'::regclass"); got != "1000\n3" {
		t.Errorf("after the failures: %s", got)
	}
}

func TestManyRowsMoveByCopy(t *testing.T) {
	c := whole
	c.drop(t, "many")
	c.sql(t, "cn1", "create table many (a bigint primary key, b text) to node (dn1, dn2)",
		"insert into many select g, md5(g::text) from generate_series(1, 200000) g")
	took, err := timed(func() error {
		_, err := c.try("gc", "alter table many add node (dn3)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("moved in %s", took)
	if got := c.sql(t, "cn2", "select count(*), count(distinct a) from many"); got != "200000|200000" {
		t.Errorf("rows: %s, per node %v", got, c.perNode(t, "many"))
	}
}

// TestAMoveWhoseNodeDiesIsDoneOrUndone kills the coordinator that moves, and a datanode, at several moments.
func TestAMoveWhoseNodeDiesIsDoneOrUndone(t *testing.T) {
	c := whole
	c.drop(t, "fragile")
	c.sql(t, "gc", "create table fragile (a bigint primary key, b text)", "insert into fragile select g, 'x' from generate_series(1, 100000) g")
	for i, victim := range []string{"cn1", "dn3", "cn1", "dn1"} {
		verb := "delete"
		if c.sql(t, "gc", "select cardinality(nodeoids::oid[]) from pgxc_class where pcrelid = 'fragile'::regclass") == "2" {
			verb = "add"
		}
		ended := make(chan error, 1)
		go func() { ended <- c.ask(context.Background(), "cn1", "", "alter table fragile "+verb+" node (dn3)") }()
		time.Sleep(time.Duration(100+250*i) * time.Millisecond)
		c.stop(t, victim, syscall.SIGKILL)
		c.start(t, victim)
		t.Logf("%s while %s is killed: %v", verb, victim, <-ended)
		c.serves(t)
		var seen []string
		for _, node := range names[:3] {
			seen = append(seen, c.sql(t, node, "select count(*), count(distinct a) from fragile", "select cardinality(nodeoids::oid[]) from pgxc_class where pcrelid = 'fragile'::regclass"))
		}
		if seen[0] != seen[1] || seen[1] != seen[2] || !strings.HasPrefix(seen[0], "100000|100000") {
			t.Fatalf("after the death of %s: %q", victim, seen)
		}
		eventually(t, 15*time.Second, "nothing is left in doubt", func() (bool, string) {
			left := ""
			for _, dn := range names[3:] {
				left += c.sql(t, dn, "select gid from pg_prepared_xacts")
			}
			return left == "", left
		})
	}
}
