// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const batchRows = 10

// writer inserts batches that touch all datanodes through one coordinator, reconnecting after every error, and notes
// what was acknowledged.
type writer struct {
	node   string
	acked  map[int]bool
	errors int
}

func (w *writer) run(ctx context.Context, c *cluster, next *atomic.Int64) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.Background())
		}
	}()
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = pgx.Connect(one, c.url(w.node, "")); err != nil {
				conn = nil
				cancel()
				time.Sleep(20 * time.Millisecond)
				continue
			}
		}
		id := int(next.Add(1))
		_, err := conn.Exec(one, "insert into batches select $1 * 1000 + n, $1 from generate_series(1, $2::int) n", id, batchRows)
		if err == nil {
			w.acked[id] = true
		} else {
			w.errors++
		}
		cancel()
	}
}

// TestNothingAcknowledgedIsLostAndNothingIsHalfDoneWhenAnyNodeIsKilled kills every node under two writers.
func TestNothingAcknowledgedIsLostAndNothingIsHalfDoneWhenAnyNodeIsKilled(t *testing.T) {
	c := whole
	c.drop(t, "batches")
	c.sql(t, "gc", "create table batches (k int primary key, batch int)")
	var next atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	writers := []*writer{{node: "cn1", acked: map[int]bool{}}, {node: "cn2", acked: map[int]bool{}}}
	var wg sync.WaitGroup
	for _, w := range writers {
		wg.Go(func() { w.run(ctx, c, &next) })
	}
	for _, node := range []string{"dn2", "cn1", "gc", "dn1", "cn2", "dn3"} {
		time.Sleep(500 * time.Millisecond)
		c.stop(t, node, syscall.SIGKILL)
		c.start(t, node)
	}
	c.serves(t)
	time.Sleep(300 * time.Millisecond)
	stop()
	wg.Wait()
	eventually(t, 10*time.Second, "nothing is left prepared", func() (bool, string) {
		left := ""
		for _, dn := range names[3:] {
			left += c.sql(t, dn, "select gid from pg_prepared_xacts")
		}
		return left == "", left
	})
	c.checkBatches(t, writers)
}

func (c *cluster) checkBatches(t *testing.T, writers []*writer) {
	t.Helper()
	found := map[int]int{}
	rows, err := c.conn(t, "gc").Query(t.Context(), "select batch, count(*) from batches group by batch")
	if err != nil {
		t.Fatal(err)
	}
	var id, n int
	if _, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error {
		found[id] = n
		if n != batchRows {
			t.Errorf("batch %d has %d of %d rows", id, n, batchRows)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	acked := 0
	for _, w := range writers {
		acked += len(w.acked)
		for id := range w.acked {
			if found[id] != batchRows {
				t.Errorf("batch %d was acknowledged on %s and has %d rows", id, w.node, found[id])
			}
		}
		if len(w.acked) == 0 {
			t.Errorf("the writer on %s wrote nothing", w.node)
		}
	}
	t.Logf("%d batches acknowledged, %d found, errors seen %d + %d", acked, len(found), writers[0].errors, writers[1].errors)
}

// TestATransactionPreparedByADeadCoordinatorIsFinishedWhenItReturns looks at both outcomes.
func TestATransactionPreparedByADeadCoordinatorIsFinishedWhenItReturns(t *testing.T) {
	c := whole
	c.drop(t, "doubt")
	c.sql(t, "cn1", "create table doubt (a int)")
	c.stop(t, "cn1", syscall.SIGKILL)
	for gid, row := range map[string]int{"T1000001_cn1": 1, "T1000002_cn1": 2} { // as an earlier life of cn1 would leave them
		c.prepareOnDatanodes(t, gid, row)
	}
	if got := c.sql(t, "dn1", "select count(*) from pg_prepared_xacts"); got != "2" {
		t.Fatalf("%s transactions prepared on dn1", got)
	}
	if err := c.launchAs("cn1", "--restoremode", "--coordinator"); err != nil {
		t.Fatal(err)
	}
	c.sql(t, "cn1", "call standin_decide('T1000001_cn1', 'dn1,dn2', '{}')")
	c.stop(t, "cn1", syscall.SIGINT)
	c.start(t, "cn1")
	eventually(t, 8*time.Second, "nothing is left prepared", func() (bool, string) {
		left := c.sql(t, "dn1", "select gid from pg_prepared_xacts") + c.sql(t, "dn2", "select gid from pg_prepared_xacts")
		return left == "", left
	})
	c.serves(t)
	for dn, want := range map[string]string{"dn1": "1", "dn2": "1"} {
		if got := c.sql(t, dn, "select a from doubt"); got != want {
			t.Errorf("%s holds %q, want the decided row %s only", dn, got, want)
		}
	}
}

// prepareOnDatanodes leaves a transaction behind as a coordinator does that is killed between its two phases.
func (c *cluster) prepareOnDatanodes(t *testing.T, gid string, row int) {
	t.Helper()
	for _, dn := range []string{"dn1", "dn2"} {
		conn, err := pgx.Connect(t.Context(), c.url(dn, "&standin.peer=test&default_query_exec_mode=simple_protocol"))
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{"begin", fmt.Sprintf("insert into public.doubt values (%d)", row), "prepare transaction '" + gid + "'"} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s on %s: %v", sql, dn, err)
			}
		}
		_ = conn.Close(t.Context())
	}
}

