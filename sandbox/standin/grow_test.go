// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// nodeRow is the statement that makes a node known.
func (c *cluster) nodeRow(node, kind string) string {
	return fmt.Sprintf("create node %s with (type='%s', host='127.0.0.1', port=%d)", node, kind, c.port[node])
}

// restore runs a server in restoremode, feeds it a script and stops it.
func (c *cluster) restore(t *testing.T, node, script string) {
	t.Helper()
	if err := c.launchAs(node, "--restoremode"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(bin, "psql"), "-XAtq", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port[node]), "-U", "postgres",
		"-d", "postgres", "-f", script).CombinedOutput()
	if err != nil {
		t.Errorf("load: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "ERROR") && !strings.Contains(line, "already exists") {
			t.Error(line)
		}
	}
	c.stop(t, node, syscall.SIGINT)
}

func TestADatanodeIsAddedFilledEmptiedAndRemoved(t *testing.T) {
	c := whole
	const dn4 = "dn4"
	t.Cleanup(func() { c.sql(t, "gc", "drop database second", "drop role teller") })
	c.drop(t, "mc, mf, mh, mm, mn, mr, mp, ml, me cascade")
	for _, sql := range movable {
		c.sql(t, "cn1", sql)
	}
	c.sql(t, "cn1", "create role teller login password 'x'", "create database second", "grant select on mh to teller", "comment on table mh is 'known'",
		"alter table mm owner to teller")
	if out, err := c.tryIn("cn2", "second", "create table far (id serial primary key, b text)", "insert into far (b) select 'x' from generate_series(1, 100)"); err != nil {
		t.Fatal(out)
	}
	want := c.sums(t, "cn1")
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	c.port[dn4] = port
	if err := c.create(dn4, dn4); err != nil {
		t.Fatal(err)
	}
	lock := c.conn(t, "gc")
	do(t, lock, "select pgxc_lock_for_backup()")
	script := filepath.Join(c.dir, "run", "schema.sql")
	if _, err := run("pg_dumpall", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port["dn1"]), "-U", "postgres", "-s", "--include-nodes", "--dump-nodes",
		"--dump-adb_slot", "-f", script); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(script)
	c.restore(t, dn4, script)
	if err := c.launchAs(dn4, "--datanode"); err != nil {
		t.Fatal(err)
	}
	for _, node := range names[:3] {
		c.sql(t, node, c.nodeRow(dn4, "datanode"), "select pgxc_pool_reload()")
	}
	if err := lock.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.serves(t)
	if got := c.sql(t, "cn1", "create table everywhere (a int)", "insert into everywhere select generate_series(1, 400)",
		"select count(distinct xc_node_id) from everywhere"); got != "4" {
		t.Errorf("a new table is on %s datanodes", got)
	}
	c.drop(t, "everywhere")
	for _, table := range movableTables {
		c.sql(t, "gc", "alter table "+table+" add node (dn4)")
	}
	if out, err := c.tryIn("gc", "second", "alter table far add node (dn4)", "insert into far (b) values ('new')", "select count(*), count(distinct xc_node_id) from far"); err != nil || out != "101|4" {
		t.Errorf("second database: %s", out)
	}
	for _, node := range names[:3] {
		if got := c.sums(t, node); got != want {
			t.Errorf("%s: %s, want %s", node, got, want)
		}
	}
	if got := c.sql(t, dn4, "select count(*) > 0 from mh", "select tableowner from pg_tables where tablename = 'mm'", "select has_table_privilege('teller', 'mh', 'select')",
		"select count(*) from pg_constraint where conrelid = 'mc'::regclass"); got != "t\nteller\nt\n2" {
		t.Errorf("dn4: %q", got)
	}
	c.refused(t, "cn1", "duplicate key", "insert into mh (a) select a from mh where xc_node_id = (select node_id from pgxc_node where node_name = 'dn4') limit 1")
	c.refused(t, "cn2", "can't be updated", "update mh set a = -a where xc_node_id = (select node_id from pgxc_node where node_name = 'dn4')")
	if got := c.sql(t, "cn1", "select pg_total_relation_size('mh') > pg_table_size('mh') and pg_relation_size('mh') > 100000"); got != "t" {
		t.Error("sizes of a table are not those of all datanodes")
	}
	if got := c.sql(t, "cn1", "select pg_database_size('postgres') > 20000000 and pg_database_size(oid) > 20000000 from pg_database where datname = 'postgres'"); got != "t" {
		t.Error("the size of a database is not that of all datanodes")
	}
	if got := c.sql(t, "cn2", "execute direct on (dn4) 'select pg_total_relation_size(''mh'') > 0, reltuples is not null from pg_class where relname = ''mh'''"); got != "t|t" {
		t.Errorf("statistics of dn4: %s", got)
	}
	for _, db := range []string{"postgres", "second", "antdb"} {
		script, err := c.tryIn("gc", db, "select format('alter table %s delete node (dn4);', pcrelid::regclass) from pgxc_class p where (select oid from pgxc_node where node_name='dn4') "+
			"= any(nodeoids::oid[]) and not exists (select from pg_inherits where inhrelid = pcrelid)")
		if err != nil {
			t.Fatal(script)
		}
		for line := range strings.Lines(script) {
			if out, err := c.tryIn("gc", db, line); err != nil {
				t.Error(out)
			}
		}
	}
	for _, node := range names[:3] {
		c.sql(t, node, "drop node dn4", "select pgxc_pool_reload()")
	}
	c.stop(t, dn4, syscall.SIGINT)
	c.serves(t)
	for _, node := range names[:3] {
		if got := c.sums(t, node); got != want {
			t.Errorf("%s after dn4 is gone: %s, want %s", node, got, want)
		}
	}
}

