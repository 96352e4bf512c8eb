// SPDX-License-Identifier: Apache-2.0

package division_test

import (
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/division"
)

func table(name, locator string, nodes ...string) division.Table {
	return division.Table{Schema: "public", Name: name, Locator: locator, Nodes: nodes}
}

func unlogged(t division.Table) division.Table {
	t.Unlogged = true
	return t
}

func TestWhatStandsAgainstADivision(t *testing.T) {
	app := func(tables ...division.Table) []division.Database {
		return []division.Database{{Name: "app", Tables: tables}, {Name: "template0", Template: true, Closed: true}}
	}
	for name, c := range map[string]struct {
		facts division.Facts
		words string // of the only refusal; empty for none
	}{
		"nothing": {division.Facts{Able: true, Databases: app(
			table("h", "H", "dn1"), table("m", "M", "dn1", "dn2"), table("n", "N", "dn1"), table("r", "R", "dn1"))}, ""},
		"an engine without the statement":  {division.Facts{Databases: app(unlogged(table("u", "H", "dn1")))}, "cannot divide datanodes"},
		"an earlier one that is not clean": {division.Facts{Able: true, Unclean: 3}, "rows of 3 tables still lie twice"},
		"a table by list":                  {division.Facts{Able: true, Databases: app(table("l", "L", "dn2"))}, "by list, range or hashmap: app.public.l"},
		"one of another datanode":          {division.Facts{Able: true, Databases: app(table("l", "L", "dn9"))}, ""},
		"an unlogged table":                {division.Facts{Able: true, Databases: app(unlogged(table("u", "H", "dn1")))}, "unlogged tables have no rows in a copy: app.public.u"},
		"many of them": {division.Facts{Able: true, Databases: app(
			unlogged(table("a", "H", "dn1")), unlogged(table("b", "H", "dn1")), unlogged(table("c", "H", "dn1")),
			unlogged(table("d", "H", "dn1")), unlogged(table("e", "H", "dn1")), unlogged(table("f", "H", "dn1")))}, "app.public.e and 1 more"},
		"a template with tables": {division.Facts{Able: true, Databases: []division.Database{
			{Name: "template1", Template: true, Tables: []division.Table{table("t", "H", "dn1")}}}}, "template1 holds tables"},
		"a template without":                {division.Facts{Able: true, Databases: []division.Database{{Name: "template1", Template: true}}}, ""},
		"a database that is closed":         {division.Facts{Able: true, Databases: []division.Database{{Name: "old", Closed: true}}}, "whether old holds tables cannot be seen"},
		"a tablespace":                      {division.Facts{Able: true, Tablespaces: []string{"fast"}}, "tablespaces: fast"},
		"no room for a worker":              {division.Facts{Able: true, Full: map[string]int{"dn2": 8}}, "dn2 has no room for one more background worker (max_worker_processes = 8)"},
		"too few senders of the log":        {division.Facts{Able: true, Copies: 2, Senders: map[string]int{"dn1": 3, "dn2": 4}}, "dn1 can send its log to 3 more, and its copies need 4"},
		"too few slots":                     {division.Facts{Able: true, Copies: 2, Slots: map[string]int{"dn1": 1}}, "dn1 can have 1 more replication slots, and its copies need 2"},
		"a big database with random tables": {division.Facts{Able: true, Databases: []division.Database{{Name: "app", Bytes: 40 << 30, Tables: []division.Table{table("n", "N", "dn1")}}}}, "all of its 40 GiB"},
		"a big one without":                 {division.Facts{Able: true, Databases: []division.Database{{Name: "app", Bytes: 40 << 30, Tables: []division.Table{table("h", "H", "dn1")}}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.facts.Sources = []string{"dn1", "dn2"}
			got := c.facts.Refusals()
			if c.words == "" && len(got) > 0 || c.words != "" && (len(got) != 1 || !strings.Contains(got[0], c.words)) {
				t.Errorf("%q, want one that says %q", got, c.words)
			}
		})
	}
}
