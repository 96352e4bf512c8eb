// SPDX-License-Identifier: Apache-2.0

package redistribute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/redistribute"
)

// table is one line: name, locator, datanodes. What else there is to know of it is set by with.
func table(id int64, name, locator, nodes string, with ...func(*redistribute.Table)) redistribute.Table {
	t := redistribute.Table{
		Database: "app", Schema: "public", Name: name, ID: id, Locator: locator, Nodes: strings.Split(nodes, ","), Bytes: id,
	}
	for _, w := range with {
		w(&t)
	}
	return t
}

func partOf(id int64) func(*redistribute.Table) {
	return func(t *redistribute.Table) { t.Parents = append(t.Parents, id) }
}

func refersTo(id int64) func(*redistribute.Table) {
	return func(t *redistribute.Table) { t.References = append(t.References, id) }
}

func partitioned(by string) func(*redistribute.Table) {
	return func(t *redistribute.Table) { t.Strategy = by }
}

func bytes(n int64) func(*redistribute.Table) { return func(t *redistribute.Table) { t.Bytes = n } }
func weighted(t *redistribute.Table)          { t.Weighted = true }
func copied(t *redistribute.Table)            { t.Copied = true }
func oddName(t *redistribute.Table)           { t.OddName = true }

func spoken(p redistribute.Plan) []string {
	var out []string
	for _, s := range p.Steps {
		line := ""
		for _, t := range s.Targets {
			line += fmt.Sprintf("%s to %s; ", t.Table.Name, strings.Join(t.To, ","))
		}
		if s.Refused != "" {
			line += "refused; "
		}
		out = append(out, strings.TrimSuffix(line, "; "))
	}
	for _, name := range p.Pinned {
		out = append(out, "pinned "+name)
	}
	if p.Blocked != "" {
		out = append(out, "blocked")
	}
	return out
}

