// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
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