// copyOf makes a data directory for a new coordinator out of a running one.
func (c *cluster) copyOf(t *testing.T, source, name string) {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	c.port[name] = port
	if out, err := run("pg_basebackup", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port[source]), "-U", "postgres", "-D", c.data(name),
		"-X", "stream", "-c", "fast", "--nodename", name); err != nil {
		t.Fatal(out)
	}
	f, err := os.OpenFile(filepath.Join(c.data(name), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "port = %d\npgxc_node_name = '%s'\n", port, name); err != nil {
		t.Fatal(err)
	}
}

// inDoubt leaves a transaction of 300 rows through cn1 prepared on dn1 and dn3 while dn2 does not answer. It returns
// what lets it go on, and where its outcome comes out.
func (c *cluster) inDoubt(t *testing.T, table string) (goOn func(), outcome <-chan error) {
	t.Helper()
	conn := c.conn(t, "cn1")
	do(t, conn, "begin")
	do(t, conn, "insert into "+table+" select generate_series(1, 300)")
	dn2 := c.process("dn2").cmd.Process
	if err := dn2.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dn2.Signal(syscall.SIGCONT) })
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "commit")
		ended <- err
	}()
	for _, dn := range []string{"dn1", "dn3"} {
		eventually(t, 5*time.Second, "prepared on "+dn, func() (bool, string) {
			got := c.sql(t, dn, "select count(*) from pg_prepared_xacts")
			return got == "1", got
		})
	}
	return func() { _ = dn2.Signal(syscall.SIGCONT) }, ended
}

