// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"fmt"
	"slices"

	"github.com/fsnotify/fsnotify"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/credentials"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
)

// watchSecrets wakes what looks after the server when a mounted Secret changes. Where the kernel refuses to watch, the
// tick finds the change later.
func (m *Manager) watchSecrets(ctx context.Context) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		m.log.Warn("Secrets are looked at on the tick only", "error", err)
		return
	}
	defer func() { _ = watcher.Close() }()
	for _, folder := range []string{m.o.Paths.Superuser, m.o.Paths.Application} {
		if err := watcher.Add(folder); err != nil {
			m.log.Info("Secret not watched", "folder", folder, "error", err)
		}
	}
	for {
		select {
		case <-watcher.Events:
			m.wake()
		case err := <-watcher.Errors:
			m.log.Warn("changes of Secrets may be missed; they are found on the next tick", "error", err)
			m.wake()
		case <-ctx.Done():
			return
		}
	}
}

// noteStale compares the passwords in the database with the mounted ones, on coordinators.
func (m *Manager) noteStale(ctx context.Context, db *dbadmin.Session) {
	if m.o.Launch.Role != antdb.RoleCoordinator {
		return
	}
	want, err := credentials.Read(m.o.Paths, m.o.Launch.Owner)
	var stale []credentials.Credential
	if err == nil {
		stale, err = credentials.Stale(ctx, db, want)
	}
	if err != nil {
		m.log.Warn("passwords not compared", "error", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	names := credentials.Roles(stale)
	if !slices.Equal(names, m.known.stale) {
		m.log.Info("roles whose password in the database is not the one in the mounted Secret", "roles", names)
	}
	m.known.stale = names
	m.tell()
}

// ApplyCredentials makes the passwords in the database equal to the mounted ones.
func (m *Manager) ApplyCredentials(ctx context.Context) error {
	if m.o.Launch.Role != antdb.RoleCoordinator {
		return serve.Never("%s is no coordinator: passwords are set through one", m.o.Launch.Node)
	}
	want, err := credentials.Read(m.o.Paths, m.o.Launch.Owner)
	if err != nil {
		return fmt.Errorf("apply credentials: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*writeLimit)
	defer cancel()
	db, err := m.open(ctx, dbadmin.Maintenance, writeLimit)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := credentials.Apply(ctx, db, want, credentials.Salt); err != nil {
		return fmt.Errorf("apply credentials: %w", err)
	}
	m.noteStale(ctx, db)
	return nil
}
