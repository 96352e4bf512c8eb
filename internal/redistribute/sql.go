// SPDX-License-Identifier: Apache-2.0

package redistribute

import (
	"slices"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// prefix begins the names of what exists inside the transaction only.
const prefix = "antdb_moving_"

// Lock is the statement that takes all locks of the step.
func (s Step) Lock() string {
	names := make([]string, 0, len(s.Targets))
	for _, t := range s.Targets {
		names = append(names, qualified(t.Table.Schema, t.Table.Name))
	}
	return "LOCK TABLE " + strings.Join(names, ", ") + " IN ACCESS EXCLUSIVE MODE"
}

// Statements are what moves the tables of the step, once they are locked, in one transaction.
func (s Step) Statements() []string {
	var all []string
	for _, t := range s.Targets {
		all = append(all, t.statements()...)
	}
	return all
}

// statements work around two failings of the engine. It writes names without quotes into statements of its own
// (REINDEX, TRUNCATE): at best they fail, at worst they hit the table of the same name in lower case and empty it. So a
// table with an odd name has a plain one meanwhile. And it cannot move a partitioned table without partitions, so that
// gets one meanwhile.
func (t Target) statements() []string {
	schema, name := t.Table.Schema, t.Table.Name
	var before, after []string
	for _, c := range t.Childless {
		leaf := prefix + "leaf_" + strconv.FormatInt(c.ID, 10)
		bound := "DEFAULT"
		if c.Strategy == "h" {
			bound = "FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
		}
		before = append(before, "CREATE TABLE "+qualified(schema, leaf)+" PARTITION OF "+qualified(c.Schema, c.Name)+" "+bound)
		after = append(after, "DROP TABLE "+qualified(schema, leaf))
	}
	var back []string
	plainSchema, plainName := schema, name
	if t.Table.OddSchema {
		plainSchema = prefix + "schema"
		before = append(before, "ALTER SCHEMA "+topology.Identifier(schema)+" RENAME TO "+topology.Identifier(plainSchema))
		back = append(back, "ALTER SCHEMA "+topology.Identifier(plainSchema)+" RENAME TO "+topology.Identifier(schema))
	}
	if t.Table.OddName {
		plainName = prefix + "table"
		before = append(before, "ALTER TABLE "+qualified(plainSchema, name)+" RENAME TO "+topology.Identifier(plainName))
		back = append([]string{"ALTER TABLE " + qualified(plainSchema, plainName) + " RENAME TO " + topology.Identifier(name)}, back...)
	}
	nodes := make([]string, 0, len(t.To))
	for _, n := range t.To {
		nodes = append(nodes, topology.Identifier(n))
	}
	moving := "ALTER TABLE " + qualified(plainSchema, plainName) + " TO NODE (" + strings.Join(nodes, ", ") + ")"
	return slices.Concat(before, []string{moving}, back, after)
}

func qualified(schema, name string) string {
	return topology.Identifier(schema) + "." + topology.Identifier(name)
}
