// SPDX-License-Identifier: Apache-2.0

// Package catalog holds the SQL that makes a PostgreSQL database look like AntDB's: pgxc_node, pgxc_class, and the
// procedures the fronts call. It refuses to run it; initdb does.
package catalog

import (
	_ "embed" // for the script

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/conf"
)

//go:embed standin.sql
var script string

// Database is the script for one new database.
func Database() string { return script + "\n" + conf.ViewsSQL() }

// OwnRow is the one row that initdb writes: the node itself, as AntDB's initdb does. It is for single-user mode,
// where no setting of the stand-in exists yet.
func OwnRow(nameLiteral string) string {
	return `INSERT INTO pg_catalog.pg_shdescription SELECT 16384, 1, jsonb_build_object('name', n, 'type', 'C', 'port', 5432,
  'host', 'localhost', 'primary', false, 'preferred', false, 'gtm', false, 'id', hashtext(n), 'master', 0)::text
  FROM (VALUES (` + nameLiteral + `::text)) AS v (n);

`
}
