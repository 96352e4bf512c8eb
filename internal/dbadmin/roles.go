// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// StoredPassword is what the server stores of a role's password. exists is false if there is no such role.
func (s *Session) StoredPassword(ctx context.Context, role string) (verifier string, exists bool, err error) {
	err = s.conn.QueryRow(ctx, "select coalesce(rolpassword, '') from pg_authid where rolname = $1", role).Scan(&verifier)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read password of role %s: %w", role, explain(err))
	}
	return verifier, true, nil
}

// SetPassword sets a role's password by its verifier.
func (s *Session) SetPassword(ctx context.Context, role, verifier string) error {
	return s.unlogged(ctx, "set password of role "+role,
		"ALTER ROLE "+topology.Identifier(role)+" PASSWORD "+topology.Literal(verifier))
}

// EnsureRole makes a role that may log in, or gives the one that is there this password.
func (s *Session) EnsureRole(ctx context.Context, role, verifier string) error {
	_, exists, err := s.StoredPassword(ctx, role)
	if err != nil {
		return err
	}
	verb := "CREATE ROLE "
	if exists {
		verb = "ALTER ROLE "
	}
	return s.unlogged(ctx, "make role "+role, verb+topology.Identifier(role)+" LOGIN PASSWORD "+topology.Literal(verifier))
}

// unlogged runs a statement that the server shall not write into its log, not even when it fails.
func (s *Session) unlogged(ctx context.Context, what, sql string) error {
	if err := s.Quieten(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := s.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Quieten keeps what follows on this connection out of the server's log.
func (s *Session) Quieten(ctx context.Context) error {
	for _, setting := range []string{
		"set log_statement = 'none'",
		"set log_min_duration_statement = -1",
		"set log_min_error_statement = 'panic'",
	} {
		if err := s.Exec(ctx, setting); err != nil {
			return fmt.Errorf("keep statements out of the log: %w", err)
		}
	}
	return nil
}

// EnsureDatabase makes a database unless it is there.
func (s *Session) EnsureDatabase(ctx context.Context, database, owner string) error {
	var n int
	if err := s.conn.QueryRow(ctx, "select count(*)::int4 from pg_database where datname = $1", database).Scan(&n); err != nil {
		return fmt.Errorf("look for database %s: %w", database, explain(err))
	}
	if n > 0 {
		return nil
	}
	err := s.Exec(ctx, "CREATE DATABASE "+topology.Identifier(database)+" OWNER "+topology.Identifier(owner))
	if err != nil {
		return fmt.Errorf("make database %s: %w", database, err)
	}
	return nil
}
