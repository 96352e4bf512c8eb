// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"crypto/md5" //nolint:gosec // tells equal from different, keeps nothing secret
	"encoding/hex"
	"fmt"
	"strings"
)

// Schemas that every database has from the start.
const ownSchema = `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`

// digests have one column of text each. None of them asks the server to spell out the arguments of functions: its own
// catalog holds some that make it fail.
func digests() []string {
	return []string{
		`select n.nspname || '.' || c.relname || ' ' || c.relkind::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where ` + ownSchema + ``,
		`select n.nspname || '.' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
where ` + ownSchema + ` and a.attnum > 0 and not a.attisdropped`,
		`select n.nspname || '.' || p.proname || ' ' || p.pronargs::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where ` + ownSchema + ``,
		`select n.nspname || '.' || t.typname || ' ' || t.typtype::text from pg_type t join pg_namespace n on n.oid = t.typnamespace
where ` + ownSchema + ``,
	}
}

const sharedDigest = `
select 'role ' || rolname || ' ' || rolcanlogin::text || rolsuper::text || rolcreatedb::text || rolcreaterole::text
from pg_roles where rolname !~ '^pg_'
union all select 'database ' || d.datname || ' ' || r.rolname from pg_database d join pg_roles r on r.oid = d.datdba`

// Databases lists the databases that one can connect to.
func (s *Session) Databases(ctx context.Context) ([]string, error) {
	names, err := s.texts(ctx, "select datname::text from pg_database where datallowconn and not datistemplate order by 1")
	if err != nil {
		return nil, fmt.Errorf("list databases: %w", err)
	}
	return names, nil
}

// SharedDigest is a digest of what all databases of the server share: roles and the databases themselves.
func (s *Session) SharedDigest(ctx context.Context) (string, error) {
	return s.digest(ctx, sharedDigest)
}

// SchemaDigest is a digest of what users made in the connection's database.
func (s *Session) SchemaDigest(ctx context.Context) (string, error) {
	return s.digest(ctx, digests()...)
}

func (s *Session) digest(ctx context.Context, queries ...string) (string, error) {
	parts := make([]string, 0, len(queries))
	for _, sql := range queries {
		// The server adds the rows up, so that a big schema is not sent.
		part, err := s.texts(ctx, "select coalesce(md5(string_agg(l.line, e'\\n' order by l.line)), '') from ("+sql+") l(line)")
		if err != nil {
			return "", fmt.Errorf("read digest of schema: %w", err)
		}
		parts = append(parts, part...)
	}
	return Fold(parts), nil
}

// Fold makes one digest of several.
func Fold(parts []string) string {
	sum := md5.Sum([]byte(strings.Join(parts, "\n"))) //nolint:gosec // see above
	return hex.EncodeToString(sum[:8])
}
