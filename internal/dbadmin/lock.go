// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"fmt"

	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// LockApplication is the application_name of the sessions that hold the DDL lock, so that people recognize them.
const LockApplication = "antdb-ddl-lock"

// Holder is a session that holds the DDL lock in one database. The lock ends with it.
type Holder struct{ session *Session }

// OpenHolder connects to a database in order to lock it. The limit of statements comes with the connection; nothing
// limits how long the session lasts. The engine takes no such lock in a parallel worker, so there are none.
func (s Server) OpenHolder(ctx context.Context, database string) (*Holder, error) {
	session, err := s.open(ctx, database, map[string]string{
		"application_name": LockApplication,
		"options":          "-c statement_timeout=10000 -c force_parallel_mode=off",
	})
	if err != nil {
		return nil, err
	}
	return &Holder{session}, nil
}

// Lock takes the lock or fails at once. It is taken against every coordinator and kept on this one, which each DDL asks.
func (h *Holder) Lock(ctx context.Context) error {
	return h.session.Exec(ctx, "select pgxc_lock_for_backup()")
}

// Connectable lists every database that somebody can connect to, templates too: DDL can be run in each.
func (h *Holder) Connectable(ctx context.Context) ([]string, error) {
	names, err := h.session.texts(ctx, "select datname::text from pg_database where datallowconn order by oid")
	if err != nil {
		return nil, fmt.Errorf("list databases: %w", err)
	}
	return names, nil
}

// Await returns when the session is lost, at once, or when ctx ends. The session is of no use afterwards.
func (h *Holder) Await(ctx context.Context) error {
	for {
		if _, err := h.session.conn.WaitForNotification(ctx); err != nil {
			return explain(err)
		}
	}
}

// Clean ends the sessions that the engine keeps to other nodes for a database without using them. For a minute they would
// keep a template from being copied, and any database from being dropped.
func (h *Holder) Clean(ctx context.Context, database string) error {
	return h.session.Exec(ctx, "CLEAN CONNECTION TO ALL FOR DATABASE "+topology.Identifier(database))
}

// Release gives the lock up by ending the session.
func (h *Holder) Release() {
	h.session.Close()
}
