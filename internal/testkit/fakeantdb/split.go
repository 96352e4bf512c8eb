// SPDX-License-Identifier: Apache-2.0

package fakeantdb

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// splitting is what a world knows of datanodes that are divided.
type splitting struct {
	// FailSplits is how many of the next splits fail after the copies have become primaries, BusySplits how many tries give
	// way to transactions before.
	FailSplits, BusySplits int
	// CannotSplit is why the engine cannot do it at all.
	CannotSplit string

	doubled []string // tables of which rows lie twice
}

// Slots are the slots that there are, by datanode.
func (w *World) Slots() map[string][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string][]string{}
	for _, p := range w.processes {
		if len(p.disk.slots) > 0 {
			out[p.Node] = slices.Clone(p.disk.slots)
		}
	}
	return out
}

// Doubled are the tables of which rows lie twice.
func (w *World) Doubled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.doubled)
}

// cloned makes a new datanode what its source is; true says that it worked.
func (w *World) cloned(p, source *process) bool {
	j := p.disk.joined
	if !slices.Contains(source.disk.slots, j.Slot) {
		return false
	}
	p.disk.rows, p.disk.schema, p.disk.initialized, p.disk.given = slices.Clone(source.disk.rows), source.disk.schema, true, nil
	p.disk.follows = source.Node
	p.disk.join.Phase, p.phase, p.left = instanceapi.JoinMade, instanceapi.StateStarting, 1
	return true
}

// followStep brings what is new on the source to a copy that runs.
func (w *World) followStep(p *process) {
	source := w.node(p.disk.follows)
	if p.disk.follows == "" || !p.up() || source == nil || !source.up() || !slices.Contains(source.disk.slots, p.disk.joined.Slot) {
		p.close = false
		return
	}
	p.disk.schema, p.close = source.disk.schema, true
}

// following tells whether a copy follows closely and would become a primary at a mark.
func (w *World) following(pair instanceapi.Pair, mark string) bool {
	p := w.node(pair.Target.Name)
	return p != nil && p.up() && p.close && p.disk.follows == pair.Source && p.disk.joined.Mark == mark
}

// splitStep brings a split forward: first the copies become primaries, then everything is divided in one transaction.
func (w *World) splitStep(gc *process) {
	s := gc.split
	if s == nil || s.Phase != instanceapi.SplitRunning || !w.answers(gc) {
		return
	}
	order := gc.splitting
	switch {
	case w.isDivided(gc, &order):
		s.Phase = instanceapi.SplitDone
		return
	case gc.promoted:
		gc.promoted = false
		if w.FailSplits > 0 {
			w.FailSplits--
			s.Phase, s.Message = instanceapi.SplitFailed, "a datanode went away"
			return
		}
		w.divide(s, &order)
		return
	case order.Cancel:
		s.Phase = instanceapi.SplitCancelled
		return
	case w.BusySplits > 0:
		w.BusySplits--
		s.Retries++
		return
	}
	for _, pair := range order.Pairs {
		if !w.following(pair, order.Mark) {
			s.Phase, s.Message = instanceapi.SplitFailed, pair.Target.Name+" does not follow "+pair.Source
			return
		}
	}
	for _, pair := range order.Pairs {
		w.node(pair.Target.Name).disk.follows = ""
	}
	gc.promoted = true
}

// crash ends what runs on a server: a transaction that has not been committed never was.
func (p *process) crash() {
	if p.split != nil && p.split.Phase == instanceapi.SplitRunning {
		p.split.Phase, p.split.Message, p.promoted = instanceapi.SplitFailed, "gc went away", false
	}
}