func TestWhichTableGoesWhere(t *testing.T) {
	out := redistribute.Wish{Onto: []string{"dn1", "dn2", "dn3", "dn4"}, From: []string{"dn1", "dn2", "dn3"}}
	everything := redistribute.Wish{Onto: []string{"dn1", "dn2", "dn3", "dn4"}, All: true}
	in := redistribute.Wish{Off: []string{"dn3"}}
	type tables = []redistribute.Table
	for name, c := range map[string]struct {
		wish   redistribute.Wish
		tables tables
		want   []string
	}{
		"a table on all old datanodes is spread over the new one too": {
			out, tables{table(1, "t", "H", "dn3,dn1,dn2")}, []string{"t to dn1,dn2,dn3,dn4"},
		},
		"what is in its place is left alone": {out, tables{table(1, "t", "H", "dn4,dn1,dn2,dn3")}, nil},
		"a table that a user put elsewhere stays, and is named": {
			out, tables{table(1, "t", "N", "dn1")}, []string{"pinned app.public.t"},
		},
		"unless all tables shall be spread": {everything, tables{table(1, "t", "M", "dn1")}, []string{"t to dn1,dn2,dn3,dn4"}},
		"uneven shares are evened out only when all tables are looked at": {
			everything, tables{table(1, "t", "H", "dn1,dn2,dn3,dn4", weighted)}, []string{"t to dn1,dn2,dn3,dn4"},
		},
		"else they are in their place": {out, tables{table(1, "t", "H", "dn1,dn2,dn3,dn4", weighted)}, nil},
		"small tables come first": {
			out, tables{table(1, "big", "H", "dn1,dn2,dn3", bytes(9)), table(2, "small", "H", "dn1,dn2,dn3", bytes(1))},
			[]string{"small to dn1,dn2,dn3,dn4", "big to dn1,dn2,dn3,dn4"},
		},
		"a table and the one that it refers to move together": {
			out,
			tables{table(1, "child", "H", "dn1,dn2,dn3", refersTo(2)), table(2, "parent", "H", "dn1,dn2,dn3")},
			[]string{"child to dn1,dn2,dn3,dn4; parent to dn1,dn2,dn3,dn4"},
		},
		"a replicated table is on a new datanode before those that refer to it": {
			out,
			tables{table(1, "child", "H", "dn1,dn2,dn3", refersTo(2)), table(2, "parent", "R", "dn1,dn2,dn3")},
			[]string{"parent to dn1,dn2,dn3,dn4", "child to dn1,dn2,dn3,dn4"},
		},
		"and leaves an old one after them": {
			in,
			tables{table(2, "parent", "R", "dn1,dn2,dn3", bytes(0)), table(1, "child", "H", "dn1,dn2,dn3", refersTo(2))},
			[]string{"child to dn1,dn2", "parent to dn1,dn2"},
		},
		"of a partitioned table only the root is named": {
			out,
			tables{table(1, "p", "H", "dn1,dn2,dn3", partitioned("r")), table(2, "p1", "H", "dn1,dn2,dn3", partOf(1)), table(3, "p2", "H", "dn1,dn2,dn3", partOf(1))},
			[]string{"p to dn1,dn2,dn3,dn4"},
		},
		"equal oids in two databases are two tables": {
			out,
			tables{table(1, "a", "H", "dn1,dn2,dn3"), table(2, "b", "H", "dn1,dn2,dn3", func(t *redistribute.Table) { t.Database, t.Parents = "second", []int64{1} })},
			[]string{"a to dn1,dn2,dn3,dn4", "b to dn1,dn2,dn3,dn4"},
		},
		"a table that lies by its values stays":                  {out, tables{table(1, "t", "L", "dn1,dn2,dn3")}, []string{"pinned app.public.t"}},
		"children that would be copied are refused":              {out, tables{table(1, "t", "H", "dn1,dn2,dn3", copied), table(2, "c", "H", "dn1,dn2,dn3", partOf(1))}, []string{"t to dn1,dn2,dn3,dn4; refused"}},
		"an unlogged table alone is not":                         {out, tables{table(1, "t", "H", "dn1,dn2,dn3", copied)}, []string{"t to dn1,dn2,dn3,dn4"}},
		"a table is taken off, and keeps its other datanodes":    {in, tables{table(1, "t", "H", "dn3,dn2")}, []string{"t to dn2"}},
		"a table that lies elsewhere is not touched":             {in, tables{table(1, "t", "H", "dn2")}, nil},
		"a table that lies there alone keeps all from moving":    {in, tables{table(1, "t", "H", "dn3"), table(2, "u", "H", "dn1,dn3")}, []string{"u to dn1", "pinned app.public.t", "blocked"}},
		"so does one that lies there by its values":              {in, tables{table(1, "t", "G", "dn1,dn3")}, []string{"pinned app.public.t", "blocked"}},
		"and one that the engine would lose rows of":             {in, tables{table(1, "t", "H", "dn1,dn3", copied, partitioned("r"))}, []string{"t to dn1; refused", "blocked"}},
		"dn10 comes before dn2, as the engine itself sorts them": {redistribute.Wish{Onto: []string{"dn2", "dn10"}, All: true}, tables{table(1, "t", "H", "dn2")}, []string{"t to dn10,dn2"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, spoken(redistribute.Decide(c.tables, c.wish))); d != "" {
				t.Errorf("plan (-want +got):\n%s", d)
			}
		})
	}
}

func TestAStepIsAllThatMovesTogether(t *testing.T) {
	p := redistribute.Decide([]redistribute.Table{
		table(1, "p", "H", "dn1", partitioned("r"), bytes(0)), table(2, "p1", "H", "dn1", partOf(1), bytes(7)), table(3, "c", "H", "dn1", refersTo(1), bytes(5)),
	}, redistribute.Wish{Onto: []string{"dn1", "dn2"}, All: true})
	if len(p.Steps) != 1 || p.Steps[0].Bytes != 12 || p.Steps[0].Name() != "public.p, public.c" {
		t.Errorf("got %+v", p.Steps)
	}
}

