// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/instance/credentials"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/scram"
)

// roles are what a database stores.
type roles map[string]string

func (r roles) StoredPassword(_ context.Context, role string) (string, bool, error) {
	v, ok := r[role]
	return v, ok, nil
}

func (r roles) SetPassword(_ context.Context, role, verifier string) error {
	r[role] = verifier
	return nil
}

func salt() [scram.SaltBytes]byte { return [scram.SaltBytes]byte{1} }

func TestOnlyRolesThatExistAndDifferAreStaleAndThenApplied(t *testing.T) {
	right, err := scram.Verifier("right", salt())
	if err != nil {
		t.Fatal(err)
	}
	db := roles{"postgres": right, "app": "md5of something else"}
	want := []credentials.Credential{{Role: "postgres", Password: "right"}, {Role: "app", Password: "new"}, {Role: "missing", Password: "x"}}
	ctx := context.Background()
	stale, err := credentials.Stale(ctx, db, want)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"app"}, credentials.Roles(stale)); d != "" {
		t.Errorf("stale (-want +got):\n%s", d)
	}
	if err := credentials.Apply(ctx, db, want, salt); err != nil {
		t.Fatal(err)
	}
	if db["postgres"] != right || !scram.Matches(db["app"], "app", "new") || len(db) != 2 {
		t.Errorf("afterwards %v", db)
	}
}

func TestSecretsAreReadWhereTheyAreMounted(t *testing.T) {
	p := pod.Paths{Superuser: t.TempDir(), Application: filepath.Join(t.TempDir(), "not mounted")}
	put := func(folder, text string) {
		t.Helper()
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "password"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(p.Superuser, "one\r\nmore")
	superuser := credentials.Credential{Role: "postgres", Password: "one"}
	for name, c := range map[string]struct {
		owner string
		want  []credentials.Credential
	}{
		"no application":                {"", []credentials.Credential{superuser}},
		"its Secret is not there":       {"app", []credentials.Credential{superuser}},
		"with the application, mounted": {"app", []credentials.Credential{superuser, {Role: "app", Password: "two"}}},
	} {
		if strings.HasSuffix(name, "mounted") {
			put(p.Application, "two")
		} else if err := os.RemoveAll(p.Application); err != nil {
			t.Fatal(err)
		}
		got, err := credentials.Read(p, c.owner)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	put(p.Superuser, "\n")
	if _, err := credentials.Read(p, ""); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty password: %v", err)
	}
}
