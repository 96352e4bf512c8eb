// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/move"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

func newMover(m *Manager) *move.Mover {
	return &move.Mover{
		Open: func(ctx context.Context, database string) (move.Session, error) {
			if err := m.runsSQL(); err != nil {
				return nil, err
			}
			s, err := m.server.OpenMove(ctx, database)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Ways:      rescuing(m),
		Datanodes: m.catalog.Datanodes,
		Changed:   func() { m.refresh(nil) },
		Now:       time.Now,
		Sleep:     sleep,
		Log:       m.log,
	}
}

// runsSQL refuses what needs SQL while that does not come back.
func (m *Manager) runsSQL() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if message, ok := m.usable(); !ok {
		return serve.NotYet("SQL does not run on %s: %s", m.o.Launch.Node, message)
	}
	return nil
}

// Move begins to move rows between datanodes, or cancels that. It never waits: the status tells how far it is. An order
// does not outlive the instance manager, since one that is given again finds in the catalogs what is done already.
func (m *Manager) Move(_ context.Context, order instanceapi.Move) error {
	if err := m.onlyGC("rows are moved by gc"); err != nil {
		return err
	}
	if order.Token == "" || order.MaxPauseMillis <= 0 {
		return serve.Never("a move needs a token and a positive maxPauseMillis, not %q and %d", order.Token, order.MaxPauseMillis)
	}
	if err := m.runsSQL(); err != nil && !order.Cancel {
		return err
	}
	err := m.mover.Ask(m.life, order)
	if busy, ok := errors.AsType[*move.BusyError](err); ok {
		return serve.NotYet("%w", busy)
	}
	if err != nil {
		return serve.Never("%w", err)
	}
	return nil
}

// namedTables is how many tables an answer names at most.
const namedTables = 50

// Empty tells which tables of any database lie on a datanode, as gc's catalogs have it. Databases to which nobody can
// connect hold none; templates may.
func (m *Manager) Empty(ctx context.Context, datanode string) (instanceapi.Emptiness, error) {
	if err := m.onlyGC("gc tells what lies on a datanode"); err != nil {
		return instanceapi.Emptiness{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*writeLimit)
	defer cancel()
	db, err := m.open(ctx, dbadmin.Maintenance, writeLimit)
	if err != nil {
		return instanceapi.Emptiness{}, err
	}
	defer db.Close()
	databases, err := db.AllDatabases(ctx)
	if err != nil {
		return instanceapi.Emptiness{}, err
	}
	var found instanceapi.Emptiness
	for _, database := range databases {
		names, err := m.tablesOn(ctx, database, datanode)
		if err != nil {
			return instanceapi.Emptiness{}, err
		}
		found.Tables = append(found.Tables, names...)
	}
	found.Tables = found.Tables[:min(len(found.Tables), namedTables)]
	return found, nil
}

func (m *Manager) tablesOn(ctx context.Context, database, datanode string) ([]string, error) {
	db, err := m.open(ctx, database, writeLimit)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	tables, err := db.Tables(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range tables {
		if slices.Contains(t.Nodes, datanode) {
			names = append(names, t.WithDatabase())
		}
	}
	return names, nil
}
