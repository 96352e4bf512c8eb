// SPDX-License-Identifier: Apache-2.0

package examine_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

func TestWhereASettingComesFrom(t *testing.T) {
	const written, main, auto = "/var/lib/antdb/conf/antdb.conf", "/var/lib/antdb/pgdata/postgresql.conf", "/var/lib/antdb/pgdata/postgresql.auto.conf"
	c := sound().Cluster
	c.Spec.Parameters = v1alpha1.Parameters{"work_mem": "1MB", "max_connections": "100"}
	c.Spec.Datanodes.Parameters = v1alpha1.Parameters{"max_connections": "300", "shared_buffers": "1GB"}
	c.Spec.Datanodes.Overrides = []v1alpha1.NodeOverride{{Name: "dn2", Parameters: v1alpha1.Parameters{"shared_buffers": "2GB"}}}
	setting := func(name, value, file string) instanceapi.Setting {
		return instanceapi.Setting{Name: name, Value: value, Source: "configuration file", File: file}
	}
	common := []instanceapi.Setting{
		setting("work_mem", "1MB", written), setting("port", "5432", written), setting("wal_level", "replica", written), setting("log_timezone", "UTC", main),
		{Name: "enable_seqscan", Value: "on", Source: "default"}, {Name: "lc_collate", Value: "C", Source: "override"}, {Name: "adb_node_type", Value: "x", Source: "command line"},
	}
	of := map[string][]instanceapi.Setting{
		"cn1": append(common[:7:7], setting("max_connections", "100", written)),
		"dn1": append(common[:7:7], setting("max_connections", "300", written), setting("shared_buffers", "1GB", written)),
		"dn2": append(common[:7:7], setting("max_connections", "300", written), setting("shared_buffers", "2GB", written), setting("jit", "off", auto)),
	}
	of["dn2"][0].PendingRestart = true
	got := map[string]string{}
	for _, e := range examine.Settings(c, of, false) {
		key := e.Name
		for _, n := range e.Nodes {
			key += " " + n
		}
		got[key] = e.Value + " " + e.From
		if e.PendingRestart {
			got[key] += " *"
		}
	}
	want := map[string]string{
		"work_mem cn1 dn1": "1MB spec.parameters", "work_mem dn2": "1MB spec.parameters *", "port cn1 dn1 dn2": "5432 operator", "wal_level cn1 dn1 dn2": "replica operator",
		"log_timezone cn1 dn1 dn2": "UTC initdb", "adb_node_type cn1 dn1 dn2": "x operator", "max_connections cn1": "100 spec.parameters",
		"max_connections dn1 dn2": "300 spec.datanodes", "shared_buffers dn1": "1GB spec.datanodes", "shared_buffers dn2": "2GB spec.datanodes.overrides", "jit dn2": "off ALTER SYSTEM",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if all := examine.Settings(c, of, true); len(all) != len(want)+2 {
		t.Errorf("%d settings with defaults", len(all))
	}
}