func TestANaiveCopyOfACoordinatorLosesRowsThatAreInDoubt(t *testing.T) {
	c := whole
	const copied = "naive"
	c.drop(t, "doubtful")
	c.sql(t, "gc", "create table doubtful (a int)")
	goOn, outcome := c.inDoubt(t, "doubtful")
	if got := c.sql(t, "cn1", "select gid ~ '^T', (select datname from pg_database where oid = dbid), type, backend, cardinality(nodes), status from rxact_get_running()"); got != "t|postgres|p|t|3|{f,f,f}" {
		t.Errorf("rxact_get_running: %q", got)
	}
	c.refused(t, "dn1", "Can not connect to RXACT manager", "select * from rxact_get_running()")
	c.copyOf(t, "cn1", copied)
	if err := c.launchAs(copied, "--coordinator"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the copy decides what is not its own", func() (bool, string) {
		got := c.sql(t, "dn1", "select count(*) from pg_prepared_xacts")
		return got == "0", got
	})
	goOn()
	if err := <-outcome; err != nil {
		t.Errorf("the client is told %v", err)
	}
	c.stop(t, copied, syscall.SIGINT)
	c.serves(t)
	if got := c.sql(t, "cn1", "select count(*) < 300 from doubtful"); got != "t" {
		t.Error("no row is lost")
	}
	eventually(t, 5*time.Second, "nothing is in doubt", func() (bool, string) {
		got := c.sql(t, "cn1", "select count(*) from rxact_get_running()")
		return got == "0", got
	})
}

func TestACoordinatorIsAddedByACopyThatWasRecoveredApart(t *testing.T) {
	c := whole
	const cn3 = "cn3"
	c.drop(t, "doubtful, through3")
	t.Cleanup(func() { c.sql(t, "gc", "drop database third") })
	c.sql(t, "gc", "create table doubtful (a int)", "create database third")
	if out, err := c.tryIn("cn1", "third", "create table t3 (id serial primary key, b text)", "insert into t3 (b) select 'x' from generate_series(1, 100)"); err != nil {
		t.Fatal(out)
	}
	var locks []*pgx.Conn
	for _, db := range []string{"postgres", "template1", "antdb", "third"} {
		conn, err := pgx.Connect(t.Context(), strings.Replace(c.url("gc", ""), "/postgres?", "/"+db+"?", 1))
		if err != nil {
			t.Fatal(err)
		}
		do(t, conn, "select pgxc_lock_for_backup()")
		locks = append(locks, conn)
	}
	goOn, outcome := c.inDoubt(t, "doubtful")
	c.copyOf(t, "cn1", cn3)
	if err := os.RemoveAll(filepath.Join(c.data(cn3), "pg_rxlog", "rxact")); err != nil {
		t.Fatal(err)
	}
	alone := asServer(exec.Command(filepath.Join(bin, "postgres"), "--single", "--coordinator", "-D", c.data(cn3),
		"-c", "adb_check_sync_nextid=off", "postgres"))
	if out, err := alone.CombinedOutput(); err != nil {
		t.Fatalf("recover apart: %v: %s", err, out)
	}
	if err := c.launchAs(cn3, "--coordinator"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	goOn()
	if err := <-outcome; err != nil {
		t.Error(err)
	}
	for _, node := range append([]string{cn3}, names[:3]...) {
		c.sql(t, node, c.nodeRow(cn3, "coordinator"), "select pgxc_pool_reload()")
	}
	for _, conn := range locks {
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.sql(t, cn3, "select count(*) from doubtful"); got != "300" {
		t.Errorf("cn3 sees %s rows", got)
	}
	c.serves(t)
	c.sql(t, cn3, "create table through3 (id serial primary key, a int)", "insert into through3 (a) select generate_series(1, 200)")
	c.sql(t, "cn2", "alter table through3 add b text default 'b'", "insert into through3 (a) values (201)")
	if got := c.sql(t, cn3, "select count(*), count(distinct id), min(b) from through3"); got != "201|201|b" {
		t.Errorf("through cn3: %s", got)
	}
	if out, err := c.tryIn(cn3, "third", "insert into t3 (b) values ('y')", "alter table t3 add c int", "select count(*) from t3"); err != nil || out != "101" {
		t.Errorf("third database: %s", out)
	}
	for _, node := range names[:3] {
		c.sql(t, node, "drop node cn3", "select pgxc_pool_reload()")
	}
	c.stop(t, cn3, syscall.SIGINT)
	c.serves(t)
	c.checkCatalog(t)
}
