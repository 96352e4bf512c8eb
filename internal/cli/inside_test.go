// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

func printed(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// inside is a cluster whose instances tell of volumes, settings and sessions.
func inside(t *testing.T) *desk {
	t.Helper()
	c := demo()
	c.Spec.Parameters = v1alpha1.Parameters{"work_mem": "64MB"}
	c.Spec.Datanodes.Parameters = v1alpha1.Parameters{"shared_buffers": "1GB"}
	d := sit(t, c)
	for _, n := range c.Status.Nodes {
		d.make(pod(c, n.Name, nil))
	}
	sizes := func(n int64) func(*instanceapi.Probe) {
		return func(p *instanceapi.Probe) {
			p.Databases = []instanceapi.DatabaseSize{{Database: "app", Bytes: n * 340 << 20}, {Database: "postgres", Bytes: 12 << 20}}
			p.Volumes["data"] = instanceapi.Volume{Capacity: 10 << 30, Free: 10<<30 - n*(2800<<20)}
		}
	}
	probed(d, c, map[string]func(*instanceapi.Probe){"dn1": sizes(3), "dn2": sizes(1), "dn3": sizes(1)})
	const written = "/var/lib/antdb/conf/antdb.conf"
	for _, n := range c.Status.Nodes {
		settings := []instanceapi.Setting{
			{Name: "port", Value: "5432", Source: "configuration file", File: written}, {Name: "wal_level", Value: "replica", Source: "configuration file", File: written},
			{Name: "work_mem", Value: "64MB", Source: "configuration file", File: written}, {Name: "jit", Value: "on", Source: "default"},
		}
		if n.Role == "datanode" {
			settings = append(settings, instanceapi.Setting{Name: "shared_buffers", Value: "512MB", Source: "configuration file", File: written, PendingRestart: true})
		}
		before := d.answers[n.Primary]
		looks := int64(0)
		var mu sync.Mutex
		d.answers[n.Primary] = func(args []string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			switch args[0] {
			case "settings":
				return printed(settings)
			case "activity":
				looks++
				return printed(activity(n.Name, looks))
			case "cat":
				return "", errors.New("no such program")
			}
			return before(args)
		}
		d.tables[n.Primary] = "# Written by the AntDB instance manager\nwork_mem = '64MB'\n"
	}
	return d
}

// activity is what a node does at the n-th look, 2 s after the one before.
func activity(node string, n int64) instanceapi.Activity {
	a := instanceapi.Activity{AtMicros: n * 2_000_000, Commits: n * 300, Rollbacks: n, Sessions: map[string]int64{"idle": 4, "active": 1}}
	if node == "cn1" {
		a.Sessions["active"], a.Sessions["idle in transaction"] = 2, 1
		a.Running = []instanceapi.Running{
			{PID: 311, Database: "app", User: "shop", State: "idle in transaction", Millis: 95_000, Wait: "Client:ClientRead", Query: "update orders set state = 'paid' where id = 7"},
			{PID: 327, Database: "app", User: "shop", State: "active", Millis: 42_300, Wait: "Lock:transactionid", BlockedBy: "311", Query: "update orders set state = 'sent'\n where id = 7"},
		}
	}
	return a
}

func TestDfShowsVolumesAndDatabases(t *testing.T) {
	d := inside(t)
	d.want(0, []string{"dn1   data     10Gi  10 GiB  8.2 GiB  82%", "app       1.7 GiB  1020 MiB  340 MiB  340 MiB"}, "df")
	d.answers["demo-dn2-1"] = func([]string) (string, error) { return "", errors.New("pod is gone") }
	d.want(0, []string{"dn2: pod is gone"}, "df", "demo")
	d.want(0, []string{`"error": "pod is gone"`}, "df", "-o", "json")
}

func TestStatusVerboseAsksTheInstances(t *testing.T) {
	inside(t).want(0, []string{"WAL at 0/16B3748, data 82% of 10 GiB, 0 restarts"}, "status", "-v")
}

func TestConfigTellsWhereSettingsComeFrom(t *testing.T) {
	d := inside(t)
	d.want(0, []string{"shared_buffers  512MB *  spec.datanodes   dn1, dn2, dn3", "work_mem        64MB     spec.parameters  all"}, "config")
	if strings.Contains(d.out.text(), "jit") {
		t.Error("a default is shown")
	}
	d.want(0, []string{"jit", "default"}, "config", "cn1", "--all")
	d.want(0, []string{"work_mem"}, "config", "cn1", "dn1", "--match", "work", "-o", "yaml")
	d.want(1, []string{`no instance of a node "dn9"`}, "config", "dn9")
	d.answers["demo-cn2-1"] = func([]string) (string, error) { return "", errors.New("pod is gone") }
	d.want(1, []string{"work_mem", "error: ask cn2: pod is gone"}, "config")
}

func TestCatPrintsConfigurationFilesAndNothingElse(t *testing.T) {
	d := inside(t)
	delete(d.answers, "demo-dn1-1")
	d.want(0, []string{"work_mem = '64MB'"}, "cat", "dn1", "antdb.conf")
	if got := d.ran[len(d.ran)-1]; got != "demo-dn1-1: cat /var/lib/antdb/conf/antdb.conf" {
		t.Errorf("it ran %s", got)
	}
	ran := len(d.ran)
	for _, file := range []string{"/etc/antdb/superuser/password", "../../../etc/passwd", "conf/../antdb.conf", "antdb.conf; id", "-n", "", "server.key"} {
		if code := d.run("cat", "dn1", "--", file); code != 1 || len(d.ran) != ran {
			t.Errorf("%q ends with %d, ran %v", file, code, d.ran[ran:])
		}
	}
	d.want(1, []string{"say which node and which file", "postgresql.auto.conf"}, "cat", "dn1")
}

func TestTopTellsRatesAndWhoBlocksWhom(t *testing.T) {
	d := inside(t)
	d.want(0, []string{"cn1          7       2", "150.0", "on cn1 process 327 waits for process 311, which holds a lock", "311 idle in transaction for 1m35s: update orders set state = 'paid'"},
		"top", "--interval", "100ms")
	d.want(1, []string{"--interval 1ms: allowed is 100ms or more"}, "top", "--interval", "1ms")
	d.want(1, []string{"--limit -1"}, "top", "--limit", "-1")
	looks := 0
	d.once = func(text string) bool { looks = strings.Count(text, "COMMITS/S"); return looks > 2 }
	d.want(0, nil, "top", "-w", "--interval", "100ms")
	if looks < 3 {
		t.Errorf("it looks %d times", looks)
	}
}
