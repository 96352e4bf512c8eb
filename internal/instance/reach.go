// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Limits of a reach: how long one node may take, and how many are asked at a time.
const (
	reachLimit    = 4 * time.Second
	reachParallel = 4
)

// Reach runs a statement through this coordinator on every other node, each on a connection of its own: one that hangs
// on a vanished address shall not hide the others. Rows need the datanodes, DDL needs the coordinators and gc as well.
func (m *Manager) Reach(ctx context.Context) (instanceapi.Reach, error) {
	if m.o.Launch.Role != antdb.RoleCoordinator {
		return instanceapi.Reach{}, serve.Never("%s is no coordinator: other nodes are reached through one", m.o.Launch.Node)
	}
	m.mu.Lock()
	message, ok := m.usable()
	m.mu.Unlock()
	if !ok {
		return instanceapi.Reach{}, serve.NotYet("SQL does not run on %s: %s", m.o.Launch.Node, message)
	}
	var mu sync.Mutex
	reach := instanceapi.Reach{Datanodes: map[string]string{}, Coordinators: map[string]string{}}
	var all errgroup.Group
	all.SetLimit(reachParallel)
	for _, node := range m.catalog.Others() {
		answers := reach.Coordinators
		if node.Type == antdb.TypeDatanode {
			answers = reach.Datanodes
		}
		all.Go(func() error {
			text := ""
			if err := m.reachOne(ctx, node.Name); err != nil {
				text = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			answers[node.Name] = text
			return nil
		})
	}
	return reach, all.Wait()
}

func (m *Manager) reachOne(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	db, err := m.open(ctx, dbadmin.Maintenance, reachLimit)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Reach(ctx, node)
}
