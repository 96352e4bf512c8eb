// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// told are the facts of a cluster with a node that is not asked, and one with a volume for its write-ahead log.
func told() *examine.Facts {
	f := &examine.Facts{Cluster: settled(), Probes: map[string]examine.Probed{}, Pods: map[string]*corev1.Pod{}}
	f.Cluster.Status.Nodes[3].Instances[0].Volumes = append(f.Cluster.Status.Nodes[3].Instances[0].Volumes, v1alpha1.VolumeStatus{Name: "demo-dn1-1-wal", Requested: "5Gi"})
	for i, n := range f.Cluster.Status.Nodes {
		p := instanceapi.Probe{LSN: "0/16B3748", WALBytes: 48 << 20, Volumes: map[string]instanceapi.Volume{"data": {Capacity: 10 << 30, Free: int64(10-i) << 30}}}
		if n.Role == "datanode" {
			p.Databases = []instanceapi.DatabaseSize{{Database: "app", Bytes: int64(i) << 28}, {Database: "postgres", Bytes: 8 << 20}}
		}
		f.Probes[n.Name] = examine.Probed{Probe: p}
	}
	f.Probes["dn1"].Volumes["wal"] = instanceapi.Volume{Capacity: 5 << 30, Free: 100 << 20}
	f.Probes["cn2"] = examine.Probed{Err: "pod demo-cn2-1 does not answer"}
	pod := &corev1.Pod{}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 2}}
	f.Pods["demo-dn1-1"] = pod
	return f
}

func TestVolumesAndDatabasesAreTables(t *testing.T) {
	golden(t, "df", func(s view.Style) string { return view.Volumes(s, told()) })
}

func TestAVerboseStatusTellsWhatInstancesTold(t *testing.T) {
	golden(t, "status-told", func(s view.Style) string { return view.ClusterWith(s, settled(), nil, true, told()) })
}

func TestSettingsShareALineWhereTheyAreEqual(t *testing.T) {
	all := []examine.Effective{
		{Name: "max_connections", Value: "100", From: "spec.parameters", Nodes: []string{"gc", "cn1", "cn2"}},
		{Name: "max_connections", Value: "500", From: "operator", Nodes: []string{"dn1", "dn2", "dn3"}, PendingRestart: true},
		{Name: "shared_preload_libraries", Value: strings.Repeat("pg_stat_statements, ", 5), From: "spec.parameters", Nodes: []string{"gc", "cn1", "cn2", "dn1", "dn2", "dn3"}},
	}
	golden(t, "settings", func(s view.Style) string { return view.Settings(s, "demo", all, 6) })
}

func TestTopIsRatesOldTransactionsAndLocks(t *testing.T) {
	quiet := instanceapi.Activity{AtMicros: 2_000_000, Commits: 10, Sessions: map[string]int64{"idle": 3}}
	busy := instanceapi.Activity{AtMicros: 4_000_000, Commits: 3010, Rollbacks: 4, Sessions: map[string]int64{"idle": 3, "active": 12, "idle in transaction": 2, "idle in transaction (aborted)": 1}}
	for i := range 12 {
		busy.Running = append(busy.Running, instanceapi.Running{
			PID: int64(300 + i), Database: "app", User: "shop", State: "active", Millis: int64(40_000 - i*3000), Wait: "Lock:transactionid",
			Query: fmt.Sprintf("select count(*) from orders where %s id = %d", strings.Repeat("state = 'paid' and ", 5), i),
		})
	}
	busy.Running[3].BlockedBy, busy.Running[4].BlockedBy = "300,999", "303"
	all := []view.Sample{{Node: "dn10", Before: quiet, After: quiet}, {Node: "cn1", Before: quiet, After: busy}, {Node: "dn2", Before: quiet, After: quiet}}
	golden(t, "top", func(s view.Style) string {
		return view.Top(s, "demo", all, []string{"ask gc: gc waits for registered nodes and is not asked"}, 5)
	})
}
