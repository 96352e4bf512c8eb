// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// code is the SQLSTATE of an error.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return errText(err)
}

func do(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestTheBackupLockRefusesDDLOnEveryCoordinatorOfItsDatabase(t *testing.T) {
	c := whole
	c.drop(t, "locked, later")
	t.Cleanup(func() { c.sql(t, "gc", "drop database other") })
	c.sql(t, "gc", "create table locked (a int)", "create database other")
	holder := c.conn(t, "gc")
	do(t, holder, "select pgxc_lock_for_backup()")
	if got := c.sql(t, "gc", "select mode, objsubid, database = (select oid from pg_database where datname = 'postgres') from pg_locks where locktype = 'advisory' and classid = 65535"); got != "ExclusiveLock|2|t" {
		t.Errorf("pg_locks on gc: %q", got)
	}
	for _, node := range []string{"gc", "cn1", "cn2"} {
		conn := c.conn(t, node)
		do(t, conn, "create temp table mine (a int)")
		for sql, tag := range map[string]string{
			"create table later (a int)": "CREATE TABLE", "alter table locked add b int": "ALTER TABLE", "create unique index on locked (a)": "CREATE INDEX",
			"create user nobody": "CREATE ROLE", "alter system set work_mem = '5MB'": "ALTER SYSTEM", "drop table locked": "DROP TABLE",
			"create table later as select 1 as a": "CREATE TABLE AS", "select 1 as a into later": "CREATE TABLE", "drop table mine": "DROP TABLE", "declare x cursor with hold for select 1": "DECLARE CURSOR",
			"grant select on locked to public": "GRANT", "create or replace view v as select 1": "CREATE VIEW", "create database more": "CREATE DATABASE",
		} {
			_, err := conn.Exec(t.Context(), sql)
			if code(err) != "25006" || !strings.Contains(err.Error(), "cannot execute "+tag+" in a locked cluster") {
				t.Errorf("%s on %s: %v", sql, node, err)
			}
		}
		for _, sql := range []string{
			"insert into locked values (1)", "truncate locked", "vacuum locked", "clean connection to all for database other",
			"create node n with (type='datanode', host='h', port=1)", "alter node n with (type='datanode', port=2)", "drop node n", "select pgxc_pool_reload()",
		} {
			do(t, conn, sql)
		}
	}
	if out, err := c.tryIn("cn1", "other", "create table free (a int)"); err != nil {
		t.Errorf("DDL in a database that is not locked: %s", out)
	}
	if err := c.ask(t.Context(), "cn1", "", "select pgxc_lock_for_backup()"); code(err) != "55P03" {
		t.Errorf("a second lock: %v", err)
	}
	if err := holder.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the lock ends with its session", func() (bool, string) {
		out, err := c.try("cn2", "create table if not exists later (a int)")
		return err == nil, out
	})
}

func TestTheBackupLockIsRefusedWhileDDLIsUncommittedOrACoordinatorIsDown(t *testing.T) {
	c := whole
	c.drop(t, "pending")
	ddl := c.conn(t, "cn1")
	do(t, ddl, "begin")
	do(t, ddl, "create table pending (a int)")
	if err := c.ask(t.Context(), "gc", "", "select pgxc_lock_for_backup()"); code(err) != "55P03" {
		t.Errorf("lock beside uncommitted DDL: %v", err)
	}
	do(t, ddl, "rollback")
	c.stop(t, "cn2", 2)
	c.refused(t, "gc", unreachable, "select pgxc_lock_for_backup()")
	c.refused(t, "gc", unreachable, "select pg_pause_cluster()")
	c.start(t, "cn2")
	c.serves(t)
	c.sql(t, "gc", "select pgxc_lock_for_backup()")
	c.serves(t)
}

func TestAPausedClusterHoldsStatementsBackUntilTheSessionEnds(t *testing.T) {
	c := whole
	c.drop(t, "paused")
	c.sql(t, "gc", "create table paused (a int)", "insert into paused select generate_series(1, 100)")
	open := c.conn(t, "cn1")
	do(t, open, "begin")
	do(t, open, "insert into paused values (101)")
	flying := make(chan error, 1)
	go func() { flying <- c.ask(context.Background(), "cn2", "", "select pg_sleep(3)") }()
	time.Sleep(200 * time.Millisecond)
	pauser := c.conn(t, "gc")
	do(t, pauser, "select pg_pause_cluster()")
	select {
	case <-flying:
		t.Error("the pause waits for statements in flight")
	default:
	}
	for _, node := range names[:3] {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		if err := c.ask(ctx, node, "&options=-c%20statement_timeout%3D100ms", "select 1"); err == nil || ctx.Err() == nil {
			t.Errorf("%s answers in a paused cluster: %v", node, err)
		}
		cancel()
	}
	c.sql(t, "dn1", "select 1")
	do(t, open, "insert into paused values (102)") // a transaction that had begun goes on
	do(t, open, "commit")
	do(t, pauser, "create index on paused (a)")
	do(t, pauser, "select pg_pause_cluster()")
	waiting := make(chan error, 1)
	go func() { waiting <- c.ask(context.Background(), "cn2", "", "insert into paused values (103)") }()
	time.Sleep(200 * time.Millisecond)
	do(t, pauser, "select pg_unpause_cluster()")
	if err := <-waiting; err != nil {
		t.Errorf("the statement that waited: %v", err)
	}
	if got := c.sql(t, "cn1", "select count(*) from paused"); got != "103" {
		t.Errorf("%s rows", got)
	}
	do(t, pauser, "select pg_pause_cluster()")
	if err := pauser.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, node := range names[:3] {
		if err := c.ask(t.Context(), node, "", "select 1"); err != nil {
			t.Errorf("%s after the end of the pausing session: %v", node, err)
		}
	}
	c.serves(t)
}
