// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What initdb wrote for one node is made that of another without a server: statements on nodes work in single-user mode
// with --localxid, as in the engine's own initdb.
func TestADataDirectoryIsMadeAnotherNodesInSingleUserMode(t *testing.T) {
	const node = "cn8"
	c := whole
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	c.port[node] = port
	if err := c.create(node, "template"); err != nil {
		t.Fatal(err)
	}
	alone := asServer(exec.Command(filepath.Join(bin, "postgres"), "--single", "--localxid", "-F", "-O", "-j", "-c", "search_path=pg_catalog",
		"-c", "exit_on_error=true", "-c", "pgxc_node_name="+node, "-D", c.data(node), "postgres"))
	alone.Stdin = strings.NewReader(strings.Join([]string{
		`DROP NODE "template"`, `CREATE NODE "cn8" WITH (TYPE = 'coordinator')`, "VACUUM FREEZE pgxc_node", "",
	}, ";\n\n"))
	if out, err := alone.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := c.launchAs(node, "--coordinator", "-c", "pgxc_node_name="+node); err != nil {
		t.Fatal(err)
	}
	defer c.stop(t, node, syscall.SIGINT)
	if got := c.sql(t, node, "select node_name, node_type, node_port, node_host, node_id = hashtext('cn8') from pgxc_node"); got != "cn8|C|5432|localhost|t" {
		t.Errorf("pgxc_node: %s", got)
	}
}
