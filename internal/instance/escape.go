// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"fmt"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// restoreLimit is how long a gc may take to come up in restore mode: it recovers from its immediate stop first.
const restoreLimit = 2 * time.Minute

// escape drops nodes from gc's catalog while gc runs in restore mode, where it waits for nobody. Whatever happens, gc
// is started normally again.
func (m *Manager) escape(ctx context.Context, c supervise.Control, e instanceapi.Escape) (err error) {
	m.log.Warn("making gc forget nodes that it waits for", "drop", e.Drop, "token", e.Token)
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.known.escapeFor = ""
		if err != nil {
			m.facts.escapeError = err.Error()
		}
		m.tell()
	}()
	c.Stop(supervise.Immediate())
	defer c.Start(supervise.Normal)
	c.Start(supervise.Restore)
	defer c.Stop(supervise.Fast(m.o.Timing.WaitingStop))
	ctx, cancel := context.WithTimeout(ctx, restoreLimit)
	defer cancel()
	if err := c.AwaitAccepting(ctx); err != nil {
		return err
	}
	if err := m.drop(ctx, e.Drop); err != nil {
		return err
	}
	// Before gc runs normally again: its repair would bring the nodes back.
	if err := m.catalog.Give(e.Topology); err != nil {
		return err
	}
	if err := m.remember(func(t *tokens) { t.Escaped = e.Token }); err != nil {
		return err
	}
	m.mu.Lock()
	m.known.tokens.Escaped = e.Token
	m.mu.Unlock()
	return nil
}

// drop takes the rows out. The pooler does not run in restore mode, so it is not told; it reads the catalog when gc
// starts.
func (m *Manager) drop(ctx context.Context, names []string) error {
	db, err := m.server.Open(ctx, dbadmin.Maintenance, writeLimit)
	if err != nil {
		return err
	}
	defer db.Close()
	have, err := db.Catalog(ctx)
	if err != nil {
		return err
	}
	without := topology.Topology{Nodes: have}.Without(names...)
	todo, err := topology.Diff(m.o.Launch.Node, have, without.Nodes)
	if err != nil {
		return err
	}
	for _, s := range todo {
		if s.SQL == topology.ReloadPool {
			continue
		}
		if err := db.Exec(ctx, s.SQL); err != nil {
			return fmt.Errorf("%s: %w", s.SQL, err)
		}
		m.log.Info("node dropped", "sql", s.SQL)
	}
	return nil
}
