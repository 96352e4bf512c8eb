// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/roles"
)

// ManagedRole is a role that the operator keeps. Its Verifier follows from the Secret, which is not part of the spec.
type ManagedRole struct {
	roles.Role

	// Secret with the password; empty if the password is nobody's business.
	Secret string
}

// managedRoles fills in what the user left out.
func managedRoles(m *v1alpha1.ManagedSpec) []ManagedRole {
	if m == nil {
		return nil
	}
	var out []ManagedRole
	for _, r := range m.Roles {
		role := ManagedRole{Role: roles.Role{Name: r.Name, Absent: r.Ensure == v1alpha1.EnsureAbsent}}
		if !role.Absent {
			role.Attributes = roles.Attributes{
				Login: r.Login, Superuser: r.Superuser, CreateDB: r.CreateDB, CreateRole: r.CreateRole,
				Inherit: r.Inherit == nil || *r.Inherit, ConnectionLimit: -1,
			}
			if r.ConnectionLimit != nil {
				role.ConnectionLimit = int64(*r.ConnectionLimit)
			}
			role.Comment, role.MemberOf, role.NoPassword = r.Comment, slices.Sorted(slices.Values(r.InRoles)), r.DisablePassword
			if r.PasswordSecret != nil {
				role.Secret = r.PasswordSecret.Name
			}
		}
		out = append(out, role)
	}
	return out
}
