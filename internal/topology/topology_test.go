// SPDX-License-Identifier: Apache-2.0

package topology_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

func gc() topology.Node {
	return topology.Node{Name: "gc", Type: antdb.TypeCoordinator, Host: "demo-gc-h.ns.svc", Port: 5432, GTM: true}
}

func cn(name string) topology.Node {
	return topology.Node{Name: name, Type: antdb.TypeCoordinator, Host: "demo-" + name + "-h.ns.svc", Port: 5432}
}

func dn(name string) topology.Node {
	return topology.Node{Name: name, Type: antdb.TypeDatanode, Host: "demo-" + name + "-h.ns.svc", Port: 5432}
}

func primary(n topology.Node) topology.Node {
	n.Primary = true
	return n
}

func at(n topology.Node, host string) topology.Node {
	n.Host = host
	return n
}

// asInitdbMadeIt is the row that a new node has for itself.
func asInitdbMadeIt(name string) topology.Node {
	return topology.Node{Name: name, Type: antdb.TypeCoordinator, Host: "localhost", Port: 5432}
}

const reload = "select pgxc_pool_reload()"

func TestDiffWritesTheStatementsThatMakeACatalogEqual(t *testing.T) {
	full := []topology.Node{gc(), cn("cn1"), primary(dn("dn1")), dn("dn2")}
	for name, c := range map[string]struct {
		self       string
		have, want []topology.Node
		sql        []string
	}{
		"nothing to do means no statement, not even a reload": {
			self: "cn1", have: full, want: full,
		},
		"the order of the rows is no difference": {
			self: "cn1", have: []topology.Node{dn("dn2"), primary(dn("dn1")), cn("cn1"), gc()}, want: full,
		},
		"a new coordinator alters its own row and creates the others, the primary last": {
			self: "cn1", have: []topology.Node{asInitdbMadeIt("cn1")}, want: full,
			sql: []string{
				`ALTER NODE "cn1" WITH (TYPE = 'coordinator', HOST = 'demo-cn1-h.ns.svc', PORT = 5432, GTM = false)`,
				`CREATE NODE "dn2" WITH (TYPE = 'datanode', HOST = 'demo-dn2-h.ns.svc', PORT = 5432, PRIMARY = false, PREFERRED = false)`,
				`CREATE NODE "gc" WITH (TYPE = 'coordinator', HOST = 'demo-gc-h.ns.svc', PORT = 5432, GTM = true)`,
				`CREATE NODE "dn1" WITH (TYPE = 'datanode', HOST = 'demo-dn1-h.ns.svc', PORT = 5432, PRIMARY = true, PREFERRED = false)`,
				reload,
			},
		},
		"a copy of another coordinator creates its own row like any other": {
			self: "cn2", have: []topology.Node{gc(), cn("cn1")}, want: []topology.Node{gc(), cn("cn1"), cn("cn2")},
			sql: []string{`CREATE NODE "cn2" WITH (TYPE = 'coordinator', HOST = 'demo-cn2-h.ns.svc', PORT = 5432, GTM = false)`, reload},
		},
		"an extra row is dropped": {
			self: "gc", have: append(slices.Clone(full), cn("cn9")), want: full,
			sql: []string{`DROP NODE "cn9"`, reload},
		},
		"a row with another address is altered and the equal ones are left alone": {
			self: "gc", have: []topology.Node{gc(), cn("cn1"), primary(dn("dn1")), at(dn("dn2"), "10.0.0.9")}, want: full,
			sql: []string{
				`ALTER NODE "dn2" WITH (TYPE = 'datanode', HOST = 'demo-dn2-h.ns.svc', PORT = 5432, PRIMARY = false, PREFERRED = false)`,
				reload,
			},
		},
		"the old primary gives up the flag before the new one takes it": {
			self: "gc", have: full, want: []topology.Node{gc(), cn("cn1"), dn("dn1"), primary(dn("dn2"))},
			sql: []string{
				`ALTER NODE "dn1" WITH (TYPE = 'datanode', HOST = 'demo-dn1-h.ns.svc', PORT = 5432, PRIMARY = false, PREFERRED = false)`,
				`ALTER NODE "dn2" WITH (TYPE = 'datanode', HOST = 'demo-dn2-h.ns.svc', PORT = 5432, PRIMARY = true, PREFERRED = false)`,
				reload,
			},
		},
		"the flag moves from the later name to the earlier in the same order": {
			self: "gc", have: []topology.Node{gc(), dn("dn1"), primary(dn("dn2"))}, want: []topology.Node{gc(), primary(dn("dn1")), dn("dn2")},
			sql: []string{
				`ALTER NODE "dn2" WITH (TYPE = 'datanode', HOST = 'demo-dn2-h.ns.svc', PORT = 5432, PRIMARY = false, PREFERRED = false)`,
				`ALTER NODE "dn1" WITH (TYPE = 'datanode', HOST = 'demo-dn1-h.ns.svc', PORT = 5432, PRIMARY = true, PREFERRED = false)`,
				reload,
			},
		},
		"a primary that nobody wants goes before another row takes the flag": {
			self: "gc", have: []topology.Node{gc(), primary(dn("dn1")), dn("dn2")}, want: []topology.Node{gc(), primary(dn("dn2"))},
			sql: []string{
				`DROP NODE "dn1"`,
				`ALTER NODE "dn2" WITH (TYPE = 'datanode', HOST = 'demo-dn2-h.ns.svc', PORT = 5432, PRIMARY = true, PREFERRED = false)`,
				reload,
			},
		},
		"the own row may change its type, since initdb always writes coordinator": {
			self: "gc", have: []topology.Node{{Name: "gc", Type: antdb.TypeDatanode, Host: "localhost", Port: 5432}}, want: []topology.Node{gc()},
			sql: []string{`ALTER NODE "gc" WITH (TYPE = 'coordinator', HOST = 'demo-gc-h.ns.svc', PORT = 5432, GTM = true)`, reload},
		},
		"names and addresses are quoted": {
			self: "gc", have: []topology.Node{gc(), cn(`a"b`)}, want: []topology.Node{gc(), at(cn("cn1"), "o'brien")},
			sql: []string{
				`DROP NODE "a""b"`,
				`CREATE NODE "cn1" WITH (TYPE = 'coordinator', HOST = 'o''brien', PORT = 5432, GTM = false)`,
				reload,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			statements, err := topology.Diff(c.self, c.have, c.want)
			if err != nil {
				t.Fatal(err)
			}
			var sql []string
			for _, s := range statements {
				sql = append(sql, s.SQL)
				if s.Why == "" {
					t.Errorf("%s has no reason", s.SQL)
				}
			}
			if d := cmp.Diff(c.sql, sql); d != "" {
				t.Errorf("statements (-want +got):\n%s", d)
			}
		})
	}
}

