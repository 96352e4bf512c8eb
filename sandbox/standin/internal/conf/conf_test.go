// SPDX-License-Identifier: Apache-2.0

package conf_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/conf"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheCopyHasTheSameLinesWithNamesThatPostgreSQLTakes(t *testing.T) {
	dir, private := t.TempDir(), t.TempDir()
	write(t, dir, map[string]string{
		"postgresql.conf":      "work_mem = 4MB # kept\nAGTM_HOST 'gc''s'\ninclude_dir = 'd'\ninclude_if_exists 'absent'\nport=1\n",
		"d/a.conf":             "pool_time_out = 2min\n",
		"d/ignored.txt":        "nonsense",
		"postgresql.auto.conf": "port = '2'\n",
	})
	c, err := conf.Load(dir, map[string]string{"adb_node_type": "datanode"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"agtm_host": "gc's", "pool_time_out": "120", "port": "2", "work_mem": "4MB", "adb_node_type": "datanode", "agtm_port": "5432", "absent": "fallback",
	} {
		if got := c.Get(name, "fallback"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	main, err := c.Mirror(private, "[]")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSuffix(main, filepath.Join(dir, "postgresql.conf"))
	want := "work_mem = 4MB # kept\nantdb.agtm_host = 'gc''s'\ninclude_dir '" + root + dir + "/d'\ninclude_if_exists '" + root + dir + "/absent'\nport=1\n"
	if diff := cmp.Diff(want, string(text)[:min(len(want), len(text))]); diff != "" {
		t.Error(diff)
	}
	if text, err = os.ReadFile(filepath.Join(root, dir, "d/a.conf")); err != nil || string(text) != "antdb.pool_time_out = '120'\n" {
		t.Errorf("included file: %q, %v", text, err)
	}
}

func TestAReloadKeepsWhatItCannotTake(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"postgresql.conf": "pgxc_node_name = dn1\npool_time_out = 5\n"})
	before, err := conf.Load(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"postgresql.conf": "pgxc_node_name = dn2\npool_time_out = -1\nagtm_port = 7\n"})
	after, err := conf.Load(dir, nil, before)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{after.Get("pgxc_node_name", ""), after.Get("pool_time_out", ""), after.Get("agtm_port", "")}
	if diff := cmp.Diff([]string{"dn1", "5", "7"}, got); diff != "" {
		t.Error(diff)
	}
	if p := after.Problems(); len(p) != 2 || !strings.Contains(p[0], "without restarting") || !strings.Contains(p[1], "outside the valid range") {
		t.Errorf("problems: %q", p)
	}
	if _, err := conf.Load(dir, nil, nil); err == nil {
		t.Error("a start with a bad value succeeds")
	}
}

func TestOfASettingThatIsThereTwiceTheLastOneCounts(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"postgresql.conf": "pgxc_node_name = cn1\npgxc_node_name = cn3\n"})
	before, err := conf.Load(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := conf.Load(dir, nil, before)
	if err != nil {
		t.Fatal(err)
	}
	if name := after.Get("pgxc_node_name", ""); name != "cn3" {
		t.Errorf("pgxc_node_name is %s, want cn3", name)
	}
	if p := after.Problems(); len(p) > 0 {
		t.Errorf("a reload of the same file has problems: %q", p)
	}
}

func TestValuesAreCheckedAsPostgreSQLChecksThem(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"snapshot_sync_waittime", "2s", "2000"}, {"snapshot_sync_waittime", "500", ""}, {"snapshot_sync_waittime", "x", ""},
		{"pool_time_out", "1min", "60"}, {"agtm_port", "1ms", ""}, {"agtm_port", "70000", ""}, {"enable_cluster_plan", "TRUE", "on"},
		{"enable_cluster_plan", "maybe", ""}, {"default_distribute_by", "Replication", "replication"}, {"default_distribute_by", "wish", ""},
	} {
		p, ok := conf.Lookup(c.name)
		if !ok {
			t.Fatal(c.name)
		}
		got, err := p.Check(c.value)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s = %s: %q, %v", c.name, c.value, got, err)
		}
	}
}
