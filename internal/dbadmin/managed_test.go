// SPDX-License-Identifier: Apache-2.0

package dbadmin_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
	"github.com/antdb-operator/antdb-operator/internal/roles"
)

func TestRolesAreReadWithAllThatIsSaidOfThem(t *testing.T) {
	text, truth := pgfake.Text, pgfake.Bool
	ctx, session := open(t, serve(t, func(_ *pgfake.Session, sql string) pgfake.Reply {
		if !strings.Contains(sql, "pg_auth_members") {
			return pgfake.Refuse("42601", "unexpected: "+sql)
		}
		return pgfake.Reply{
			Columns: []pgfake.Column{
				text("rolname"), truth("rolcanlogin"), truth("rolsuper"), truth("rolcreatedb"), truth("rolcreaterole"), truth("rolinherit"),
				pgfake.Int("rolconnlimit"), text("rolpassword"), text("comment"), text("memberof"),
			},
			Rows: [][]string{
				{"anna", "t", "f", "f", "f", "t", "-1", "SCRAM-SHA-256$x", "from sales", `["a, b","pg_monitor"]`},
				{"boss", "f", "t", "t", "t", "f", "3", "", "", `[]`},
			},
		}
	}))
	got, err := session.Roles(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []roles.Held{
		{
			Name: "anna", Attributes: roles.Attributes{Login: true, Inherit: true, ConnectionLimit: -1}, Verifier: "SCRAM-SHA-256$x",
			Comment: "from sales", MemberOf: []string{"a, b", "pg_monitor"},
		},
		{Name: "boss", Attributes: roles.Attributes{Superuser: true, CreateDB: true, CreateRole: true, ConnectionLimit: 3}, MemberOf: []string{}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("roles (-want +got):\n%s", d)
	}
}

func TestStatementsThatBelongTogetherAreDoneOrNot(t *testing.T) {
	for name, c := range map[string]struct {
		refused string
		want    []string
	}{
		"all go through":       {want: []string{"BEGIN", "one", "two", "COMMIT"}},
		"the first is refused": {refused: "one", want: []string{"BEGIN", "one", "ROLLBACK"}},
		"the last is refused":  {refused: "two", want: []string{"BEGIN", "one", "two", "ROLLBACK"}},
		"the end is refused":   {refused: "COMMIT", want: []string{"BEGIN", "one", "two", "COMMIT"}},
	} {
		t.Run(name, func(t *testing.T) {
			var ran []string
			f := serve(t, func(_ *pgfake.Session, sql string) pgfake.Reply {
				ran = append(ran, sql)
				if sql == c.refused {
					return pgfake.Refuse("2BP01", "something depends on it")
				}
				return pgfake.Reply{}
			})
			ctx, session := open(t, f)
			err := session.Together(ctx, "one", "two")
			f.stop()
			if (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), "something depends on it") {
				t.Errorf("it says %v", err)
			}
			if d := cmp.Diff(c.want, ran); d != "" {
				t.Errorf("statements (-want +got):\n%s", d)
			}
		})
	}
}
