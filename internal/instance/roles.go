// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"fmt"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/roles"
)

// rolesPause is how long roles that the server refused are left before the same is tried again.
const rolesPause = 15 * time.Second

// wantedRoles are the roles that a coordinator was given, and what became of them.
type wantedRoles struct {
	given []roles.Role
	hash  string
	// unequal is what instanceapi.RolesStatus tells; refusedAt is when the server refused one of them last.
	unequal   map[string]string
	refusedAt time.Time
}

// status is what is told of them. The map is replaced when it changes, never written to.
func (w *wantedRoles) status() *instanceapi.RolesStatus {
	if len(w.given) == 0 {
		return nil
	}
	return &instanceapi.RolesStatus{Hash: w.hash, Unequal: w.unequal}
}

// pausing tells that roles are asked for again too soon after the server refused one of them.
func (w *wantedRoles) pausing(hash string) bool {
	return w.hash == hash && time.Since(w.refusedAt) < rolesPause
}

// PutRoles makes roles as they are wanted. One that the server refuses keeps none of the others back.
func (m *Manager) PutRoles(ctx context.Context, want instanceapi.Roles) (instanceapi.RolesStatus, error) {
	if m.o.Launch.Role != antdb.RoleCoordinator {
		return instanceapi.RolesStatus{}, serve.Never("%s is no coordinator: roles are made through one", m.o.Launch.Node)
	}
	m.rolesMu.Lock()
	defer m.rolesMu.Unlock()
	if len(want.Roles) == 0 {
		m.noteRoles(wantedRoles{})
		return instanceapi.RolesStatus{}, nil
	}
	m.mu.Lock()
	now, hash := m.known.roles, want.Hash()
	m.mu.Unlock()
	if now.pausing(hash) {
		return *now.status(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*writeLimit)
	defer cancel()
	db, err := m.open(ctx, dbadmin.Maintenance, writeLimit)
	if err != nil {
		return instanceapi.RolesStatus{}, err
	}
	defer db.Close()
	now = wantedRoles{given: want.Roles, hash: hash}
	if now.unequal, err = m.makeRoles(ctx, db, want.Roles); err != nil {
		return instanceapi.RolesStatus{}, fmt.Errorf("make roles: %w", err)
	}
	for _, why := range now.unequal {
		if why != "" {
			now.refusedAt = time.Now()
		}
	}
	m.noteRoles(now)
	return *now.status(), nil
}

// makeRoles takes the steps that are left, and returns the roles that are unequal all the same.
func (m *Manager) makeRoles(ctx context.Context, db *dbadmin.Session, want []roles.Role) (map[string]string, error) {
	have, err := db.Roles(ctx)
	if err != nil {
		return nil, err
	}
	if err := db.Quieten(ctx); err != nil { // statements hold verifiers
		return nil, err
	}
	refused := map[string]string{}
	for _, step := range roles.Diff(have, want) {
		if refused[step.Role] != "" {
			continue
		}
		err := db.Together(ctx, step.SQL...)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			refused[step.Role] = err.Error()
			m.log.Warn("role not made as wanted", "role", step.Role, "change", step.Why, "error", err)
			continue
		}
		m.log.Info("role changed", "role", step.Role, "change", step.Why)
	}
	return unequalRoles(ctx, db, want, refused)
}

// unequalRoles compares, and puts beside a role that is unequal what is known of the reason.
func unequalRoles(ctx context.Context, db *dbadmin.Session, want []roles.Role, why map[string]string) (map[string]string, error) {
	have, err := db.Roles(ctx)
	if err != nil {
		return nil, err
	}
	unequal := map[string]string{}
	for _, step := range roles.Diff(have, want) {
		unequal[step.Role] = why[step.Role]
	}
	return unequal, nil
}

// compareRoles finds roles that somebody else changed.
func (m *Manager) compareRoles(ctx context.Context, db *dbadmin.Session) {
	if !m.rolesMu.TryLock() {
		return // they are just being made
	}
	defer m.rolesMu.Unlock()
	m.mu.Lock()
	now := m.known.roles
	m.mu.Unlock()
	if len(now.given) == 0 {
		return
	}
	unequal, err := unequalRoles(ctx, db, now.given, now.unequal)
	if err != nil {
		m.log.Warn("roles not compared", "error", err)
		return
	}
	now.unequal = unequal
	m.noteRoles(now)
}

func (m *Manager) noteRoles(now wantedRoles) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known.roles = now
	m.tell()
}
