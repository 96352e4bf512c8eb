// SPDX-License-Identifier: Apache-2.0

// Package catalog keeps a server's pgxc_node equal to the topology that the instance was given last.
//
// It never decides what the topology is, and writes no SQL: package topology does.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// ErrNotGiven says that nobody told the topology yet.
var ErrNotGiven = errors.New("no topology was given yet")

// Database is a connection to the server.
type Database interface {
	Catalog(context.Context) ([]topology.Node, error)
	Exec(ctx context.Context, sql string) error
}

// memory is what survives the pod.
type memory struct {
	instanceapi.Topology
	// SyncedHash is the hash of the topology that the catalog equalled last. A difference to that very topology is
	// drift; a difference to a newer one is work.
	SyncedHash string `json:"syncedHash"`
}

// Keeper keeps one catalog.
type Keeper struct {
	// Self is the node's own name and Path the file in which the topology is remembered.
	Self, Path string
	Log        *slog.Logger

	repair sync.Mutex // held while statements run

	mu     sync.Mutex // guards what follows
	given  *memory
	equal  bool
	status instanceapi.CatalogStatus
}

// Load brings back the topology from before.
func (k *Keeper) Load() error {
	var m memory
	found, err := durable.ReadJSON(k.Path, &m)
	if err != nil || !found {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.given = &m
	k.status.WantGeneration, k.status.WantHash = m.Generation, m.Hash()
	return nil
}

// Give takes a new topology and remembers it.
func (k *Keeper) Give(t instanceapi.Topology) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := memory{Topology: t}
	m.CompareFor = "" // it is asked once
	if k.given != nil {
		m.SyncedHash = k.given.SyncedHash
		if k.given.Generation == t.Generation && k.given.Hash() == t.Hash() {
			return nil
		}
	}
	if err := durable.WriteJSON(k.Path, m); err != nil {
		return fmt.Errorf("remember topology: %w", err)
	}
	k.equal = k.equal && k.given.Hash() == t.Hash()
	k.given = &m
	k.status.WantGeneration, k.status.WantHash = t.Generation, t.Hash()
	return nil
}

// Doubt forgets that the catalog is right. It follows every stop of the server.
func (k *Keeper) Doubt() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.equal, k.status.Have = false, ""
}

// Given tells whether there is a topology.
func (k *Keeper) Given() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.given != nil
}

// Equal tells whether the catalog equalled the topology when it was looked at last.
func (k *Keeper) Equal() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.equal
}

// Coordinators are the topology's coordinators, without gc.
func (k *Keeper) Coordinators() []topology.Node {
	return k.nodes(func(n topology.Node) bool { return n.Type == antdb.TypeCoordinator && !n.GTM })
}

// Datanodes are the topology's datanodes.
func (k *Keeper) Datanodes() []topology.Node {
	return k.nodes(func(n topology.Node) bool { return n.Type == antdb.TypeDatanode })
}

// Others are the topology's nodes without this one.
func (k *Keeper) Others() []topology.Node {
	return k.nodes(func(n topology.Node) bool { return n.Name != k.Self })
}

func (k *Keeper) nodes(of func(topology.Node) bool) []topology.Node {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.given == nil {
		return nil
	}
	var found []topology.Node
	for _, n := range k.given.Nodes {
		if of(n) {
			found = append(found, n)
		}
	}
	return found
}

// Status is what the instance tells of its catalog.
func (k *Keeper) Status() instanceapi.CatalogStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Repair makes the catalog equal to the topology and tells what it ran.
func (k *Keeper) Repair(ctx context.Context, db Database) ([]topology.Statement, error) {
	k.repair.Lock()
	defer k.repair.Unlock()
	k.mu.Lock()
	given := k.given
	k.mu.Unlock()
	if given == nil {
		return nil, ErrNotGiven
	}
	have, ran, err := k.run(ctx, db, given)
	if err != nil {
		err = fmt.Errorf("make pgxc_node of %s equal to the topology: %w", k.Self, err)
	}
	return ran, errors.Join(err, k.note(given, have, err))
}

// Answer notes that the catalog was compared for a request, and what was repaired. The same request is answered once.
func (k *Keeper) Answer(request string, ran []topology.Statement) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if request == "" || request == k.status.ComparedFor {
		return
	}
	k.status.ComparedFor, k.status.Repaired = request, nil
	for _, s := range ran {
		if s.SQL != topology.ReloadPool {
			k.status.Repaired = append(k.status.Repaired, s.Why)
		}
	}
}

// run compares, repairs and compares again.
func (k *Keeper) run(ctx context.Context, db Database, given *memory) (have []topology.Node, ran []topology.Statement, err error) {
	have, err = db.Catalog(ctx)
	if err != nil {
		return nil, nil, err
	}
	have = given.Known(have)
	todo, err := topology.Diff(k.Self, have, given.Nodes)
	if err != nil {
		return have, nil, err
	}
	if len(todo) == 0 {
		return have, nil, nil
	}
	k.noteDrift(given, have)
	for _, s := range todo {
		k.Log.Info("changing pgxc_node", "sql", s.SQL, "why", s.Why)
		if err := db.Exec(ctx, s.SQL); err != nil {
			return have, ran, fmt.Errorf("%s: %w", s.SQL, err)
		}
		ran = append(ran, s)
	}
	have, err = db.Catalog(ctx)
	if err != nil {
		return nil, ran, err
	}
	have = given.Known(have)
	if left := topology.Differences(have, given.Nodes); len(left) > 0 {
		return have, ran, fmt.Errorf("it still differs: %s", strings.Join(left, "; "))
	}
	return have, ran, nil
}

// noteDrift records a difference that nobody asked for.
func (k *Keeper) noteDrift(given *memory, have []topology.Node) {
	if given.SyncedHash != given.Hash() {
		return
	}
	rows := topology.Differences(have, given.Nodes)
	k.Log.Warn("pgxc_node was changed by somebody else and is repaired", "rows", rows)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Drift = rows
	k.status.DriftSeen++
}

// note records how a repair ended.
func (k *Keeper) note(given *memory, have []topology.Node, failure error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Error = ""
	if failure != nil {
		k.status.Error = failure.Error()
	}
	if have == nil { // it could not be read, which says nothing about what is in it
		return nil
	}
	k.status.Have = given.Holds(have)
	if failure != nil {
		k.equal = false
		return nil
	}
	if k.given != given { // a newer one came meanwhile
		return nil
	}
	k.equal = true
	if synced := given.Hash(); given.SyncedHash != synced {
		m := *given
		m.SyncedHash = synced
		if err := durable.WriteJSON(k.Path, m); err != nil {
			return fmt.Errorf("remember topology: %w", err)
		}
		k.given = &m
	}
	return nil
}
