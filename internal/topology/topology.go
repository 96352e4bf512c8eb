// SPDX-License-Identifier: Apache-2.0

// Package topology treats pgxc_node as a value: the rows that every coordinator shall hold, the difference to the
// rows that one of them does hold, and the SQL that makes them equal.
//
// It is the only place that writes SQL about nodes. It never runs a statement and knows no database connection.
package topology

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// Node is one row of pgxc_node, without what the engine makes of it (node_id) and what is local to one catalog (OIDs).
type Node struct {
	Name      string         `json:"name"`
	Type      antdb.NodeType `json:"type"`
	Host      string         `json:"host"`
	Port      int            `json:"port"`
	Primary   bool           `json:"primary,omitempty"`
	Preferred bool           `json:"preferred,omitempty"`
	GTM       bool           `json:"gtm,omitempty"`
}

// String is the row as a person would write it down.
func (n Node) String() string {
	words := []string{n.Name, string(n.Type), n.Host + ":" + strconv.Itoa(n.Port)}
	for _, f := range []struct {
		set  bool
		word string
	}{{n.Primary, "primary"}, {n.Preferred, "preferred"}, {n.GTM, "gtm"}} {
		if f.set {
			words = append(words, f.word)
		}
	}
	return strings.Join(words, " ")
}

// Topology is the set of rows that every coordinator shall hold, in the order gc, coordinators, datanodes.
type Topology struct {
	Nodes []Node `json:"nodes"`
	// Pending are rows that may be there or not, and are left alone either way: gc itself is about to make them, together
	// with something else that belongs to the same transaction.
	Pending []Node `json:"pending,omitempty"`
}

// Known is a catalog without the rows that may be there or not.
func (t Topology) Known(have []Node) []Node {
	pending := index(t.Pending)
	return slices.DeleteFunc(slices.Clone(have), func(n Node) bool { _, is := pending[n.Name]; return is })
}

// Holds names what a catalog holds, so that it can be compared with the hash of this topology.
func (t Topology) Holds(have []Node) string {
	return Topology{Nodes: t.Known(have), Pending: t.Pending}.Hash()
}

