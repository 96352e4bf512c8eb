// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/scram"
)

// Held lists what a server holds of the tables of all databases: on a datanode its share of them. Templates are left
// out, as are databases to which nobody can connect.
func Held(ctx context.Context, server dbadmin.Server) ([]instanceapi.HeldTable, error) {
	db, err := server.Open(ctx, dbadmin.Maintenance, readLimit)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	databases, err := db.Databases(ctx)
	if err != nil {
		return nil, err
	}
	held := []instanceapi.HeldTable{}
	for _, database := range databases {
		if held, err = addHeld(ctx, server, database, held); err != nil {
			return nil, err
		}
	}
	return held, nil
}

func addHeld(ctx context.Context, server dbadmin.Server, database string, held []instanceapi.HeldTable) ([]instanceapi.HeldTable, error) {
	db, err := server.Open(ctx, database, writeLimit)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	sizes, err := db.Sizes(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range sizes {
		held = append(held, instanceapi.HeldTable{Database: database, Table: s.Schema + "." + s.Name, Rows: s.Rows, Bytes: s.Bytes})
	}
	return held, nil
}

// Roles lists the roles of a server, without what it stores of their passwords.
func Roles(db *dbadmin.Session, ctx context.Context) ([]instanceapi.HeldRole, error) {
	all, err := db.Roles(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]instanceapi.HeldRole, len(all))
	for i, r := range all {
		out[i] = instanceapi.HeldRole{Name: r.Name, Attributes: r.Attributes, Comment: r.Comment, MemberOf: r.MemberOf, Password: scram.Kind(r.Verifier)}
	}
	return out, nil
}