// divide is one transaction over all nodes: it happens everywhere or nowhere.
func (w *World) divide(s *instanceapi.SplitStatus, order *instanceapi.Split) {
	if why := w.hindrance(order); why != "" {
		s.Phase, s.Message = instanceapi.SplitFailed, why
		return
	}
	for _, pair := range order.Pairs {
		if target, source := w.node(pair.Target.Name), w.node(pair.Source); target.disk.schema != source.disk.schema || target.disk.join.Phase != instanceapi.JoinMade {
			w.violate("%s is divided with %s, which is no copy of it any more", pair.Source, pair.Target.Name)
		}
	}
	for _, p := range w.processes {
		if !p.Role.HoldsCatalog() {
			continue
		}
		for _, pair := range order.Pairs {
			p.disk.rows = slices.Concat(topology.Topology{Nodes: p.disk.rows}.Without(pair.Target.Name).Nodes, []topology.Node{pair.Target})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.tables)) {
		before := w.tables[name]
		for _, pair := range order.Pairs {
			if slices.Contains(before, pair.Source) {
				w.tables[name] = append(slices.Clone(w.tables[name]), pair.Target.Name)
			}
		}
		if len(w.tables[name]) > len(before) {
			w.doubled = append(w.doubled, name)
		}
	}
	s.Phase, s.Message = instanceapi.SplitDone, "divided"
}

// hindrance is a node that cannot take part.
func (w *World) hindrance(order *instanceapi.Split) string {
	for _, p := range w.processes {
		if p.Role.HoldsCatalog() && !p.up() {
			return p.Node + " is down"
		}
	}
	for _, pair := range order.Pairs {
		for _, name := range []string{pair.Source, pair.Target.Name} {
			if p := w.node(name); p == nil || !p.up() {
				return name + " is down"
			}
		}
	}
	return ""
}

// isDivided tells whether gc's catalog says so.
func (w *World) isDivided(gc *process, order *instanceapi.Split) bool {
	for _, pair := range order.Pairs {
		if !slices.ContainsFunc(gc.disk.rows, func(r topology.Node) bool { return r.Name == pair.Target.Name }) {
			return false
		}
	}
	return true
}

func (w *World) cleanStep(gc *process) {
	c := gc.clean
	if c == nil || c.Phase != instanceapi.CleanRunning || !w.answers(gc) {
		return
	}
	if len(w.doubled) == 0 {
		c.Phase = instanceapi.CleanDone
		return
	}
	w.doubled = w.doubled[1:]
}

// Feed keeps the log for copies.
func (i *Instance) Feed(ctx context.Context, f instanceapi.Feed) (s instanceapi.FeedStatus, err error) {
	return s, i.on(ctx, true, func(w *World, p *process) error {
		if p.Role != antdb.RoleDatanode {
			w.violate("%s is asked to keep its log for copies", p.Node)
		}
		if !w.answers(p) {
			return errors.New("no answer")
		}
		p.disk.slots = slices.Clone(f.Slots)
		s.Slots = p.disk.slots
		return nil
	})
}

// Split divides datanodes.
func (i *Instance) Split(ctx context.Context, o instanceapi.Split) error {
	return i.on(ctx, true, func(w *World, p *process) error {
		switch {
		case p.Role != antdb.RoleGTM:
			w.violate("%s is asked to divide datanodes", p.Node)
			return errors.New("only gc divides datanodes")
		case p.split != nil && p.split.Token == o.Token:
			p.splitting.Cancel = p.splitting.Cancel || o.Cancel
			return nil
		}
		p.splitting, p.split, p.promoted = o, &instanceapi.SplitStatus{Token: o.Token, Phase: instanceapi.SplitRunning}, false
		if !o.PlanOnly {
			return nil
		}
		p.split.Phase, p.split.Bytes = instanceapi.SplitPlanned, map[string]int64{}
		for _, pair := range o.Pairs {
			for _, on := range w.tables {
				if slices.Contains(on, pair.Source) {
					p.split.Bytes[pair.Source] += bytesOf
				}
			}
		}
		if w.CannotSplit != "" {
			p.split.Refusals = []string{w.CannotSplit}
		}
		if len(w.doubled) > 0 {
			p.split.Refusals = append(p.split.Refusals, "an earlier split is not cleaned up")
		}
		return nil
	})
}

// Clean removes what lies twice.
func (i *Instance) Clean(ctx context.Context, o instanceapi.Clean) error {
	return i.on(ctx, true, func(w *World, p *process) error {
		if p.Role != antdb.RoleGTM {
			w.violate("%s is asked to remove rows that lie twice", p.Node)
		}
		if p.clean == nil || p.clean.Token != o.Token {
			p.clean = &instanceapi.CleanStatus{Token: o.Token, Phase: instanceapi.CleanRunning, Message: "removing rows that lie twice"}
		}
		return nil
	})
}
