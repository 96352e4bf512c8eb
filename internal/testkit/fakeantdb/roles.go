// SPDX-License-Identifier: Apache-2.0

package fakeantdb

import (
	"maps"
	"slices"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/roles"
)

// Roles are the roles of the database by their names.
func (w *World) Roles() map[string]roles.Held {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.roles)
}

// SetRole makes or changes a role, as somebody with psql would.
func (w *World) SetRole(h roles.Held) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.roles[h.Name] = h
}

func (w *World) heldRoles() []roles.Held { return slices.Collect(maps.Values(w.roles)) }

// makeRoles does what the statements of roles.Diff would do.
func (w *World) makeRoles(want []roles.Role) {
	for _, r := range want {
		if r.Absent {
			delete(w.roles, r.Name)
			continue
		}
		h := roles.Held{Name: r.Name, Attributes: r.Attributes, Comment: r.Comment, MemberOf: r.MemberOf, Verifier: r.Verifier}
		if r.Verifier == "" && !r.NoPassword {
			h.Verifier = w.roles[r.Name].Verifier
		}
		w.roles[r.Name] = h
	}
}

// rolesStatus compares what a process was given with what there is.
func (w *World) rolesStatus(p *process) *instanceapi.RolesStatus {
	if len(p.roles.Roles) == 0 {
		return nil
	}
	s := &instanceapi.RolesStatus{Hash: p.roles.Hash()}
	for _, step := range roles.Diff(w.heldRoles(), p.roles.Roles) {
		if s.Unequal == nil {
			s.Unequal = map[string]string{}
		}
		s.Unequal[step.Role] = p.refused
	}
	return s
}
