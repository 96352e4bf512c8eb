// SPDX-License-Identifier: Apache-2.0

package examine

import (
	"maps"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/spec"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Comparison is pgxc_node of gc and every coordinator side by side.
type Comparison struct {
	// Holders are the nodes whose catalog was read; Silent those whose was not, with the reason.
	Holders []string          `json:"holders"`
	Silent  map[string]string `json:"silent,omitempty"`
	Rows    []CatalogRow      `json:"rows"`
	// Against says what they are compared with.
	Against string `json:"against"`
	// Left are coordinators that gc was told to forget.
	Left []string `json:"left,omitempty"`
}

// The sides that catalogs are compared with.
const (
	AgainstWanted = "the rows that the operator wants"
	AgainstGTM    = "gc, since an operation is changing the rows"
)

// CatalogRow is one node in all catalogs.
type CatalogRow struct {
	Node string `json:"node"`
	// Want is nil for a row that nobody wants.
	Want *topology.Node           `json:"want,omitempty"`
	Have map[string]topology.Node `json:"have"`
}

// Difference is one catalog's difference from what is wanted, in one row.
type Difference struct {
	Holder, Node string
	// Have and Want are rows in words; empty for one that is missing.
	Have, Want string
}

// Compare puts the catalogs side by side.
func Compare(f *Facts) Comparison {
	c := Comparison{Silent: map[string]string{}, Against: AgainstWanted, Left: f.Cluster.Status.Topology.Deregistered}
	want, known := wanted(f)
	rows := map[string]*CatalogRow{}
	row := func(node string) *CatalogRow {
		if rows[node] == nil {
			rows[node] = &CatalogRow{Node: node, Have: map[string]topology.Node{}}
		}
		return rows[node]
	}
	for _, holder := range f.holders() {
		p := f.Probes[holder]
		if len(p.Catalog) == 0 {
			c.Silent[holder] = silence(p)
			continue
		}
		c.Holders = append(c.Holders, holder)
		for _, n := range p.Catalog {
			row(n.Name).Have[holder] = n
		}
		if holder == antdb.GTMNode && !known {
			want, c.Against = topology.Topology{Nodes: p.Catalog}, AgainstGTM
		}
	}
	for _, n := range want.Nodes {
		row(n.Name).Want = &n
	}
	for _, name := range slices.SortedFunc(maps.Keys(rows), CompareNodes) {
		c.Rows = append(c.Rows, *rows[name])
	}
	return c
}

// wanted are the rows that the operator wants, unless an operation is changing them right now.
func wanted(f *Facts) (topology.Topology, bool) {
	addresses := map[string]string{}
	for _, n := range f.Cluster.Status.Nodes {
		addresses[n.Name] = n.ClusterIP
	}
	all := spec.Resolve(f.Cluster)
	t, ok := all.Topology(addresses)
	hash := f.Cluster.Status.Topology.Hash
	return t, ok && (hash == "" || hash == t.Hash())
}

// silence is why a catalog was not read.
func silence(p Probed) string {
	switch {
	case p.Err != "":
		return p.Err
	case p.SQL.Left:
		return "it waits, and is not asked"
	case p.SQL.Error != "":
		return p.SQL.Error
	case len(p.Problems) > 0:
		return strings.Join(p.Problems, "; ")
	}
	return "its catalog is empty"
}

// CompareNodes orders gc, coordinators, datanodes; strange names come last.
func CompareNodes(a, b string) int {
	rank := func(name string) (int, int) {
		role, number, err := antdb.ParseNodeName(name)
		switch {
		case err != nil:
			return 3, 0
		case role == antdb.RoleGTM:
			return 0, number
		case role == antdb.RoleCoordinator:
			return 1, number
		}
		return 2, number
	}
	ra, na := rank(a)
	rb, nb := rank(b)
	switch {
	case ra != rb:
		return ra - rb
	case na != nb:
		return na - nb
	}
	return strings.Compare(a, b)
}

// Differs tells whether a catalog differs from what is wanted in one row.
func (c *Comparison) Differs(r CatalogRow, holder string) bool {
	want, have := c.sides(r, holder)
	return want != have
}

// sides are the row as it is wanted and as it is, in words; empty for none.
func (c *Comparison) sides(r CatalogRow, holder string) (want, have string) {
	if n, ok := r.Have[holder]; ok {
		have = n.String()
	}
	left := holder == antdb.GTMNode && slices.Contains(c.Left, r.Node)
	if r.Want != nil && !left {
		want = r.Want.String()
	}
	return want, have
}

// Differences lists what differs, catalog by catalog.
func (c *Comparison) Differences() []Difference {
	var out []Difference
	for _, holder := range c.Holders {
		for _, r := range c.Rows {
			if want, have := c.sides(r, holder); want != have {
				out = append(out, Difference{Holder: holder, Node: r.Node, Have: have, Want: want})
			}
		}
	}
	return out
}

// Schemas groups the holders of catalogs by what users made there, the biggest group first: one group means that all
// hold the same objects and roles.
func Schemas(f *Facts) [][]string {
	groups := map[string][]string{}
	for _, holder := range f.holders() {
		if digest := f.Probes[holder].SchemaDigest; digest != "" {
			groups[digest] = append(groups[digest], holder)
		}
	}
	out := slices.Collect(maps.Values(groups))
	slices.SortFunc(out, func(a, b []string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return CompareNodes(a[0], b[0])
	})
	return out
}
