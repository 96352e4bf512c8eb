// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const spread = `select b.node_name, count(*) from test01 a, pgxc_node b where a.xc_node_id = b.node_id group by b.node_name order by 1`

// TestTheMissionsWalkThrough goes through steps 3 to 6 of the mission, statement by statement.
func TestTheMissionsWalkThrough(t *testing.T) {
	c := whole
	c.drop(t, "test01")
	c.checkCatalog(t)
	if got := c.sql(t, "gc", "create table test01 (id int, name text)"); got != "" {
		t.Fatalf("create table printed %q", got)
	}
	c.sql(t, "gc", "insert into test01 select id, md5(id::text) from generate_series(1,10000) id")
	before := c.checkSpread(t)
	for _, node := range []string{"gc", "cn1", "cn2", "dn1", "dn2", "dn3"} {
		c.stop(t, node, syscall.SIGINT)
		c.start(t, node)
		eventually(t, 10*time.Second, "cluster after restart of "+node, func() (bool, string) {
			out, err := c.try("cn2", "select count(*) from test01")
			return err == nil, out
		})
		c.checkCatalog(t)
		if diff := cmp.Diff(before, c.checkSpread(t)); diff != "" {
			t.Fatalf("after restart of %s (-before +after):\n%s", node, diff)
		}
	}
}

func (c *cluster) checkCatalog(t *testing.T) {
	t.Helper()
	flags := map[string]string{"gc": "f|f|t", "dn1": "t|f|f"}
	for _, node := range names[:3] {
		var want []string
		for _, n := range names {
			f := flags[n]
			if f == "" {
				f = "f|f|f"
			}
			kind := map[bool]string{true: "D", false: "C"}[roles[n] == "datanode"]
			want = append(want, fmt.Sprintf("%s|%s|%d|127.0.0.1|%s|%s|0", n, kind, c.port[n], f, nodeID[n]))
		}
		got := strings.Split(c.sql(t, node, "select * from pgxc_node"), "\n")
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("pgxc_node on %s (-want +got):\n%s", node, diff)
		}
	}
}

// checkSpread wants 10000 rows, about a third on each datanode, and the same answer on every coordinator.
func (c *cluster) checkSpread(t *testing.T) string {
	t.Helper()
	first := ""
	for _, node := range names[:3] {
		if got := c.sql(t, node, "select count(*) from test01"); got != "10000" {
			t.Fatalf("%s counts %s rows", node, got)
		}
		got := c.sql(t, node, spread)
		if first == "" {
			first = got
		}
		if got != first {
			t.Fatalf("%s sees\n%s\ngc sees\n%s", node, got, first)
		}
	}
	sum := 0
	for i, line := range strings.Split(first, "\n") {
		var n int
		name, count, _ := strings.Cut(line, "|")
		if _, err := fmt.Sscan(count, &n); err != nil || name != fmt.Sprintf("dn%d", i+1) || n < 3000 || n > 3700 {
			t.Fatalf("spread is\n%s", first)
		}
		sum += n
	}
	if sum != 10000 {
		t.Fatalf("spread sums to %d", sum)
	}
	return first
}

func TestInitdbInsistsOnANodeName(t *testing.T) {
	out, err := run("initdb", "-D", t.TempDir()+"/d", "-U", "postgres")
	if err == nil || !strings.Contains(out, "Postgres-XC node name is mandatory") {
		t.Fatalf("got %q, %v", out, err)
	}
}

func TestAServerInsistsOnItsRole(t *testing.T) {
	out, err := run("postgres", "-D", whole.data("dn1"))
	if err == nil || !strings.Contains(out, "must start as either a Coordinator (--coordinator) or Datanode (--datanode)") {
		t.Fatalf("got %q, %v", out, err)
	}
}

func TestProgramsTellTheirVersionAndSettings(t *testing.T) {
	for _, p := range []string{"postgres", "initdb"} {
		out, err := run(p, "--version")
		if err != nil || !strings.HasPrefix(out, p+" (PostgreSQL) 15.") || !strings.Contains(out, "AntDB stand-in") {
			t.Errorf("%s --version: %q, %v", p, out, err)
		}
	}
	for setting, want := range map[string]string{"pgxc_node_name": "dn1", "max_prepared_transactions": "100"} {
		out, err := run("postgres", "-C", setting, "--datanode", "-D", whole.data("dn1"))
		if err != nil || !strings.HasSuffix("\n"+out, "\n"+want+"\n") { // after the log's lines
			t.Errorf("postgres -C %s: %q, %v", setting, out, err)
		}
	}
}

func TestANodeKnowsItself(t *testing.T) {
	for _, n := range names {
		if got := whole.sql(t, n, "show adb_node_type", "select pgxc_node_str()", "select current_setting('pgxc_node_name')"); got != roles[n]+"\n"+n+"\n"+n {
			t.Errorf("%s says %q", n, got)
		}
		if got := whole.conn(t, n).PgConn().ParameterStatus("adb_node_type"); got != roles[n] {
			t.Errorf("%s reports %q at login", n, got)
		}
	}
}

func TestSettingsOfAntDBAreAcceptedCheckedAndReloaded(t *testing.T) {
	c := whole
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(c.extra("dn1"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_ = os.Remove(c.extra("dn1"))
		c.sql(t, "dn1", "select pg_reload_conf()")
	})
	write("pool_time_out = 90s\nwork_mem = 5MB\n")
	c.sql(t, "dn1", "select pg_reload_conf()")
	eventually(t, 5*time.Second, "reload", func() (bool, string) {
		got := c.sql(t, "dn1", "show pool_time_out", "show work_mem", "select setting from pg_settings where name = 'pool_time_out'")
		return got == "90\n5MB\n90", got
	})
	write("pool_time_out = soon\nwork_mem = 6MB\n")
	const refused = "select sourcefile like '%dn1.conf', sourceline, setting, error is not null from pg_file_settings where name = 'pool_time_out'"
	if got := c.sql(t, "dn1", refused); got != "t|1|soon|t" {
		t.Errorf("pg_file_settings: %q", got)
	}
	if err := c.process("dn1").cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the refused value leaves the old one, the others are applied", func() (bool, string) {
		got := c.sql(t, "dn1", "show pool_time_out", "show work_mem")
		return got == "90\n6MB", got
	})
	write("max_coordinators = 20\n")
	c.sql(t, "dn1", "select pg_reload_conf()")
	eventually(t, 5*time.Second, "a restart is pending", func() (bool, string) {
		got := c.sql(t, "dn1", "select pending_restart from pg_settings where name = 'max_coordinators'", "show max_coordinators")
		return got == "t\n16", got
	})
	write("no_such_setting = 1\n")
	if got := c.sql(t, "dn1", "select error from pg_file_settings where name = 'no_such_setting'"); !strings.Contains(got, "unrecognized configuration parameter") {
		t.Errorf("unknown setting: %q", got)
	}
	write("pool_time_out = none\n")
	out, err := run("postgres", "-C", "port", "--datanode", "-D", c.data("dn1"))
	if err == nil || !strings.Contains(out, `invalid value for parameter "pool_time_out"`) {
		t.Errorf("start with a bad value: %q, %v", out, err)
	}
	c.refused(t, "cn1", `parameter "agtm_host" cannot be changed now`, "set agtm_host = 'x'")
	if got := c.sql(t, "cn1", "set enable_cluster_plan = off", "show enable_cluster_plan"); got != "off" {
		t.Errorf("a user's setting: %q", got)
	}
}
