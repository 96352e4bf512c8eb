// SPDX-License-Identifier: Apache-2.0

package roles_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/roles"
)

// plain is what a role is that only has a name.
var plain = roles.Attributes{Inherit: true, ConnectionLimit: -1}

// person may log in and nothing more.
var person = roles.Attributes{Login: true, Inherit: true, ConnectionLimit: -1}

func TestDiffMakesRolesEqualAndTouchesNoOthers(t *testing.T) {
	other := roles.Held{Name: "other", Attributes: roles.Attributes{Superuser: true}, Comment: "not yours", MemberOf: []string{"x"}, Verifier: "v"}
	for name, c := range map[string]struct {
		have []roles.Held
		want []roles.Role
		// steps are ROLE: WHY: SQL
		steps []string
	}{
		"nothing is wanted": {have: []roles.Held{other}},
		"a missing role": {
			have: []roles.Held{other},
			want: []roles.Role{{Name: "anna", Attributes: person, Verifier: "SCRAM-SHA-256$x"}},
			steps: []string{
				`anna: it is missing, password: CREATE ROLE "anna" WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT CONNECTION LIMIT -1 PASSWORD 'SCRAM-SHA-256$x'`,
			},
		},
		"a missing role without password, with all that it may do": {
			want: []roles.Role{{Name: "boss", Attributes: roles.Attributes{Superuser: true, CreateDB: true, CreateRole: true, ConnectionLimit: 3}, NoPassword: true, Comment: "it's the boss"}},
			steps: []string{
				`boss: it is missing, comment: CREATE ROLE "boss" WITH NOLOGIN SUPERUSER CREATEDB CREATEROLE NOINHERIT CONNECTION LIMIT 3; COMMENT ON ROLE "boss" IS 'it''s the boss'`,
			},
		},
		"an equal role": {
			have: []roles.Held{{Name: "anna", Attributes: person, Verifier: "v", Comment: "c", MemberOf: []string{"b", "a"}}},
			want: []roles.Role{{Name: "anna", Attributes: person, Verifier: "v", Comment: "c", MemberOf: []string{"a", "b", "a"}}},
		},
		"a password that nobody speaks of": {
			have: []roles.Held{{Name: "anna", Attributes: person, Verifier: "her own"}},
			want: []roles.Role{{Name: "anna", Attributes: person}},
		},
		"another password": {
			have:  []roles.Held{{Name: "anna", Attributes: person, Verifier: "old"}},
			want:  []roles.Role{{Name: "anna", Attributes: person, Verifier: "new"}},
			steps: []string{`anna: password: ALTER ROLE "anna" WITH PASSWORD 'new'`},
		},
		"a password that shall not be": {
			have:  []roles.Held{{Name: "anna", Attributes: person, Verifier: "old"}},
			want:  []roles.Role{{Name: "anna", Attributes: person, NoPassword: true}},
			steps: []string{`anna: no password: ALTER ROLE "anna" WITH PASSWORD NULL`},
		},
		"each attribute by itself": {
			have: []roles.Held{{Name: "a", Attributes: plain}, {Name: "b", Attributes: plain}, {Name: "c", Attributes: plain}, {Name: "d", Attributes: plain}, {Name: "e", Attributes: plain}, {Name: "f", Attributes: plain}},
			want: []roles.Role{
				{Name: "a", Attributes: roles.Attributes{Login: true, Inherit: true, ConnectionLimit: -1}},
				{Name: "b", Attributes: roles.Attributes{Superuser: true, Inherit: true, ConnectionLimit: -1}},
				{Name: "c", Attributes: roles.Attributes{CreateDB: true, Inherit: true, ConnectionLimit: -1}},
				{Name: "d", Attributes: roles.Attributes{CreateRole: true, Inherit: true, ConnectionLimit: -1}},
				{Name: "e", Attributes: roles.Attributes{ConnectionLimit: -1}},
				{Name: "f", Attributes: roles.Attributes{Inherit: true}},
			},
			steps: []string{
				`a: login: ALTER ROLE "a" WITH LOGIN`, `b: superuser: ALTER ROLE "b" WITH SUPERUSER`, `c: createdb: ALTER ROLE "c" WITH CREATEDB`,
				`d: createrole: ALTER ROLE "d" WITH CREATEROLE`, `e: inherit: ALTER ROLE "e" WITH NOINHERIT`,
				`f: connection limit: ALTER ROLE "f" WITH CONNECTION LIMIT 0`,
			},
		},
		"a comment that is gone": {
			have:  []roles.Held{{Name: "a", Attributes: plain, Comment: "old"}},
			want:  []roles.Role{{Name: "a", Attributes: plain}},
			steps: []string{`a: comment: COMMENT ON ROLE "a" IS NULL`},
		},
		"memberships come after all roles, whatever their order": {
			have: []roles.Held{{Name: "b", Attributes: plain, MemberOf: []string{"old", "kept"}}},
			want: []roles.Role{{Name: "b", Attributes: plain, MemberOf: []string{"z", "kept"}}, {Name: "z", Attributes: plain}},
			steps: []string{
				`z: it is missing: CREATE ROLE "z" WITH NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT CONNECTION LIMIT -1`,
				`b: member of z, no member of old: GRANT "z" TO "b"; REVOKE "old" FROM "b"`,
			},
		},
		"roles that shall not be come last, and those that are not there not at all": {
			have: []roles.Held{{Name: "gone", Attributes: person}, {Name: "b", Attributes: plain, MemberOf: []string{"gone"}}},
			want: []roles.Role{{Name: "gone", Absent: true, Attributes: plain, Comment: "x"}, {Name: "never", Absent: true}, {Name: "b", Attributes: plain}},
			steps: []string{
				`b: no member of gone: REVOKE "gone" FROM "b"`,
				`gone: it shall not be there: DROP ROLE "gone"`,
			},
		},
		"names and texts that need quotes": {
			want: []roles.Role{{Name: `o"dd`, Attributes: plain, MemberOf: []string{"Group"}, Comment: `a \ b`}},
			steps: []string{
				`o"dd: it is missing, comment: CREATE ROLE "o""dd" WITH NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT CONNECTION LIMIT -1; COMMENT ON ROLE "o""dd" IS ` + `'a \ b'`,
				`o"dd: member of Group: GRANT "Group" TO "o""dd"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range roles.Diff(c.have, c.want) {
				got = append(got, s.Role+": "+s.Why+": "+strings.Join(s.SQL, "; "))
			}
			if d := cmp.Diff(c.steps, got); d != "" {
				t.Errorf("steps (-want +got):\n%s", d)
			}
		})
	}
}
