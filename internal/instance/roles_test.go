// SPDX-License-Identifier: Apache-2.0

package instance_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/enginetest"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/roles"
)

func wanting(verifier string) instanceapi.Roles {
	person := roles.Attributes{Login: true, Inherit: true, ConnectionLimit: -1}
	return instanceapi.Roles{Roles: []roles.Role{
		{Name: "anna", Attributes: person, Verifier: verifier}, {Name: "bob", Attributes: person},
		{Name: "gone", Absent: true}, {Name: "owner", Absent: true},
	}}
}

// roleStatements are the statements about roles that the server was given.
func (r *rig) roleStatements() []string {
	var all []string
	for _, e := range r.control.Events("sql") {
		if sql := strings.TrimPrefix(e, "sql "); strings.Contains(sql, " ROLE ") {
			verb, rest, _ := strings.Cut(sql, " WITH ")
			_, password, _ := strings.Cut(rest, "PASSWORD ")
			all = append(all, strings.TrimSpace(verb+" "+password))
		}
	}
	return all
}

func TestRolesAreMadeOnceAndComparedFromThenOn(t *testing.T) {
	r, ctx := serving(t, antdb.RoleCoordinator, "cn1"), context.Background()
	catalog := filepath.Join(r.paths.Data(), "catalog.json")
	if s := r.Status(ctx); s.Roles != nil {
		t.Fatalf("it tells of roles that it was not given: %+v", s.Roles)
	}
	r.write(catalog, strings.Replace(r.read(catalog), `"roles":null`, `"roles":{"other":"x","gone":"","owner":""}`, 1))

	want := instanceapi.RolesStatus{
		Hash:    wanting("v1").Hash(),
		Unequal: map[string]string{"owner": `role "owner" cannot be dropped because some objects depend on it (SQLSTATE 2BP01)`},
	}
	made := []string{`CREATE ROLE "anna" 'v1'`, `CREATE ROLE "bob"`, `DROP ROLE "gone"`, `DROP ROLE "owner"`}
	for range 2 { // the second time it is too soon to try again what was refused
		got, err := r.PutRoles(ctx, wanting("v1"))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("told (-want +got):\n%s", d)
		}
		if d := cmp.Diff(made, r.roleStatements()); d != "" {
			t.Errorf("statements (-want +got):\n%s", d)
		}
	}

	// Another password is another wish, which is carried out at once.
	if _, err := r.PutRoles(ctx, wanting("v2")); err != nil {
		t.Fatal(err)
	}
	made = append(made, `ALTER ROLE "anna" 'v2'`, `DROP ROLE "owner"`)
	if d := cmp.Diff(made, r.roleStatements()); d != "" {
		t.Errorf("statements (-want +got):\n%s", d)
	}

	// What somebody else changes is told, and left to whoever gave the roles.
	r.write(catalog, strings.NewReplacer(`"owner":""`, `"more":""`, "v2", "another").Replace(r.read(catalog)))
	s := r.await("the change is seen", func(s instanceapi.Status) bool { return s.Roles != nil && s.Roles.Unequal["owner"] == "" })
	if d := cmp.Diff(&instanceapi.RolesStatus{Hash: wanting("v2").Hash(), Unequal: map[string]string{"anna": ""}}, s.Roles); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
	if d := cmp.Diff(made, r.roleStatements()); d != "" {
		t.Errorf("statements (-want +got):\n%s", d)
	}

	if _, err := r.PutRoles(ctx, instanceapi.Roles{}); err != nil {
		t.Fatal(err)
	}
	if s := r.Status(ctx); s.Roles != nil {
		t.Errorf("it tells of roles that it was told to forget: %+v", s.Roles)
	}
}

func TestRolesAreMadeThroughCoordinatorsOnly(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	_, err := r.PutRoles(context.Background(), wanting("v"))
	wantCode(t, err, http.StatusBadRequest)
}

func TestRolesWaitForAServer(t *testing.T) {
	r := newRig(t, antdb.RoleCoordinator, "cn1")
	r.control.On(enginetest.HangInit)
	defer r.control.Off(enginetest.HangInit)
	r.start()
	_, err := r.PutRoles(context.Background(), wanting("v"))
	wantCode(t, err, http.StatusConflict)
}
