// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/bootstrap"
	"github.com/antdb-operator/antdb-operator/internal/instance/credentials"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/scram"
)

// fillLimit bounds a statement of a bootstrap: a user's statement may load data.
const fillLimit = time.Hour

// Pauses between attempts at a bootstrap that fails.
const (
	firstFillPause = 2 * time.Second
	lastFillPause  = time.Minute
)

// Bootstrap begins to fill the cluster, or goes on with it. It never waits: the status tells how far it is.
func (m *Manager) Bootstrap(_ context.Context, b instanceapi.Bootstrap) error {
	if m.o.Launch.Role != antdb.RoleCoordinator {
		return serve.Never("%s is no coordinator: a bootstrap runs through one", m.o.Launch.Node)
	}
	if b.Database == "" || b.Owner == "" {
		return serve.Never("a bootstrap needs a database and an owner")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known.bootstrap.Phase == instanceapi.BootstrapRunning {
		return nil
	}
	if left := m.known.fillPause.Left(time.Now()); left > 0 {
		return serve.NotYet("the bootstrap failed and is tried again in %s at the earliest: %s",
			left.Round(time.Second), m.known.bootstrap.Error)
	}
	if message, ok := m.usable(); !ok {
		return serve.NotYet("SQL does not run on %s: %s", m.o.Launch.Node, message)
	}
	m.known.bootstrap = instanceapi.BootstrapState{Phase: instanceapi.BootstrapRunning}
	m.tell()
	go m.fill(b)
	return nil
}

// fill carries a bootstrap out and reports how it ended.
func (m *Manager) fill(b instanceapi.Bootstrap) {
	m.log.Info("bootstrap begins", "database", b.Database, "owner", b.Owner)
	err := bootstrap.Filler{
		Open: func(ctx context.Context, database string) (bootstrap.Session, error) {
			s, err := m.open(ctx, database, fillLimit)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Verifier: func() (string, error) {
			password, err := credentials.Password(m.o.Paths.Application)
			if err != nil {
				return "", err
			}
			return scram.Verifier(password, credentials.Salt())
		},
		// Steps are not published while they run: each would be a write to Kubernetes.
		Step: func(step string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.known.bootstrap.Step = step
		},
	}.Fill(m.life, b)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.log.Error("bootstrap failed", "step", m.known.bootstrap.Step, "error", err)
		m.known.bootstrap.Phase, m.known.bootstrap.Error = instanceapi.BootstrapFailed, err.Error()
		m.known.fillPause.Failed(time.Now())
	} else {
		m.log.Info("bootstrap done")
		m.known.bootstrap = instanceapi.BootstrapState{Phase: instanceapi.BootstrapDone}
		m.known.fillPause.Succeeded()
	}
	m.tell()
}

func fillPause() bootstrap.Patience {
	return bootstrap.Patience{First: firstFillPause, Last: lastFillPause}
}
