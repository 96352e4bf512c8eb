// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/antdb-operator/antdb-operator/internal/roles"
)

// heldRole is a row of heldRoles. Names of roles may hold every character, so lists of them come as JSON.
type heldRole struct {
	Name                                            string
	Login, Superuser, CreateDB, CreateRole, Inherit bool
	ConnectionLimit                                 int64
	Verifier, Comment, MemberOf                     string
}

const heldRoles = `
select r.rolname::text, r.rolcanlogin, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolinherit, r.rolconnlimit::int8,
 coalesce(r.rolpassword, ''), coalesce(shobj_description(r.oid, 'pg_authid'), ''),
 array_to_json(array(select g.rolname::text from pg_auth_members m join pg_authid g on g.oid = m.roleid where m.member = r.oid order by 1))::text
from pg_authid r where r.rolname !~ '^pg_' order by 1`

// Roles lists the roles of the server but those of the engine itself.
func (s *Session) Roles(ctx context.Context) ([]roles.Held, error) {
	rows, err := collect[heldRole](ctx, s, heldRoles)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	all := make([]roles.Held, len(rows))
	for i, r := range rows {
		all[i] = roles.Held{
			Name: r.Name, Comment: r.Comment, Verifier: r.Verifier,
			Attributes: roles.Attributes{
				Login: r.Login, Superuser: r.Superuser, CreateDB: r.CreateDB, CreateRole: r.CreateRole, Inherit: r.Inherit,
				ConnectionLimit: r.ConnectionLimit,
			},
		}
		if err := json.Unmarshal([]byte(r.MemberOf), &all[i].MemberOf); err != nil {
			return nil, fmt.Errorf("list roles: members of %s: %w", r.Name, err)
		}
	}
	return all, nil
}

// Together runs statements in one transaction.
func (s *Session) Together(ctx context.Context, statements ...string) error {
	err := s.Exec(ctx, "BEGIN")
	for _, sql := range statements {
		if err == nil {
			err = s.Exec(ctx, sql)
		}
	}
	if err != nil {
		return errors.Join(err, s.Exec(ctx, "ROLLBACK"))
	}
	return s.Exec(ctx, "COMMIT")
}
