// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAStandbyTakesOverItsMastersAddress copies dn1, kills it and lets the copy serve in its place.
func TestAStandbyTakesOverItsMastersAddress(t *testing.T) {
	c := whole
	c.drop(t, "moved")
	c.sql(t, "gc", "create table moved (a int)", "insert into moved select generate_series(1, 300)")
	const node = "dn1s"
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	c.port[node] = port
	primary := []string{"-h", "127.0.0.1", "-p", strconv.Itoa(c.port["dn1"]), "-U", "postgres"}
	if out, err := run("pg_basebackup", append(primary, "-D", c.data(node))...); err == nil || !strings.Contains(out, "node name is mandatory") {
		t.Fatalf("pg_basebackup without --nodename: %q", out)
	}
	if _, err := run("pg_basebackup", append(primary, "-D", c.data(node), "--nodename", node, "-R", "-X", "stream", "-c", "fast")...); err != nil {
		t.Fatal(err)
	}
	c.identify(t, c.data(node), node, port)
	c.start(t, node)
	c.sql(t, "gc", "insert into moved select generate_series(301, 600)")
	want := c.sql(t, "dn1", "select count(*) from moved")
	eventually(t, 10*time.Second, "the standby has the rows", func() (bool, string) {
		out, _ := c.try(node, "select count(*) from moved")
		return out == want, out
	})
	if got := c.sql(t, node, "select pg_is_in_recovery(), pgxc_node_str()"); got != "t|"+node {
		t.Errorf("standby says %s", got)
	}
	c.stop(t, "dn1", syscall.SIGKILL)
	if _, err := run("pg_ctl", "-D", c.data(node), "promote"); err != nil {
		t.Fatal(err)
	}
	c.stop(t, node, syscall.SIGINT)
	c.port[node] = c.port["dn1"]
	c.start(t, node, "-c", "port="+strconv.Itoa(c.port["dn1"]), "-c", "pgxc_node_name=dn1")
	c.serves(t)
	if got := c.sql(t, "cn2", "insert into moved select generate_series(601, 900)", "select count(*) from moved"); got != "900" {
		t.Errorf("%s rows after the takeover", got)
	}
	c.stop(t, node, syscall.SIGINT)
	if err := os.Rename(c.data("dn1"), c.data("dn1")+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.data(node), c.data("dn1")); err != nil {
		t.Fatal(err)
	}
	c.identify(t, c.data("dn1"), "dn1", c.port["dn1"])
	c.start(t, "dn1")
	c.serves(t)
}

// identify gives a copied data directory a name and a port of its own.
func (c *cluster) identify(t *testing.T, dir, name string, port int) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(f, "pgxc_node_name = '%s'\nport = %d\n", name, port)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestPgCtlStartsStopsAndReloads(t *testing.T) {
	c := whole
	c.stop(t, "dn3", syscall.SIGINT)
	ctl := func(args ...string) string {
		t.Helper()
		out, err := run("pg_ctl", append([]string{"-D", c.data("dn3")}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	log := filepath.Join(c.dir, "dn3-ctl.log")
	ctl("-Z", "restoremode", "-R", "datanode", "-l", log, "start")
	c.sql(t, "dn3", "create table local_only (a int)", "insert into local_only values (1)", "drop table local_only")
	ctl("-m", "fast", "stop")
	ctl("-Z", "datanode", "-l", log, "-w", "start")
	if out := ctl("status"); !strings.Contains(out, "server is running") {
		t.Errorf("status: %s", out)
	}
	ctl("reload")
	ctl("-Z", "datanode", "-l", log, "-m", "immediate", "restart")
	c.serves(t)
	ctl("-m", "fast", "stop")
	if out, err := run("pg_ctl", "-D", c.data("dn3"), "start"); err == nil || !strings.Contains(out, "-Z must be") {
		t.Errorf("start without -Z: %q", out)
	}
	c.start(t, "dn3")
	c.serves(t)
}
