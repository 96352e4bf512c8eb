// SPDX-License-Identifier: Apache-2.0

// Package redistribute decides which tables are moved to which datanodes, in what order, and by what SQL.
//
// It knows how tables belong together and what the engine gets wrong while it moves them. It runs no statement, and
// knows nothing of time or of sessions.
package redistribute

import "slices"

// Table is one table of one database, as gc's pgxc_class has it.
type Table struct {
	Database, Schema, Name string
	// ID is its oid on gc. Parents are the tables that it inherits from or is a partition of, References those that its
	// foreign keys refer to.
	ID                  int64
	Parents, References []int64
	// Locator is pgxc_class.pclocatortype.
	Locator string
	// Nodes are the datanodes that it lies on; Weighted says that they hold shares of different size.
	Nodes    []string
	Weighted bool
	// Strategy is how it is partitioned: empty, or a letter of pg_partitioned_table.
	Strategy string
	// Copied says that the engine moves it through gc and not from datanode to datanode.
	Copied bool
	// OddSchema and OddName say that a name has to be quoted.
	OddSchema, OddName bool
	Rows, Bytes        int64
}

// FullName is the table as people name it.
func (t Table) FullName() string { return t.Schema + "." + t.Name }

// WithDatabase is the table as people name it, with its database.
func (t Table) WithDatabase() string { return t.Database + "." + t.FullName() }

// Locators that can be moved: the others say for each value where it lies, which only a person can change.
const (
	hash       = "H"
	modulo     = "M"
	random     = "N"
	replicated = "R"
)

func (t Table) movable() bool {
	return slices.Contains([]string{hash, modulo, random, replicated}, t.Locator)
}

// Size is what one server holds of one table.
type Size struct {
	Schema, Name string
	Rows, Bytes  int64
}

// Measure adds to the tables of one database what the datanodes hold of them. Of a replicated table every datanode
// holds all, so the biggest counts.
func Measure(tables []Table, held [][]Size) {
	type key struct{ schema, name string }
	at := map[key]int{}
	for i, t := range tables {
		at[key{t.Schema, t.Name}] = i
	}
	for _, sizes := range held {
		for _, s := range sizes {
			i, ok := at[key{s.Schema, s.Name}]
			if !ok {
				continue
			}
			if t := &tables[i]; t.Locator == replicated {
				t.Rows, t.Bytes = max(t.Rows, s.Rows), max(t.Bytes, s.Bytes)
			} else {
				t.Rows, t.Bytes = t.Rows+s.Rows, t.Bytes+s.Bytes
			}
		}
	}
}
