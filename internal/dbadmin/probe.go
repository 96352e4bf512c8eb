// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// At is a server that is reached over the network by a peer of its cluster, who needs no password.
func At(host string, port uint16) Server { return Server{Sockets: host, Port: port} }

// TurnedAway tells whether a server answered that it does not let in who asked.
func TurnedAway(err error) bool {
	const authorization = "28" // the class of SQLSTATE
	var said *pgconn.PgError
	return errors.As(err, &said) && strings.HasPrefix(said.Code, authorization)
}

// Ask runs a statement that needs a snapshot, and hence the GTM.
func (s *Session) Ask(ctx context.Context) error { return s.Exec(ctx, "select 1") }

const inDoubt = `
select gid::text, database::text, owner::text, extract(epoch from clock_timestamp() - prepared)::int8 from pg_prepared_xacts order by prepared`

// InDoubt lists the transactions that are prepared on this server, the oldest first.
func (s *Session) InDoubt(ctx context.Context) ([]instanceapi.Prepared, error) {
	all, err := collect[instanceapi.Prepared](ctx, s, inDoubt)
	if err != nil {
		return nil, fmt.Errorf("list prepared transactions: %w", err)
	}
	return all, nil
}

const databaseSizes = `
select datname::text, pg_database_size(oid)::int8 from pg_database where datallowconn and not datistemplate order by 1`

// DatabaseSizes measures what this server holds of each database. On a coordinator the engine would add up over all
// datanodes.
func (s *Session) DatabaseSizes(ctx context.Context) ([]instanceapi.DatabaseSize, error) {
	all, err := collect[instanceapi.DatabaseSize](ctx, s, databaseSizes)
	if err != nil {
		return nil, fmt.Errorf("measure databases: %w", err)
	}
	return all, nil
}

// digestDatabases is for how many databases a digest is read.
const digestDatabases = 16

// Digest is a digest of what users made on a server: roles, databases, and what is in them.
func Digest(ctx context.Context, first *Session, open func(context.Context, string) (*Session, error)) (string, error) {
	shared, err := first.SharedDigest(ctx)
	if err != nil {
		return "", err
	}
	names, err := first.Databases(ctx)
	if err != nil {
		return "", err
	}
	parts := []string{shared}
	for _, name := range names[:min(len(names), digestDatabases)] {
		part, err := digestOf(ctx, name, open)
		if err != nil {
			return "", err
		}
		parts = append(parts, name, part)
	}
	return Fold(parts), nil
}

func digestOf(ctx context.Context, database string, open func(context.Context, string) (*Session, error)) (string, error) {
	db, err := open(ctx, database)
	if err != nil {
		return "", err
	}
	defer db.Close()
	return db.SchemaDigest(ctx)
}
