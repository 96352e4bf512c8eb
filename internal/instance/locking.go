// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/ddllock"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// lease is how long a lock or a drain outlives the last request for it.
const lease = instanceapi.LeaseSeconds * time.Second

func (m *Manager) newLock() *ddllock.Keeper {
	return &ddllock.Keeper{
		Open: func(ctx context.Context, database string) (ddllock.Holder, error) {
			m.mu.Lock()
			message, ok := m.usable()
			m.mu.Unlock()
			if !ok {
				return nil, serve.NotYet("SQL does not run on %s: %s", m.o.Launch.Node, message)
			}
			h, err := m.server.OpenHolder(ctx, database)
			if err != nil {
				return nil, err
			}
			return h, nil
		},
		First:    dbadmin.Maintenance,
		Lease:    lease,
		Retry:    time.Second,
		Attempt:  writeLimit,
		Farewell: readLimit,
		Changed:  func() { m.refresh(nil) },
		Now:      time.Now,
		Log:      m.log,
	}
}

// Lock takes, prolongs or gives up the lock that keeps DDL out of the cluster. It does not wait until it is held.
func (m *Manager) Lock(ctx context.Context, l instanceapi.Lock) (instanceapi.LockStatus, error) {
	if err := m.onlyGC("the lock that keeps DDL out is held on gc"); err != nil {
		return instanceapi.LockStatus{}, err
	}
	status, err := m.lock.Put(ctx, l)
	switch {
	case errors.Is(err, ddllock.ErrToken):
		return status, serve.Never("%w", err)
	case errors.Is(err, ddllock.ErrBusy):
		return status, serve.NotYet("%w", err)
	}
	return status, err
}

// presentScaling adds what is told while nodes are added and removed. The caller holds mu.
func (m *Manager) presentScaling(s *instanceapi.Status) {
	if l := m.lock.Status(); l != (instanceapi.LockStatus{}) {
		s.Lock = &l
	}
	if m.known.join.Phase != instanceapi.JoinNone {
		j := m.known.join
		s.Join = &j
	}
	s.Split, s.Clean = m.splitter.Status()
	if m.facts.draining {
		d := m.drain.status
		s.Drain = &d
	}
}
