// SPDX-License-Identifier: Apache-2.0

package dbadmin_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
	"github.com/antdb-operator/antdb-operator/internal/division"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// splitter opens a session that divides datanodes, and notes what the server is told.
func splitter(t *testing.T, answer func(sql string) pgfake.Reply) (f fake, s *dbadmin.Splitter, told *[]string) {
	t.Helper()
	told = &[]string{}
	f = serve(t, func(p *pgfake.Session, sql string) pgfake.Reply {
		*told = append(*told, sql)
		if p.Parameters["application_name"] != "antdb-split" {
			return pgfake.Refuse("42501", "who is that?")
		}
		return answer(sql)
	})
	s, err := f.OpenSplitter(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return f, s, told
}

func text(rows ...string) pgfake.Reply {
	r := pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("text")}}
	for _, row := range rows {
		r.Rows = append(r.Rows, []string{row})
	}
	return r
}

func TestDatanodesAreRegisteredEverywhereBeforeTheyAreDivided(t *testing.T) {
	f, s, told := splitter(t, func(string) pgfake.Reply { return pgfake.Reply{} })
	target := func(name string) topology.Node {
		return topology.Node{Name: name, Type: antdb.TypeDatanode, Host: name + "-h", Port: 5432}
	}
	pairs := []instanceapi.Pair{{Source: "dn1", Target: target("dn3")}, {Source: "dn2", Target: target("dn4")}, {Source: "dn1", Target: target("dn5")}}
	ctx := t.Context()
	for _, do := range []func() error{
		func() error { return s.Pause(ctx) },
		func() error { return s.Begin(ctx) },
		func() error { return s.Register(ctx, pairs[0].Target) },
		func() error { return s.Divide(ctx, pairs, []string{"cn1", "cn2"}) },
		func() error { return s.Commit(ctx) },
		func() error { return s.Unpause(ctx) },
		func() error { return s.Clean(ctx) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	f.stop()
	row := func(name, on string) string {
		return `CREATE NODE "` + name + `" WITH (TYPE = 'datanode', HOST = '` + name + `-h', PORT = 5432, PRIMARY = false, PREFERRED = false)` + on
	}
	want := []string{
		"SELECT pg_pause_cluster()", "BEGIN", row("dn3", ""),
		row("dn3", ` ON ("cn1", "cn2", "dn3")`), row("dn4", ` ON ("cn1", "cn2", "dn4")`), row("dn5", ` ON ("cn1", "cn2", "dn5")`),
		"select pgxc_pool_reload()",
		`EXECUTE DIRECT ON ("cn1") 'select pgxc_pool_reload()'`, `EXECUTE DIRECT ON ("cn2") 'select pgxc_pool_reload()'`,
		`ALTER NODE DATA ("dn1" TO ("dn3", "dn5"), "dn2" TO ("dn4"))`,
		"COMMIT", "SELECT pg_unpause_cluster()", "ALTER NODE DATA CLEAN",
	}
	if d := cmp.Diff(want, *told); d != "" {
		t.Errorf("statements (-want +got):\n%s", d)
	}
}

func TestWhatGCTellsOfDatanodesThatAreToBeDivided(t *testing.T) {
	answers := map[string]pgfake.Reply{
		"pg_stat_replication":     text("4096"),
		"pg_is_in_recovery":       text("false"),
		"pg_create_restore_point": text("0/3000060"),
		"pg_backend_pid":          {Columns: []pgfake.Column{pgfake.Int("pid")}, Rows: [][]string{{"77"}}},
		"relname = 'adb_clean'":   text("adb_clean"),
		"count(*)::int8 from adb": {Columns: []pgfake.Column{pgfake.Int("count")}, Rows: [][]string{{"2"}}},
		"pg_database_size":        {Columns: []pgfake.Column{pgfake.Text("name"), pgfake.Int("bytes")}, Rows: [][]string{{"app", "8192"}}},
		"pgxc_class": {Columns: []pgfake.Column{
			pgfake.Text("schema"), pgfake.Text("name"), pgfake.Text("locator"), pgfake.Bool("unlogged"), pgfake.Text("nodes"),
		}, Rows: [][]string{{"public", "t", "H", "t", "dn1,dn2"}}},
	}
	_, s, _ := splitter(t, func(sql string) pgfake.Reply {
		for part, r := range answers {
			if strings.Contains(sql, part) {
				return r
			}
		}
		return pgfake.Refuse("42601", sql)
	})
	ctx := t.Context()
	able, unclean, err := s.Able(ctx)
	if err != nil || !able || unclean != 2 {
		t.Errorf("able %t, unclean %d (%v)", able, unclean, err)
	}
	tables, err := s.Tables(ctx)
	want := []division.Table{{Schema: "public", Name: "t", Locator: "H", Unlogged: true, Nodes: []string{"dn1", "dn2"}}}
	if d := cmp.Diff(want, tables); d != "" || err != nil {
		t.Errorf("tables (-want +got):\n%s (%v)", d, err)
	}
	if sizes, err := s.Sizes(ctx, "dn1"); err != nil || sizes["app"] != 8192 {
		t.Errorf("sizes %v (%v)", sizes, err)
	}
	if lag, following, err := s.Behind(ctx, "dn1", "dn3"); lag != 4096 || !following || err != nil {
		t.Errorf("behind by %d, following %t (%v)", lag, following, err)
	}
	if primary, err := s.Primary(ctx, "dn3"); !primary || err != nil {
		t.Errorf("primary %t (%v)", primary, err)
	}
	if pid, err := s.Backend(ctx, "cn1"); pid != 77 || err != nil {
		t.Errorf("backend %d (%v)", pid, err)
	}
	if err := s.Mark(ctx, "dn1", "antdb_split_x"); err != nil {
		t.Error(err)
	}
	answers["pg_stat_replication"] = text()
	if _, following, err := s.Behind(ctx, "dn1", "dn3"); following || err != nil {
		t.Errorf("one that does not stream follows: %t (%v)", following, err)
	}
	answers["relname = 'adb_clean'"] = text()
	if able, _, err := s.Able(ctx); able || err != nil {
		t.Errorf("an engine without the catalog is able: %t (%v)", able, err)
	}
}