// TestATransactionThatLostANodeCommitsNowhere loses a datanode between a transaction's statements and its end.
func TestATransactionThatLostANodeCommitsNowhere(t *testing.T) {
	c := whole
	c.drop(t, "lost")
	c.sql(t, "cn1", "create table lost (a int)")
	for _, ending := range [][]string{{"commit"}, {"savepoint s", "insert into lost select generate_series(101, 200)", "rollback to s", "commit"}} {
		conn := c.conn(t, "cn1")
		exec := func(sql string) error {
			_, err := conn.Exec(t.Context(), sql)
			return err
		}
		for _, sql := range []string{"begin", "insert into lost select generate_series(1, 100)"} {
			if err := exec(sql); err != nil {
				t.Fatal(err)
			}
		}
		c.stop(t, "dn2", syscall.SIGKILL)
		c.start(t, "dn2")
		var last error
		for _, sql := range ending {
			last = exec(sql)
		}
		if last == nil {
			t.Errorf("%v: commit without dn2's part succeeds", ending)
		}
		if err := exec("rollback"); err != nil {
			t.Error(err)
		}
		eventually(t, 5*time.Second, "no row of the transaction", func() (bool, string) {
			out, _ := c.try("cn2", "select count(*) from lost")
			return out == "0", out
		})
		if err := exec("insert into lost select generate_series(1, 100)"); err != nil {
			t.Errorf("the session's next transaction: %v", err)
		}
		c.sql(t, "cn2", "delete from lost")
	}
}

// TestDDLIsEverywhereOrNowhereWhenNodesAreKilled creates tables through two coordinators while nodes die, and wants the
// same tables on all nodes afterwards, every acknowledged one among them.
func TestDDLIsEverywhereOrNowhereWhenNodesAreKilled(t *testing.T) {
	c := whole
	ctx, stop := context.WithCancel(t.Context())
	created := make(chan string, 10000)
	var wg sync.WaitGroup
	for _, node := range []string{"cn1", "cn2"} {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("made_%s_%d", node, i)
				one, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if c.ask(one, node, "", "create table "+name+" (a int)") == nil {
					created <- name
				}
				cancel()
			}
		})
	}
	for _, node := range []string{"cn2", "dn1", "cn1", "gc", "dn3", "cn1", "cn2"} {
		time.Sleep(300 * time.Millisecond)
		c.stop(t, node, syscall.SIGKILL)
		c.start(t, node)
	}
	c.serves(t)
	stop()
	wg.Wait()
	close(created)
	const list = `select coalesce(string_agg(relname, ', ' order by relname), '') from pg_class where relname like 'made\_%' and relkind in ('r', 'p')`
	first := ""
	eventually(t, 10*time.Second, "the same tables on every node", func() (bool, string) {
		first = c.sql(t, "gc", list)
		for _, n := range names[1:] {
			if got := c.sql(t, n, list); got != first {
				return false, n + " has " + got + "\ngc has " + first
			}
		}
		return true, ""
	})
	have := map[string]bool{}
	for _, name := range strings.Split(first, ", ") {
		have[name] = true
	}
	n := 0
	for name := range created {
		if n++; !have[name] {
			t.Errorf("%s was acknowledged and is gone", name)
		}
	}
	t.Logf("%d tables acknowledged, %d there", n, len(have))
	if n == 0 {
		t.Error("no table was created")
	}
	c.sql(t, "gc", "drop table "+first)
}
