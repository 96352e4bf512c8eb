// SPDX-License-Identifier: Apache-2.0

// Package division says what keeps datanodes from being divided with copies of them. The engine does it in one statement
// for all tables of all databases; this package knows what that statement gets wrong.
//
// It runs no statement. The SQL about nodes is in package topology.
package division

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Facts are what gc says of the cluster.
type Facts struct {
	// Able says that the engine has the statement and the catalog of what lies twice.
	Able bool
	// Unclean counts the tables of an earlier division of which rows still lie twice.
	Unclean int
	// Tablespaces are those that users made.
	Tablespaces []string
	Databases   []Database
	// Sources are the datanodes that are to be divided.
	Sources []string
	// Copies are how many each source gets; Senders and Slots how many more a source can have of what copies need there.
	Copies         int
	Senders, Slots map[string]int
	// Full are the nodes that cannot start one more background worker, with their max_worker_processes.
	Full map[string]int
}

// Database is one database with the tables that lie on datanodes.
type Database struct {
	Name string
	// Template and Closed say that the engine leaves it out: a template, or one that nobody can connect to.
	Template, Closed bool
	Tables           []Table
	// Bytes is the most that one source holds of it.
	Bytes int64
}

// Table is one table as gc's pgxc_class has it.
type Table struct {
	Schema, Name, Locator string
	Unlogged              bool
	Nodes                 []string
}

// Locators of pgxc_class that the engine divides.
const (
	hash       = "H"
	modulo     = "M"
	random     = "N"
	replicated = "R"
)

// mostHidden is how much one datanode may hold of a database whose rows that lie twice are removed while the cluster is
// held: what takes longer is not for a pause.
const mostHidden = 16 << 30

// listed is how many tables a refusal names.
const listed = 5

// on tells whether a table lies on one of the sources.
func (t Table) on(sources []string) bool {
	return slices.ContainsFunc(t.Nodes, func(n string) bool { return slices.Contains(sources, n) })
}

// Hides tells whether the engine would hide rows that are written before what lies twice is removed: of tables that are
// distributed at random it tells by the place of a row on disk on which datanode it counts, and it does so for one block
// too many. So such a database is cleaned while the cluster is still held.
func (d Database) Hides(sources []string) bool {
	return slices.ContainsFunc(d.Tables, func(t Table) bool { return t.Locator == random && t.on(sources) })
}

// Refusals are the reasons why the sources cannot be divided now; none if they can.
func (f Facts) Refusals() []string {
	if !f.Able {
		return []string{"this engine cannot divide datanodes (it has no ALTER NODE DATA): strategy Redistribute moves rows table by table"}
	}
	var all []string
	if f.Unclean > 0 {
		all = append(all, fmt.Sprintf("rows of %d tables still lie twice since datanodes were divided the last time: run ALTER NODE DATA CLEAN on gc in every database", f.Unclean))
	}
	if len(f.Tablespaces) > 0 {
		all = append(all, "copies cannot be made of datanodes with tablespaces: "+strings.Join(f.Tablespaces, ", "))
	}
	var pinned, unlogged []string
	for _, d := range f.Databases {
		if reason := d.refusal(f.Sources); reason != "" {
			all = append(all, reason)
			continue
		}
		for _, t := range d.Tables {
			name := d.Name + "." + t.Schema + "." + t.Name
			switch {
			case !t.on(f.Sources):
			case !slices.Contains([]string{hash, modulo, random, replicated}, t.Locator):
				pinned = append(pinned, name)
			case t.Unlogged:
				unlogged = append(unlogged, name)
			}
		}
	}
	if len(pinned) > 0 {
		all = append(all, "the engine cannot divide tables by list, range or hashmap: "+some(pinned)+"; distribute them by hash first")
	}
	if len(unlogged) > 0 {
		all = append(all, "unlogged tables have no rows in a copy: "+some(unlogged)+"; ALTER TABLE … SET LOGGED first")
	}
	return append(all, f.noRoom()...)
}

// noRoom are the nodes that cannot do what a division takes.
func (f Facts) noRoom() (all []string) {
	for _, node := range slices.Sorted(maps.Keys(f.Senders)) {
		// One copies the files and one the log meanwhile.
		if need := 2 * f.Copies; f.Senders[node] < need {
			all = append(all, fmt.Sprintf("%s can send its log to %d more, and its copies need %d: set max_wal_senders higher", node, f.Senders[node], need))
		}
	}
	for _, node := range slices.Sorted(maps.Keys(f.Slots)) {
		if f.Slots[node] < f.Copies {
			all = append(all, fmt.Sprintf("%s can have %d more replication slots, and its copies need %d: set max_replication_slots higher", node, f.Slots[node], f.Copies))
		}
	}
	for _, node := range slices.Sorted(maps.Keys(f.Full)) {
		all = append(all, fmt.Sprintf("%s has no room for one more background worker (max_worker_processes = %d): set it higher", node, f.Full[node]))
	}
	return all
}

// refusal tells why a whole database stands against it.
func (d Database) refusal(sources []string) string {
	switch {
	case (d.Template || d.Closed) && slices.ContainsFunc(d.Tables, func(t Table) bool { return t.on(sources) }):
		return fmt.Sprintf("the engine leaves templates and databases that nobody can connect to undivided, and %s holds tables", d.Name)
	case d.Closed && !d.Template:
		return fmt.Sprintf("the engine leaves databases undivided that nobody can connect to, and whether %s holds tables cannot be seen", d.Name)
	case d.Bytes > mostHidden && d.Hides(sources):
		return fmt.Sprintf("database %s has tables that are distributed at random, so that the cluster would be held until all of its %d GiB on one datanode have been read: distribute them by hash first",
			d.Name, d.Bytes>>30)
	}
	return ""
}

func some(names []string) string {
	if len(names) > listed {
		return strings.Join(names[:listed], ", ") + fmt.Sprintf(" and %d more", len(names)-listed)
	}
	return strings.Join(names, ", ")
}