// Hash names a topology; equal topologies have equal hashes whatever the order of their rows.
func (t Topology) Hash() string {
	byName := func(rows []Node) []Node {
		return slices.SortedFunc(slices.Values(rows), func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	}
	var value any = byName(t.Nodes)
	if len(t.Pending) > 0 {
		value = [][]Node{byName(t.Nodes), byName(t.Pending)}
	}
	text, err := json.Marshal(value)
	if err != nil { // a struct of strings, numbers and booleans always marshals
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// Without returns the topology less the named nodes.
func (t Topology) Without(names ...string) Topology {
	if len(names) == 0 {
		return t
	}
	rows := slices.DeleteFunc(slices.Clone(t.Nodes), func(n Node) bool { return slices.Contains(names, n.Name) })
	return Topology{Nodes: rows, Pending: t.Pending}
}

// Statement is one autocommit statement with its reason. The engine refuses to change a node inside a transaction
// that used it, so statements are never grouped.
type Statement struct {
	SQL string `json:"sql"`
	Why string `json:"why"`
}

// ReloadPool makes a coordinator's pooler forget what it knew of the nodes. It follows every change.
const ReloadPool = "select pgxc_pool_reload()"

// Select reads pgxc_node into Node, one column a field, in the order of the struct.
const Select = "select node_name::text, node_type::text, node_host::text, node_port::int4, " +
	"nodeis_primary, nodeis_preferred, nodeis_gtm from pgxc_node order by node_name::text"

// Diff lists the statements that make the catalog of node self equal to want. have is that catalog as it is.
//
// The own row is altered, never dropped (the engine refuses that), and created in a catalog that was copied from another
// node; missing rows are created; rows that nobody wants are dropped; equal rows are left alone. A row that changes its
// type is an error: a node keeps its role for life, and dropping a datanode's row would leave its tables without a home.
func Diff(self string, have, want []Node) ([]Statement, error) {
	byName := index(have)
	var creates, alters, drops []Statement
	for _, w := range ordered(want) {
		h, exists := byName[w.Name]
		switch {
		case !exists:
			creates = append(creates, Statement{SQL: create(w), Why: "missing: " + w.String()})
		case h == w:
		case h.Type != w.Type && w.Name != self:
			return nil, fmt.Errorf("diff catalog of %s: row %s is a %s and shall be a %s: a node keeps its type for life",
				self, w.Name, h.Type.Word(), w.Type.Word())
		default:
			alters = append(alters, Statement{SQL: alter(w), Why: fmt.Sprintf("differs: is %s, shall be %s", h, w)})
		}
	}
	wanted := index(want)
	for _, h := range ordered(have) {
		if _, ok := wanted[h.Name]; ok {
			continue
		}
		if h.Name == self {
			return nil, fmt.Errorf("diff catalog of %s: its own row is not wanted, and the engine cannot drop it", self)
		}
		drops = append(drops, Statement{SQL: drop(h), Why: "unwanted: " + h.String()})
	}
	// Drops come first: the row that goes may be the one that holds the primary flag.
	all := slices.Concat(drops, alters, creates)
	if len(all) > 0 {
		all = append(all, Statement{SQL: ReloadPool, Why: "rows changed"})
	}
	return all, nil
}

// Differences tells in words what Diff would repair, one line a row, sorted.
func Differences(have, want []Node) []string {
	var out []string
	byName, wanted := index(have), index(want)
	for _, w := range want {
		switch h, ok := byName[w.Name]; {
		case !ok:
			out = append(out, "missing: "+w.String())
		case h != w:
			out = append(out, fmt.Sprintf("differs: is %s, shall be %s", h, w))
		}
	}
	for _, h := range have {
		if _, ok := wanted[h.Name]; !ok {
			out = append(out, "unwanted: "+h.String())
		}
	}
	slices.Sort(out)
	return out
}

// ordered puts a row that gives up the primary flag before the one that takes it: at most one may have it.
func ordered(nodes []Node) []Node {
	out := slices.Clone(nodes)
	slices.SortStableFunc(out, func(a, b Node) int {
		if a.Primary != b.Primary {
			if b.Primary {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

func index(nodes []Node) map[string]Node {
	m := make(map[string]Node, len(nodes))
	for _, n := range nodes {
		m[n.Name] = n
	}
	return m
}

func create(n Node) string { return "CREATE NODE " + Identifier(n.Name) + options(n) }

// Create is the statement that makes a row on this node, or on others that it knows.
func Create(n Node, on ...string) string {
	sql := create(n)
	if len(on) > 0 {
		sql += " ON (" + list(on) + ")"
	}
	return sql
}

// Divide is the statement, for gc, that divides the tables of all databases: what lies on a datanode then lies on it and on
// its copies, in equal shares.
func Divide(copies map[string][]string) string {
	var all []string
	for _, source := range slices.Sorted(maps.Keys(copies)) {
		all = append(all, Identifier(source)+" TO ("+list(copies[source])+")")
	}
	return "ALTER NODE DATA (" + strings.Join(all, ", ") + ")"
}

// CleanDivided is the statement, for gc and each database, that removes the rows that lie twice since then.
const CleanDivided = "ALTER NODE DATA CLEAN"

// On is a query that one other node answers.
func On(node, query string) string {
	return "EXECUTE DIRECT ON (" + Identifier(node) + ") " + Literal(query)
}

func list(names []string) string {
	quoted := make([]string, 0, len(names))
	for _, n := range names {
		quoted = append(quoted, Identifier(n))
	}
	return strings.Join(quoted, ", ")
}

func alter(n Node) string { return "ALTER NODE " + Identifier(n.Name) + options(n) }

func drop(n Node) string { return "DROP NODE " + Identifier(n.Name) }

// options are the WITH clause. PRIMARY and PREFERRED are legal only for datanodes.
func options(n Node) string {
	o := []string{
		"TYPE = " + Literal(n.Type.Word()),
		"HOST = " + Literal(n.Host),
		"PORT = " + strconv.Itoa(n.Port),
	}
	if n.Type == antdb.TypeDatanode {
		o = append(o, "PRIMARY = "+boolean(n.Primary), "PREFERRED = "+boolean(n.Preferred))
	} else {
		o = append(o, "GTM = "+boolean(n.GTM))
	}
	return " WITH (" + strings.Join(o, ", ") + ")"
}

func boolean(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// Identifier quotes a name for SQL.
func Identifier(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// Literal quotes a text for SQL. A backslash needs no care: standard_conforming_strings is on.
func Literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
