// SPDX-License-Identifier: Apache-2.0

package fakeantdb

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Kill kills the server of a node; its instance manager starts it again.
func (w *World) Kill(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.node(node); p != nil && p.up() {
		p.phase, p.left, p.boot, p.todo = instanceapi.StateStarting, 2, instanceapi.BootstrapState{}, nil
		p.loseLock("the server ended")
		p.crash()
	}
}

// Hide makes the instance of a node unreachable for the operator, while its server goes on.
func (w *World) Hide(node string, steps int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.node(node); p != nil {
		p.unreachable = steps
	}
}

// Drift changes the catalog of a node, as somebody with psql would: a row goes, another one comes.
func (w *World) Drift(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.node(node)
	if p == nil || !p.Role.HoldsCatalog() || !w.answers(p) {
		return
	}
	stranger := topology.Node{Name: "cn9", Type: antdb.TypeCoordinator, Host: "nowhere", Port: antdb.Port}
	rows := topology.Topology{Nodes: p.disk.rows}.Without("dn1", "cn9").Nodes
	p.disk.rows = append(slices.Clone(rows), stranger)
}

// DDL runs a statement of a user through a node, and tells how it was refused.
func (w *World) DDL(node string) (refusal string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.node(node)
	if p == nil {
		return "no such node"
	}
	return w.ddl(p)
}

// Violations are the rules that the operator broke.
func (w *World) Violations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.violations)
}

// Orders counts what instances were told to do since the last call.
func (w *World) Orders() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.orders
	w.orders = 0
	return n
}

// Catalogs are the catalogs of gc and all coordinators, in words.
func (w *World) Catalogs() map[string][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string][]string{}
	for _, p := range w.processes {
		if !p.Role.HoldsCatalog() {
			continue
		}
		var rows []string
		for _, r := range p.disk.rows {
			rows = append(rows, r.String())
		}
		slices.Sort(rows)
		out[p.Node] = rows
	}
	return out
}

// Bootstrapped counts how often each statement of the bootstrap ran.
func (w *World) Bootstrapped() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.ran)
}

// Restarts are the tokens of the restarts that the instance of a node carried out.
func (w *World) Restarts(node string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.restarts[node])
}

// Parameters are what the server of each node runs with, read from its files and from its last start.
func (w *World) Parameters(name string) map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]string{}
	for _, p := range w.processes {
		out[p.Node] = p.disk.config.Parameters[name]
		if slices.Contains(restarts, name) {
			out[p.Node] = p.disk.running[name]
		}
	}
	return out
}

// String is the state of every instance, for the message of a test that failed.
func (w *World) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out strings.Builder
	for _, address := range slices.Sorted(maps.Keys(w.processes)) {
		p := w.processes[address]
		fmt.Fprintf(&out, "%s %s: %s, answers %t, serves %t, waits %t, starts %d, pending %v, bootstrap %s\n", p.Node, address, p.phase,
			w.answers(p), w.serves(p), p.waits, p.starts, p.config().PendingRestart, p.boot.Phase)
	}
	return out.String()
}