func TestTheStatementsOfAStep(t *testing.T) {
	for name, c := range map[string]struct {
		table redistribute.Table
		want  []string
	}{
		"one is enough": {
			table(1, "t", "H", "dn1"),
			[]string{`LOCK TABLE "public"."t" IN ACCESS EXCLUSIVE MODE`, `ALTER TABLE "public"."t" TO NODE ("dn1", "dn2")`},
		},
		"an odd name is a plain one meanwhile": {
			table(1, "Order", "H", "dn1", oddName, func(t *redistribute.Table) { t.Schema, t.OddSchema = "My Shop", true }),
			[]string{
				`LOCK TABLE "My Shop"."Order" IN ACCESS EXCLUSIVE MODE`,
				`ALTER SCHEMA "My Shop" RENAME TO "antdb_moving_schema"`,
				`ALTER TABLE "antdb_moving_schema"."Order" RENAME TO "antdb_moving_table"`,
				`ALTER TABLE "antdb_moving_schema"."antdb_moving_table" TO NODE ("dn1", "dn2")`,
				`ALTER TABLE "antdb_moving_schema"."antdb_moving_table" RENAME TO "Order"`,
				`ALTER SCHEMA "antdb_moving_schema" RENAME TO "My Shop"`,
			},
		},
		"a partitioned table without partitions has one meanwhile": {
			table(7, "t", "H", "dn1", partitioned("h")),
			[]string{
				`LOCK TABLE "public"."t" IN ACCESS EXCLUSIVE MODE`,
				`CREATE TABLE "public"."antdb_moving_leaf_7" PARTITION OF "public"."t" FOR VALUES WITH (MODULUS 1, REMAINDER 0)`,
				`ALTER TABLE "public"."t" TO NODE ("dn1", "dn2")`,
				`DROP TABLE "public"."antdb_moving_leaf_7"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistribute.Decide([]redistribute.Table{c.table}, redistribute.Wish{Onto: []string{"dn1", "dn2"}, All: true}).Steps[0]
			if d := cmp.Diff(c.want, append([]string{s.Lock()}, s.Statements()...)); d != "" {
				t.Errorf("statements (-want +got):\n%s", d)
			}
		})
	}
}

func TestAReplicatedTableCountsOnce(t *testing.T) {
	tables := []redistribute.Table{table(1, "h", "H", "dn1,dn2", bytes(0)), table(2, "r", "R", "dn1,dn2", bytes(0))}
	one := []redistribute.Size{{Schema: "public", Name: "h", Rows: 4, Bytes: 40}, {Schema: "public", Name: "r", Rows: 3, Bytes: 30}, {Schema: "other", Name: "h", Rows: 1, Bytes: 1}}
	redistribute.Measure(tables, [][]redistribute.Size{one, one})
	if tables[0].Rows != 8 || tables[0].Bytes != 80 || tables[1].Rows != 3 || tables[1].Bytes != 30 {
		t.Errorf("got %+v", tables)
	}
}

func TestAWishMustMeanSomething(t *testing.T) {
	for name, w := range map[string]redistribute.Wish{
		"a move needs datanodes":     {},
		"it is one or the other":     {Onto: []string{"dn1"}, Off: []string{"dn2"}},
		"onto dn1 needs from or all": {Onto: []string{"dn1"}},
	} {
		if err := w.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

func TestHowLongItTakesIsAssumedUntilItIsMeasured(t *testing.T) {
	if s := redistribute.SecondsLeft(10, 200e6, 0, 0); s != 11 {
		t.Errorf("assumed %d s, want 11", s)
	}
	if s := redistribute.SecondsLeft(0, 200e6, 100e6, 1); s != 2 {
		t.Errorf("measured %d s, want 2", s)
	}
	if s := redistribute.SecondsLeft(0, 0, 100e6, 1); s != 0 {
		t.Errorf("%d s for nothing", s)
	}
}
