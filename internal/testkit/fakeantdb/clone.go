// SPDX-License-Identifier: Apache-2.0

package fakeantdb

import (
	"maps"
	"slices"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Clone is another world in the same state: a test begins in it without having to bring it about.
func (w *World) Clone() *World {
	w.mu.Lock()
	defer w.mu.Unlock()
	other := &World{
		InitdbSteps: w.InitdbSteps, WaitSteps: w.WaitSteps, volumes: map[string]*volume{}, processes: map[string]*process{},
		nodes: maps.Clone(w.nodes), journal: maps.Clone(w.journal), ran: maps.Clone(w.ran), orders: w.orders,
		restarts: maps.Clone(w.restarts), roles: maps.Clone(w.roles), violations: slices.Clone(w.violations), scaling: w.scaling.clone(),
	}
	disks := map[*volume]*volume{}
	for name, v := range w.volumes {
		disks[v] = v.clone()
		other.volumes[name] = disks[v]
	}
	for address, p := range w.processes {
		other.processes[address] = p.clone(disks[p.disk])
	}
	return other
}

func (s *scaling) clone() scaling {
	return scaling{
		FailJoins: s.FailJoins, FailMoves: s.FailMoves, Sessions: maps.Clone(s.Sessions), Undecided: maps.Clone(s.Undecided),
		Stale: maps.Clone(s.Stale), Free: maps.Clone(s.Free), tables: maps.Clone(s.tables), pinned: maps.Clone(s.pinned), made: s.made,
	}
}

// clone of a volume shares what is replaced as a whole and never changed.
func (v *volume) clone() *volume {
	other := *v
	other.rows, other.running = slices.Clone(v.rows), maps.Clone(v.running)
	return &other
}

func (p *process) clone(disk *volume) *process {
	other := *p
	other.disk, other.drift, other.todo = disk, slices.Clone(p.drift), slices.Clone(p.todo)
	other.lock, other.move, other.drain = copied(p.lock), copied(p.move), copied(p.drain)
	return &other
}

func copied[T instanceapi.LockStatus | instanceapi.MoveStatus | instanceapi.DrainStatus](p *T) *T {
	if p == nil {
		return nil
	}
	other := *p
	return &other
}
