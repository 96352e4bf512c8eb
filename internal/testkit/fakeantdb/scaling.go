// SPDX-License-Identifier: Apache-2.0

package fakeantdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// leaseSteps is how long a lock outlives the last request.
const leaseSteps = 12

// bytesOf a table.
const bytesOf = 1 << 20

// scaling is what a world knows of growing and shrinking.
type scaling struct {
	// FailJoins and FailMoves are how many of the next ones fail.
	FailJoins, FailMoves int
	// Sessions of applications on a coordinator, Undecided two-phase transactions of it, Stale prepared ones of a datanode.
	Sessions  map[string]int
	Undecided map[string][]string
	Stale     map[string][]string
	// Free space of a node's volume, 1 GiB unless it is said.
	Free map[string]int64

	tables map[string][]string // by name, the datanodes that hold them
	pinned map[string]bool
	made   int
}

func newScaling() scaling {
	return scaling{
		Sessions: map[string]int{}, Undecided: map[string][]string{}, Stale: map[string][]string{}, Free: map[string]int64{},
		tables: map[string][]string{}, pinned: map[string]bool{},
	}
}

// Pin makes a table that lies on one datanode alone, where a user put it.
func (w *World) Pin(table, datanode string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tables[table], w.pinned[table] = []string{datanode}, true
}

// Tables are all tables with the datanodes that hold them.
func (w *World) Tables() map[string][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.tables)
}

// Locked tells whether DDL is kept out.
func (w *World) Locked() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	gc := w.node(antdb.GTMNode)
	return gc != nil && gc.lock != nil && (gc.lock.State == instanceapi.LockHeld || gc.lock.State == instanceapi.LockTaking)
}

// LoseLock ends the session that keeps DDL out.
func (w *World) LoseLock() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if gc := w.node(antdb.GTMNode); gc != nil {
		gc.loseLock("its session ended")
	}
}

// SetSessions puts sessions of applications on a coordinator.
func (w *World) SetSessions(node string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Sessions[node] = n
}

func (p *process) loseLock(why string) {
	if p.lock != nil && (p.lock.State == instanceapi.LockHeld || p.lock.State == instanceapi.LockTaking) {
		p.lock.State, p.lock.Message = instanceapi.LockLost, why
	}
}

// outside tells whether a node is not part of the cluster, or not for good, or about to leave.
func (w *World) outside(name string) bool {
	p, gc := w.node(name), w.node(antdb.GTMNode)
	if p != nil && (p.Join && p.disk.join.Phase != instanceapi.JoinKept || p.drain != nil) {
		return true
	}
	return gc != nil && len(gc.disk.rows) > 1 && !slices.ContainsFunc(gc.disk.rows, func(r topology.Node) bool { return r.Name == name })
}

func (w *World) scalingStatus(p *process, s *instanceapi.Status) {
	free, said := w.Free[p.Node]
	if !said {
		free = 1 << 30
	}
	s.Volume = &instanceapi.Volume{Capacity: max(free, 1<<30), Free: free}
	s.StalePrepared = w.Stale[p.Node]
	s.Slots, s.Primary = p.disk.slots, p.disk.follows == ""
	if s.Primary || p.close {
		s.LSN = "0/10"
	}
	if p.split != nil {
		x := *p.split
		s.Split = &x
	}
	if p.clean != nil {
		x := *p.clean
		s.Clean = &x
	}
	if p.lock != nil {
		l := *p.lock
		s.Lock = &l
	}
	if p.move != nil {
		m := *p.move
		s.Move = &m
	}
	if p.drain != nil {
		d := *p.drain
		d.Undecided = w.Undecided[p.Node]
		s.Drain = &d
	}
	if p.Join {
		j := p.disk.join
		s.Join = &j
		if j.Phase == instanceapi.JoinWaiting {
			s.Message = "it waits to be told where its data come from"
		}
	}
}

