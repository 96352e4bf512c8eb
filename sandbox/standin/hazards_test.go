// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const unreachable = "error message from poolmgr:reconnect three thimes , could not connect to server"

// timed runs something and says how long it took.
func timed(what func() error) (time.Duration, error) {
	from := time.Now()
	err := what()
	return time.Since(from), err
}

// ask runs one statement on a fresh connection.
func (c *cluster) ask(ctx context.Context, node, options, sql string) error {
	conn, err := pgx.Connect(ctx, c.url(node, options))
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(ctx, sql)
	return err
}

func TestDDLFailsWhileARegisteredCoordinatorIsDownAndRowsAreStillServed(t *testing.T) {
	c := whole
	c.drop(t, "served, never")
	c.sql(t, "cn1", "create table served (a int)", "insert into served select generate_series(1, 10)")
	c.stop(t, "cn2", syscall.SIGINT)
	took, err := timed(func() error {
		_, err := c.try("cn1", "create table never (a int)")
		return err
	})
	if err == nil || took < time.Second || took > 5*time.Second {
		t.Errorf("create table: %v after %s, want an error after about 2 s", err, took)
	}
	c.refused(t, "cn1", unreachable, "create table never (a int)")
	c.sql(t, "cn1", "insert into served values (11)")
	if got := c.sql(t, "gc", "select count(*) from served"); got != "11" {
		t.Errorf("rows: %s", got)
	}
	c.start(t, "cn2")
	eventually(t, 10*time.Second, "DDL works again", func() (bool, string) {
		out, err := c.try("cn1", "create table never (a int)")
		return err == nil, out
	})
}