func TestDiffRefusesWhatWouldLoseANode(t *testing.T) {
	for name, c := range map[string]struct {
		self       string
		have, want []topology.Node
		words      []string
	}{
		"a datanode cannot become a coordinator": {
			self: "gc", have: []topology.Node{gc(), dn("x1")}, want: []topology.Node{gc(), cn("x1")},
			words: []string{"x1", "is a datanode and shall be a coordinator", "keeps its type for life"},
		},
		"a coordinator cannot become a datanode": {
			self: "gc", have: []topology.Node{gc(), cn("x1")}, want: []topology.Node{gc(), dn("x1")},
			words: []string{"x1", "is a coordinator and shall be a datanode"},
		},
		"the own row cannot be dropped": {
			self: "cn2", have: []topology.Node{gc(), cn("cn2")}, want: []topology.Node{gc()},
			words: []string{"cn2", "its own row is not wanted"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			statements, err := topology.Diff(c.self, c.have, c.want)
			if err == nil {
				t.Fatalf("it was planned: %v", statements)
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the refusal does not say %q: %v", w, err)
				}
			}
		})
	}
}

func TestDifferencesTellsWhatDiffWouldRepair(t *testing.T) {
	have := []topology.Node{gc(), at(cn("cn1"), "10.0.0.9"), dn("dn1"), cn("cn9")}
	want := []topology.Node{gc(), cn("cn1"), primary(dn("dn1")), dn("dn2")}
	expected := []string{
		"differs: is cn1 C 10.0.0.9:5432, shall be cn1 C demo-cn1-h.ns.svc:5432",
		"differs: is dn1 D demo-dn1-h.ns.svc:5432, shall be dn1 D demo-dn1-h.ns.svc:5432 primary",
		"missing: dn2 D demo-dn2-h.ns.svc:5432",
		"unwanted: cn9 C demo-cn9-h.ns.svc:5432",
	}
	if d := cmp.Diff(expected, topology.Differences(have, want)); d != "" {
		t.Errorf("differences (-want +got):\n%s", d)
	}
	if got := topology.Differences(want, want); len(got) != 0 {
		t.Errorf("equal catalogs differ: %v", got)
	}
}

func TestHashNamesTheRowsWhateverTheirOrder(t *testing.T) {
	a := topology.Topology{Nodes: []topology.Node{gc(), cn("cn1"), dn("dn1")}}
	b := topology.Topology{Nodes: []topology.Node{dn("dn1"), gc(), cn("cn1")}}
	if a.Hash() != b.Hash() {
		t.Errorf("the order of rows changes the hash: %s and %s", a.Hash(), b.Hash())
	}
	if a.Nodes[0].Name != "gc" {
		t.Error("Hash changes the order of the rows it was handed")
	}
	seen := map[string]string{a.Hash(): "the original"}
	for name, change := range map[string]func(*topology.Node){
		"another host":      func(n *topology.Node) { n.Host = "elsewhere" },
		"another port":      func(n *topology.Node) { n.Port = 5433 },
		"another type":      func(n *topology.Node) { n.Type = antdb.TypeCoordinator },
		"a primary":         func(n *topology.Node) { n.Primary = true },
		"a preferred row":   func(n *topology.Node) { n.Preferred = true },
		"a row named twice": func(n *topology.Node) { n.Name = "dn2" },
		"a gtm row":         func(n *topology.Node) { n.GTM = true },
	} {
		c := topology.Topology{Nodes: slices.Clone(a.Nodes)}
		change(&c.Nodes[2])
		if other, taken := seen[c.Hash()]; taken {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[c.Hash()] = name
	}
}

func TestWithoutLeavesOutNamedNodesOnly(t *testing.T) {
	full := topology.Topology{Nodes: []topology.Node{gc(), cn("cn1"), cn("cn2"), dn("dn1")}}
	got := full.Without("cn2", "nobody")
	if d := cmp.Diff([]topology.Node{gc(), cn("cn1"), dn("dn1")}, got.Nodes); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
	if len(full.Nodes) != 4 || full.Nodes[2].Name != "cn2" {
		t.Errorf("the original was changed: %v", full.Nodes)
	}
	if full.Without().Hash() != full.Hash() {
		t.Error("leaving out nobody changes the topology")
	}
}