// joinStep lets the data of a new node come; true says that no server is to be started meanwhile.
func (w *World) joinStep(p *process) bool {
	if !p.Join || p.disk.initialized {
		return false
	}
	if p.disk.join.Phase != instanceapi.JoinRunning {
		return true
	}
	if p.left--; p.left > 0 {
		return true
	}
	source := w.byHost(p.disk.joined.From)
	if w.FailJoins > 0 || source == nil || !source.up() {
		w.FailJoins = max(0, w.FailJoins-1)
		p.disk.join.Phase, p.disk.join.Error = instanceapi.JoinFailed, "the copy broke off"
		return true
	}
	if p.disk.joined.Kind == instanceapi.JoinClone {
		if !w.cloned(p, source) {
			p.disk.join.Phase, p.disk.join.Error = instanceapi.JoinFailed, "there is no slot for it"
		}
		return true
	}
	own := topology.Node{Name: p.Node, Type: antdb.TypeOf(p.Role), Host: "localhost", Port: antdb.Port}
	p.disk.rows = append(slices.Clone(topology.Topology{Nodes: source.disk.rows}.Without(p.Node).Nodes), own)
	p.disk.schema, p.disk.initialized, p.disk.given = source.disk.schema, true, nil
	p.disk.join.Phase, p.phase, p.left = instanceapi.JoinMade, instanceapi.StateStarting, 1
	return true
}

// byHost is the process at an address of the catalog.
func (w *World) byHost(host string) *process {
	for _, p := range w.processes {
		for _, row := range p.disk.rows {
			if row.Host == host && w.node(row.Name) != nil {
				return w.node(row.Name)
			}
		}
	}
	return nil
}

func (w *World) lockStep(p *process) {
	if p.lock == nil || p.lock.State != instanceapi.LockHeld && p.lock.State != instanceapi.LockTaking {
		return
	}
	if p.lease--; p.lease <= 0 {
		p.loseLock("nobody asked for it any more")
		return
	}
	if p.lock.State == instanceapi.LockHeld {
		return
	}
	for _, row := range p.disk.rows {
		if x := w.node(row.Name); row.Type == antdb.TypeCoordinator && (x == nil || !x.up()) {
			p.lock.Message = "cannot lock while " + row.Name + " is down"
			return
		}
	}
	if w.answers(p) {
		p.lock.State, p.lock.Message = instanceapi.LockHeld, ""
	}
}

// moveStep moves one table.
func (w *World) moveStep(p *process) {
	m := p.move
	if m == nil || m.Phase != instanceapi.MoveRunning || !w.answers(p) {
		return
	}
	names := slices.Sorted(maps.Keys(w.tables))
	if p.moving.Cancel {
		m.Phase = instanceapi.MoveCancelled
		return
	}
	if w.FailMoves > 0 {
		w.FailMoves--
		m.Phase, m.Message = instanceapi.MoveFailed, "a lock could not be had"
		return
	}
	for _, name := range names {
		to, moves := w.target(name, &p.moving)
		if !moves {
			continue
		}
		w.tables[name] = to
		m.TablesDone, m.BytesDone = m.TablesDone+1, m.BytesDone+bytesOf
		return
	}
	m.Phase = instanceapi.MoveDone
}

