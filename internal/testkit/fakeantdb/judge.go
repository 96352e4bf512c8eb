// SPDX-License-Identifier: Apache-2.0

package fakeantdb

import (
	"slices"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// judgeDrops writes down what must not be dropped from a catalog.
func (w *World) judgeDrops(p *process) {
	if p.disk.given == nil {
		return
	}
	for _, row := range p.disk.given.Known(p.disk.rows) {
		if slices.ContainsFunc(p.disk.given.Nodes, func(n topology.Node) bool { return n.Name == row.Name }) {
			continue
		}
		x := w.node(row.Name)
		if x == nil || x.Join && x.disk.join.Phase != instanceapi.JoinKept && (x.disk.joined == nil || x.disk.joined.Kind != instanceapi.JoinClone) {
			continue
		}
		for table, on := range w.tables {
			if slices.Contains(on, row.Name) {
				w.violate("%s is dropped from the catalog of %s while it holds table %s", row.Name, p.Node, table)
			}
		}
		if x.Role == antdb.RoleCoordinator && x.up() && (x.drain == nil || !x.drain.Done || len(w.Undecided[x.Node]) > 0) {
			w.violate("%s is dropped from the catalog of %s while it works", row.Name, p.Node)
		}
	}
}

// judgeThrownAway: data of a node that tables lie on must not be made anew.
func (w *World) judgeThrownAway(p *process) {
	for table, on := range w.tables {
		if slices.Contains(on, p.Node) {
			w.violate("the data of %s is thrown away while it holds table %s", p.Node, table)
		}
	}
}

// judgeKept: a node must not be kept unless it is registered everywhere and holds the same schema as gc.
func (w *World) judgeKept(p *process) {
	if p.disk.join.Phase == instanceapi.JoinKept {
		return
	}
	gc := w.node(antdb.GTMNode)
	if gc != nil && gc.disk.schema != p.disk.schema {
		w.violate("%s is kept with schema %d while gc has %d", p.Node, p.disk.schema, gc.disk.schema)
	}
	for _, x := range w.processes {
		if x.Role.HoldsCatalog() && !w.outside(x.Node) && !slices.ContainsFunc(x.disk.rows, func(r topology.Node) bool { return r.Name == p.Node }) {
			w.violate("%s is kept while %s does not know it", p.Node, x.Node)
		}
	}
}