func TestADatanodeThatIsDownFailsItsTablesAndNothingElse(t *testing.T) {
	c := whole
	c.drop(t, "spread")
	c.sql(t, "cn1", "create table spread (a int)", "insert into spread select generate_series(1, 100)")
	open := c.conn(t, "cn1")
	if _, err := open.Exec(t.Context(), "select count(*) from spread"); err != nil {
		t.Fatal(err)
	}
	c.stop(t, "dn2", syscall.SIGKILL)
	c.sql(t, "cn1", "select 1")
	c.refused(t, "cn1", unreachable, "select count(*) from spread")
	c.refused(t, "cn1", unreachable, "create table never (a int)")
	c.start(t, "dn2")
	var n int
	eventually(t, 10*time.Second, "the open session works again without reconnecting", func() (bool, string) {
		err := open.QueryRow(t.Context(), "select count(*) from spread").Scan(&n)
		return err == nil, errText(err)
	})
	if n != 100 {
		t.Errorf("%d rows", n)
	}
	c.serves(t)
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWithoutTheGTMStatementsWaitAndFailWhileLoginsWork(t *testing.T) {
	c := whole
	if err := os.WriteFile(c.extra("cn1"), []byte("snapshot_sync_waittime = 1500\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.sql(t, "cn1", "select pg_reload_conf()")
	t.Cleanup(func() {
		_ = os.Remove(c.extra("cn1"))
		c.sql(t, "cn1", "select pg_reload_conf()")
	})
	session := c.conn(t, "cn1")
	c.stop(t, "gc", syscall.SIGINT)
	gone := time.Now()
	for _, node := range []string{"cn1", "dn1"} {
		if out, err := run("pg_isready", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port[node])); err != nil {
			t.Errorf("pg_isready on %s: %s", node, out)
		}
	}
	took, err := timed(func() error { return c.ask(t.Context(), "cn1", "", "select 1") })
	if err == nil || !strings.Contains(err.Error(), "cannot connect to GTMCOORD: wait stream timeout") || took < time.Second {
		t.Errorf("cn1: %v after %s", err, took)
	}
	const limited = "&options=-c%20statement_timeout%3D700ms"
	for _, node := range []string{"cn2", "dn1"} {
		if took, err = timed(func() error { return c.ask(t.Context(), node, limited, "select 1") }); err == nil ||
			!strings.Contains(err.Error(), "statement timeout") || took > 3*time.Second {
			t.Errorf("statement_timeout on %s: %v after %s", node, err, took)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	if _, err := session.Exec(ctx, "set statement_timeout = '1ms'"); err == nil {
		t.Error("SET does not wait for the GTM")
	}
	cancel()
	c.checkCancelEndsTheWait(t)
	c.start(t, "gc")
	took, err = timed(func() error { return c.ask(t.Context(), "cn2", "", "select 1") })
	if err != nil || time.Since(gone) < time.Second || took > 6*time.Second {
		t.Errorf("first statement after the return of gc: %v after %s", err, took)
	}
	c.serves(t)
}

// checkCancelEndsTheWait wants a cancel request to end a statement that waits for the GTM.
func (c *cluster) checkCancelEndsTheWait(t *testing.T) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), c.url("cn2", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	result := make(chan error, 1)
	go func() { result <- conn.Exec(context.Background(), "select 1").Close() }()
	time.Sleep(300 * time.Millisecond)
	if err := conn.CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-result:
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "57014" {
			t.Errorf("canceled statement: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("a cancel request does not end the wait for the GTM")
	}
}

func TestARestartedGTMWaitsForEveryRegisteredNode(t *testing.T) {
	c := whole
	c.stop(t, "dn3", syscall.SIGINT)
	c.stop(t, "gc", syscall.SIGQUIT)
	c.start(t, "gc")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := c.ask(ctx, "gc", "&options=-c%20statement_timeout%3D500ms", "select 1"); err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("gc answers, or lets statement_timeout fire, while dn3 is missing: %v", err)
	}
	eventually(t, 8*time.Second, "dn1 is attached again and answers although the cluster hangs", func() (bool, string) {
		err := c.ask(t.Context(), "dn1", "&options=-c%20statement_timeout%3D500ms", "select 1")
		return err == nil, errText(err)
	})
	if err := c.ask(t.Context(), "cn1", "&options=-c%20statement_timeout%3D500ms", "select 1"); err == nil || !strings.Contains(err.Error(), "statement timeout") {
		t.Errorf("cn1 while gc waits: %v", err)
	}
	if err := c.signal("gc", syscall.SIGINT, time.Second); err == nil {
		t.Error("a fast shutdown of the waiting gc ends")
	}
	if err := c.signal("gc", syscall.SIGQUIT, 5*time.Second); err != nil {
		t.Error(err)
	}
	c.start(t, "gc")
	c.start(t, "dn3")
	c.serves(t)
}

func TestTheEscapeFromAWaitingGTMIsToDropTheMissingNodeInRestoremode(t *testing.T) {
	c := whole
	c.stop(t, "cn2", syscall.SIGINT)
	c.stop(t, "gc", syscall.SIGQUIT)
	if err := c.launchAs("gc", "--restoremode", "--coordinator"); err != nil {
		t.Fatal(err)
	}
	c.sql(t, "gc", "drop node cn2")
	c.stop(t, "gc", syscall.SIGINT)
	c.start(t, "gc")
	eventually(t, 10*time.Second, "gc answers without cn2", func() (bool, string) {
		out, err := c.try("gc", "select 1")
		return err == nil, out
	})
	c.start(t, "cn2")
	c.sql(t, "gc", "create node cn2 with (type='coordinator', host='127.0.0.1', port="+strconv.Itoa(c.port["cn2"])+")", "select pgxc_pool_reload()")
	c.serves(t)
}

func TestASecondProcessWithTheSameNameStarvesTheFirst(t *testing.T) {
	c := whole
	const twin = "twin"
	if out, err := asServerCopy(c.data("dn2"), filepath.Join(c.dir, twin), func() { c.stop(t, "dn2", syscall.SIGINT) }); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.start(t, "dn2")
	c.serves(t)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	c.port[twin] = port
	c.start(t, twin, "-c", "port="+strconv.Itoa(port))
	starved := false
	for end := time.Now().Add(7 * time.Second); time.Now().Before(end) && !starved; {
		starved = c.ask(t.Context(), "dn2", "&options=-c%20statement_timeout%3D300ms", "select 1") != nil
	}
	if !starved {
		t.Error("dn2 never lost its registration to its twin")
	}
	c.stop(t, twin, syscall.SIGQUIT)
	c.serves(t)
}

// asServerCopy copies a stopped server's data directory.
func asServerCopy(from, to string, stop func()) (string, error) {
	stop()
	return run("../../../../../../bin/cp", "-a", from, to)
}

func TestDatanodesAreReadOnlyForDirectSessions(t *testing.T) {
	c := whole
	c.drop(t, "share")
	c.sql(t, "gc", "create table share (a int)", "insert into share select generate_series(1, 300)")
	total := 0
	for _, dn := range names[3:] {
		n, err := strconv.Atoi(c.sql(t, dn, "select count(*) from share"))
		if err != nil || n == 0 || n == 300 {
			t.Errorf("%s shows %d rows of its own, %v", dn, n, err)
		}
		total += n
	}
	if total != 300 {
		t.Errorf("datanodes hold %d rows together", total)
	}
	for _, sql := range []string{"insert into share values (1)", "create table x (a int)", "create temp table x (a int)", "create role x", "truncate share"} {
		c.refused(t, "dn1", "in a read-only transaction", sql)
	}
	for _, sql := range []string{
		"begin read write", "set default_transaction_read_only = off", "set transaction_read_only = off",
		"select set_config('default_transaction_read_only', 'off', false)",
	} {
		c.refused(t, "dn1", "read-write mode", sql)
	}
	c.sql(t, "dn1", "checkpoint", "select version()")
}

func TestWithoutPreparedTransactionsStatementsOverSeveralNodesFail(t *testing.T) {
	c := whole
	c.drop(t, "several")
	c.sql(t, "gc", "create table several (a int)")
	c.stop(t, "dn2", syscall.SIGINT)
	c.start(t, "dn2", "-c", "max_prepared_transactions=0")
	c.refused(t, "cn1", "prepared transactions are disabled", "create table never (a int)")
	c.refused(t, "cn1", "prepared transactions are disabled", "insert into several select generate_series(1, 100)")
	c.stop(t, "dn2", syscall.SIGINT)
	c.start(t, "dn2")
	c.serves(t)
	if got := c.sql(t, "gc", "select count(*) from several"); got != "0" {
		t.Errorf("%s rows of failed statements", got)
	}
}

func TestDDLIsRefusedUntilEveryCoordinatorKnowsTheDatanodes(t *testing.T) {
	c := whole
	c.sql(t, "cn2", "delete from pgxc_node where node_type = 'D'")
	c.refused(t, "cn1", "No Datanode defined in cluster", "create table never (a int)")
	c.refused(t, "cn2", "No Datanode defined in cluster", "create role never")
	c.sql(t, "cn2", "select 1", "create temp table mine (a int)")
	for _, sql := range c.sync("cn2") {
		if strings.Contains(sql, "'datanode'") {
			c.sql(t, "cn2", sql)
		}
	}
	c.serves(t)
}
