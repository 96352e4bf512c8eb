// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/roles"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

func TestManagedRolesHaveTheirDefaults(t *testing.T) {
	c := spec.Resolve(given(t, least+`
  managed:
    roles:
    - name: plain
    - {name: all, login: true, superuser: true, createdb: true, createrole: true, inherit: false, connectionLimit: 0, comment: c, inRoles: [z, a], passwordSecret: {name: s}}
    - {name: none, disablePassword: true}
    - {name: gone, ensure: absent, login: true, comment: c, passwordSecret: {name: s}}
`))
	want := []spec.ManagedRole{
		{Role: roles.Role{Name: "plain", Attributes: roles.Attributes{Inherit: true, ConnectionLimit: -1}}},
		{
			Role: roles.Role{
				Name: "all", Attributes: roles.Attributes{Login: true, Superuser: true, CreateDB: true, CreateRole: true},
				Comment: "c", MemberOf: []string{"a", "z"},
			},
			Secret: "s",
		},
		{Role: roles.Role{Name: "none", NoPassword: true, Attributes: roles.Attributes{Inherit: true, ConnectionLimit: -1}}},
		{Role: roles.Role{Name: "gone", Absent: true}},
	}
	if d := cmp.Diff(want, c.ManagedRoles); d != "" {
		t.Errorf("roles (-want +got):\n%s", d)
	}
	none := spec.Resolve(given(t, least))
	if len(none.ManagedRoles) > 0 {
		t.Errorf("without spec.managed there are %v", none.ManagedRoles)
	}
}
