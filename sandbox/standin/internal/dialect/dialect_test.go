// SPDX-License-Identifier: Apache-2.0

package dialect_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
)

func TestStatementsThatPostgreSQLUnderstandsPassUnchanged(t *testing.T) {
	for _, text := range []string{
		"select 1", "select ';' as \"nextval\"", "insert into t values ($1) returning *", "not sql at all", "",
		"select 'show agtm_host'", "with x as (select 1) select * from x", "begin", "create temp table t (a int)", "select xc_node_id(tableoid) from t",
		"update t set a = 1 -- where nextval('x')", "show work_mem", "explain (analyze) select 1",
	} {
		s := dialect.Parse(text)
		if s.Managed() || strings.ToLower(s.Whole) != strings.ToLower(strings.Split(text, " -- ")[0]) {
			t.Errorf("%q becomes %q, managed %v", text, s.Whole, s.Managed())
		}
	}
}

func TestWhatOnlyAntDBKnowsIsRewritten(t *testing.T) {
	for text, want := range map[string]string{
		"select a.xc_node_id, xc_node_id from t a":                              "select pg_catalog.xc_node_id(a.tableoid), pg_catalog.xc_node_id(tableoid) from t a",
		`select s."T".xc_node_id as xc_node_id`:                                 `select pg_catalog.xc_node_id(s."T".tableoid) as xc_node_id`,
		"select nextval('s'), pg_catalog.setval()":                              "select adb_nextval('s'), pg_catalog.adb_setval()",
		"select current_setting('agtm_port')":                                   "select current_setting('antdb.agtm_port')",
		"select oid, n.oid from pg_catalog.pgxc_node n where pgxc_node.oid = 1": `select oid, n.oid from pg_standin.pgxc_node n where pgxc_node.oid = 1`,
		"select partrelid from pg_catalog.pg_partitioned_table p":               `select partrelid from pg_standin.pg_partitioned_table p`,
		"select pg_catalog.pg_table_size('t'), pg_relation_size":                `select pg_standin.pg_table_size('t'), pg_relation_size`,
		"show agtm_host":                            `SELECT pg_catalog.current_setting('antdb.agtm_host') AS "agtm_host"`,
		"set session enable_cluster_plan to off":    "set session antdb.enable_cluster_plan to off",
		"reset enable_cluster_plan":                 "reset antdb.enable_cluster_plan",
		"select 1; select a.xc_node_id from t as a": "select 1;select pg_catalog.xc_node_id(a.tableoid) from t as a;",
	} {
		if got := dialect.Parse(text).Whole; got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestDDLHasAFormForCoordinatorsAndOneForDatanodes(t *testing.T) {
	for _, c := range []struct {
		text            string
		coordinator, dn []string
	}{
		{
			"create table t (a int, b text)",
			[]string{"CREATE TABLE t (a int, b text) PARTITION BY HASH (a)", `CALL pg_catalog.standin_spread('"t"', 'H', NULL)`},
			[]string{"CREATE TABLE t (a int, b text)", `CREATE OR REPLACE TRIGGER standin_fixed BEFORE UPDATE OF "a" ON "t" FOR EACH ROW ` +
				`WHEN (OLD."a" IS DISTINCT FROM NEW."a") EXECUTE FUNCTION pg_catalog.standin_fixed()`},
		}, {
			"create table s.t (a json, b serial primary key) with (fillfactor=50) distribute by replication to node (dn1, dn2)",
			[]string{
				`CREATE SEQUENCE "s"."t_b_seq" AS int4`,
				`CREATE TABLE s.t (a pg_catalog.json, b int NOT NULL DEFAULT pg_catalog.adb_nextval('"s"."t_b_seq"')) PARTITION BY HASH (b)`,
				`ALTER SEQUENCE "s"."t_b_seq" OWNED BY "s"."t"."b"`,
				`CALL pg_catalog.standin_spread('"s"."t"', 'R', ARRAY['dn1', 'dn2'])`,
			},
			[]string{"CREATE TABLE s.t (a pg_catalog.json, b int PRIMARY KEY NOT NULL) WITH (fillfactor=50)"},
		}, {
			"alter table t add primary key (a)",
			[]string{
				`CALL pg_catalog.standin_check_key('"t"', ARRAY['a'])`, `ALTER TABLE "t" ALTER COLUMN "a" SET NOT NULL`,
				"CALL pg_catalog.standin_follow()",
			},
			[]string{"ALTER TABLE t ADD PRIMARY KEY (a)"},
		}, {
			"create unique index i on t (a)",
			[]string{`CALL pg_catalog.standin_check_key('"t"', ARRAY['a'])`, "CREATE INDEX i ON t USING btree (a)"},
			[]string{"create unique index i on t (a)"},
		}, {
			"create table p (a int, at date, r int references q (x) on delete cascade) partition by range (at) distribute by hash (r)",
			[]string{"CREATE TABLE p (a int, at date, r int) PARTITION BY RANGE (at)", `CALL pg_catalog.standin_spread('"p"', 'H', NULL, 'r')`},
			[]string{"CREATE TABLE p (a int, at date, r int REFERENCES q (x) ON DELETE CASCADE) PARTITION BY RANGE (at)",
				`CREATE OR REPLACE TRIGGER standin_fixed BEFORE UPDATE OF "r" ON "p" FOR EACH ROW WHEN (OLD."r" IS DISTINCT FROM NEW."r") EXECUTE FUNCTION pg_catalog.standin_fixed()`},
		}, {
			"create table p1 partition of p default",
			[]string{`CALL pg_catalog.standin_partition('CREATE TABLE p1 PARTITION OF p DEFAULT', '"p1"', '"p"', false)`},
			[]string{"CREATE TABLE p1 PARTITION OF p DEFAULT"},
		}, {
			"create view v as select 1", []string{"create view v as select 1"}, nil,
		}, {
			"alter role r password 'x'", []string{"alter role r password 'x'"}, []string{"alter role r password 'x'"},
		},
	} {
		s := dialect.Parse(c.text)
		if !s.Managed() || s.Steps[0].Forms == nil {
			t.Errorf("%q is not spread: %+v", c.text, s.Steps)
			continue
		}
		if diff := cmp.Diff(c.coordinator, s.Steps[0].Forms.Coordinator); diff != "" {
			t.Errorf("%q on coordinators (-want +got):\n%s", c.text, diff)
		}
		if diff := cmp.Diff(c.dn, s.Steps[0].Forms.Datanode); diff != "" {
			t.Errorf("%q on datanodes (-want +got):\n%s", c.text, diff)
		}
	}
}

func TestNodeStatementsBecomeCallsOfTheCatalog(t *testing.T) {
	for text, want := range map[string]dialect.Step{
		`CREATE NODE "Dn" FOR dn1 WITH (TYPE = 'datanode slave', HOST='h', PORT=1, PREFERRED)`: {
			Text: `CALL pg_catalog.standin_create_node('Dn', 'dn1', '{"host":"h","port":"1","preferred":"true","type":"datanode slave"}')`, Tag: "CREATE NODE",
		},
		"alter node dn1 with (type=datanode) on (cn1, gc);": {
			Text: `CALL pg_catalog.standin_alter_node('dn1', '{"type":"datanode"}')`, Tag: "ALTER NODE", On: []string{"cn1", "gc"},
		},
		"drop node cn3": {Text: "CALL pg_catalog.standin_drop_node('cn3')", Tag: "DROP NODE"},
	} {
		want.Kind = dialect.Nodes
		got := dialect.Parse(text).Steps
		if len(got) != 1 || cmp.Diff(want, got[0]) != "" {
			t.Errorf("%q becomes %+v", text, got)
		}
	}
}

func TestWhatALockedClusterRefusesHasItsTag(t *testing.T) {
	for text, want := range map[string]string{
		"create unique index i on t (a)": "CREATE INDEX", "create or replace function f() returns int language sql as 'select 1'": "CREATE FUNCTION",
		"create table t as select 1": "CREATE TABLE AS", "select 1 into t": "CREATE TABLE", "drop user u": "DROP ROLE", "revoke all on t from u": "REVOKE",
		"alter table t add node (dn4)": "ALTER TABLE", "declare c cursor for select 1": "DECLARE CURSOR", "alter system set x = 1": "ALTER SYSTEM",
		"refresh materialized view v": "REFRESH MATERIALIZED VIEW", "alter default privileges grant select on tables to u": "ALTER DEFAULT PRIVILEGES",
		"create temp table t (a int)": "", "insert into t select 1": "", "create node n with (type='datanode')": "", "truncate t": "", "vacuum t": "",
		"begin": "", "copy t from stdin": "", "set x = 1": "", "execute direct on (dn1) 'select 1'": "", "lock table t": "", "reindex table t": "",
	} {
		if got := dialect.Parse(text).Steps[0].Guard; got != want {
			t.Errorf("%q is refused as %q, want %q", text, got, want)
		}
	}
}

func TestAMoveAsksTheCatalogWhatItMeans(t *testing.T) {
	st := dialect.Parse(`alter table only s."T" delete node (dn3, "Dn4")`).Steps[0]
	if want := `SELECT pg_catalog.standin_redistribution('"s"."T"', 'delete', ARRAY['dn3', 'Dn4'])`; st.Kind != dialect.Redistribute || st.Text != want {
		t.Errorf("%+v", st)
	}
}

func TestATextIsCutAtItsSemicolonsOnly(t *testing.T) {
	s := dialect.Parse("create function f() returns int begin atomic select 1; select 2; end; drop node x; select 1")
	var kinds []dialect.Kind
	for _, st := range s.Steps {
		kinds = append(kinds, st.Kind)
	}
	if diff := cmp.Diff([]dialect.Kind{dialect.Spread, dialect.Nodes, dialect.Pass}, kinds); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"create node x with (", "execute direct on (", "create table t (a int) distribute by hash(", "set", "show", "alter", ";;", "create table",
		"alter system set x", "copy t from stdin", "create node", "drop node x on (", "'", "$$",
	} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, text string) { dialect.Parse(text) })
}
