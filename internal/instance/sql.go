// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/check"
	"github.com/antdb-operator/antdb-operator/internal/instance/configure"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// Limits of statements. Those that change something may have to wait for a lock.
const (
	readLimit  = 3 * time.Second
	writeLimit = 15 * time.Second
)

// open connects to the server, but only while statements come back: a connection to a server that waits for the GTM
// would hang, and on gc it could never be got rid of.
func (m *Manager) open(ctx context.Context, database string, limit time.Duration) (*dbadmin.Session, error) {
	m.mu.Lock()
	message, ok := m.usable()
	m.mu.Unlock()
	if !ok {
		return nil, serve.NotYet("SQL does not run on %s: %s", m.o.Launch.Node, message)
	}
	return m.server.Open(ctx, database, limit)
}

// usable tells whether statements come back, and why not. The caller holds mu.
func (m *Manager) usable() (message string, ok bool) {
	if m.facts.accepting() && m.facts.check.State == check.Good {
		return "", true
	}
	return m.known.news.Message, false
}

// configServer is the running server as package configure sees it.
type configServer struct{ m *Manager }

func newConfigKeeper(m *Manager) *configure.Keeper {
	return &configure.Keeper{
		Own: pgconf.Own{
			Role:    m.o.Launch.Role,
			Node:    m.o.Launch.Node,
			Sockets: m.o.Paths.Sockets,
		},
		Data:    m.o.Paths.Data(),
		State:   m.o.Paths.State(),
		Memory:  m.o.Memory,
		Checker: m.engine,
		Server:  configServer{m},
		Log:     m.o.Log,
	}
}

// Reload makes the server read its files again.
func (s configServer) Reload() { s.m.supervisor.Reload() }

// FileErrors lists what the server would refuse in its files.
func (s configServer) FileErrors(ctx context.Context) ([]pgconf.Problem, bool) {
	var problems []pgconf.Problem
	err := s.ask(ctx, func(ctx context.Context, db *dbadmin.Session) (err error) {
		problems, err = db.FileErrors(ctx)
		return err
	})
	return problems, err == nil
}

// Times of a reload: how long it may take, and how often the server is asked whether it is done.
const (
	reloadLimit = 2 * time.Second
	reloadAsk   = 20 * time.Millisecond
)

// ReloadNow makes the server read its files again, waits until it did, and names the settings that wait for a restart.
func (s configServer) ReloadNow(ctx context.Context) (pending []string, known bool) {
	reloaded := false
	err := s.ask(ctx, func(ctx context.Context, db *dbadmin.Session) error {
		before, err := db.LoadedAt(ctx)
		if err != nil {
			return err
		}
		s.Reload()
		reloaded = true
		ctx, cancel := context.WithTimeout(ctx, reloadLimit)
		defer cancel()
		for at := before; at == before; {
			if !sleep(ctx, reloadAsk) {
				return ctx.Err()
			}
			if at, err = db.LoadedAt(ctx); err != nil {
				return err
			}
		}
		pending, err = db.PendingRestart(ctx)
		return err
	})
	if !reloaded {
		s.Reload()
	}
	return pending, err == nil
}

func (s configServer) ask(ctx context.Context, question func(context.Context, *dbadmin.Session) error) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	db, done, err := s.m.talk(ctx)
	if err != nil {
		return err
	}
	defer done()
	return question(ctx, db)
}