// target tells where a table shall lie, and whether it must move for that.
func (w *World) target(name string, m *instanceapi.Move) (to []string, moves bool) {
	on := w.tables[name]
	switch {
	case len(m.Off) > 0:
		to = slices.DeleteFunc(slices.Clone(on), func(n string) bool { return slices.Contains(m.Off, n) })
	case w.pinned[name]:
		return on, false
	case m.All || sameSet(on, m.From):
		to = m.Onto
	default:
		return on, false
	}
	return to, len(to) > 0 && !sameSet(on, to)
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func (p *process) drainStep() {
	if p.drain == nil {
		return
	}
	p.drain.Sessions = max(0, p.drain.Sessions-1)
	p.drain.Done = p.drain.Sessions == 0
}

// created notes the table that a statement of DDL made, on all datanodes that the coordinator knows.
func (w *World) created(through *process) {
	var on []string
	for _, row := range through.disk.rows {
		if row.Type == antdb.TypeDatanode {
			on = append(on, row.Name)
		}
	}
	w.made++
	w.tables[fmt.Sprintf("t%d", w.made)] = on
}

// Lock keeps DDL out, or lets it in.
func (i *Instance) Lock(ctx context.Context, l instanceapi.Lock) (s instanceapi.LockStatus, err error) {
	return s, i.on(ctx, true, func(w *World, p *process) error {
		held := p.lock != nil && (p.lock.State == instanceapi.LockHeld || p.lock.State == instanceapi.LockTaking)
		switch {
		case p.Role != antdb.RoleGTM:
			w.violate("%s is asked for the lock", p.Node)
			return errors.New("only gc keeps DDL out")
		case !l.Hold && held && p.lock.Token == l.Token:
			p.lock.State, p.lock.Message = instanceapi.LockNone, ""
		case !l.Hold:
		case held && p.lock.Token != l.Token:
			return errors.New("another lock is held")
		case held:
			p.lease = leaseSteps
		case l.Renew || p.lock != nil && p.lock.Token == l.Token && p.lock.State == instanceapi.LockLost:
		default:
			p.lock, p.lease = &instanceapi.LockStatus{Token: l.Token, State: instanceapi.LockTaking}, leaseSteps
		}
		if p.lock != nil {
			s = *p.lock
		}
		return nil
	})
}

// Join makes the data of a new node.
func (i *Instance) Join(ctx context.Context, j instanceapi.Join) error {
	return i.on(ctx, true, func(w *World, p *process) error {
		have := &p.disk.join
		switch {
		case !p.Join:
			w.violate("%s is asked to join, and is a member", p.Node)
			return errors.New("this node is part of the cluster")
		case j.Keep && (have.Token != j.Token || have.Phase != instanceapi.JoinMade && have.Phase != instanceapi.JoinKept):
			return errors.New("there is nothing to keep")
		case j.Keep:
			w.judgeKept(p)
			have.Phase = instanceapi.JoinKept
		case have.Phase == instanceapi.JoinKept:
			w.violate("%s is asked to join again", p.Node)
		case have.Token == j.Token:
		default:
			w.judgeThrownAway(p)
			config := p.disk.config
			*p.disk = volume{config: config, join: instanceapi.JoinStatus{Token: j.Token, Phase: instanceapi.JoinRunning, Step: "copying"}, joined: &j}
			p.phase, p.left, p.equal = instanceapi.StateInitializing, 2, false
		}
		return nil
	})
}

// Drain lets sessions end.
func (i *Instance) Drain(ctx context.Context, d instanceapi.Drain) (s instanceapi.DrainStatus, err error) {
	return s, i.on(ctx, true, func(w *World, p *process) error {
		switch {
		case p.Role != antdb.RoleCoordinator:
			w.violate("%s is asked to drain", p.Node)
		case d.Stop:
			p.drain = nil
		case p.drain == nil || p.drain.Token != d.Token:
			p.drain = &instanceapi.DrainStatus{Token: d.Token, Sessions: w.Sessions[p.Node]}
		}
		return nil
	})
}

// Move moves rows.
func (i *Instance) Move(ctx context.Context, m instanceapi.Move) error {
	return i.on(ctx, true, func(w *World, p *process) error {
		if p.Role != antdb.RoleGTM {
			w.violate("%s is asked to move rows", p.Node)
			return errors.New("only gc moves rows")
		}
		if p.move != nil && p.move.Token == m.Token {
			p.moving.Cancel = m.Cancel
			return nil
		}
		p.moving, p.move = m, &instanceapi.MoveStatus{Token: m.Token, Phase: instanceapi.MoveRunning}
		for _, name := range slices.Sorted(maps.Keys(w.tables)) {
			switch to, moves := w.target(name, &m); {
			case moves:
				p.move.TablesTotal, p.move.BytesTotal = p.move.TablesTotal+1, p.move.BytesTotal+bytesOf
				p.move.Tables = append(p.move.Tables, instanceapi.TableMove{Database: "app", Table: name, Bytes: bytesOf})
			case len(to) == 0:
				p.move.Pinned = append(p.move.Pinned, name)
			}
		}
		switch {
		case m.PlanOnly:
			p.move.Phase = instanceapi.MovePlanned
		case len(p.move.Pinned) > 0:
			p.move.Phase, p.move.Message = instanceapi.MoveFailed, "a table is pinned"
		}
		return nil
	})
}

// Empty tells what is left on a datanode.
func (i *Instance) Empty(ctx context.Context, datanode string) (e instanceapi.Emptiness, err error) {
	return e, i.on(ctx, false, func(w *World, p *process) error {
		if !w.answers(p) {
			return errors.New("no answer")
		}
		for _, name := range slices.Sorted(maps.Keys(w.tables)) {
			if slices.Contains(w.tables[name], datanode) {
				e.Tables = append(e.Tables, name)
			}
		}
		return nil
	})
}
