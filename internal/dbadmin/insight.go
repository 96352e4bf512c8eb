// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"fmt"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// current_setting spells a value with its unit.
const allSettings = `
select name::text, coalesce(current_setting(name, true), ''), source::text, coalesce(sourcefile, '')::text, pending_restart
from pg_settings order by 1`

// Settings lists the settings that the server runs with.
func (s *Session) Settings(ctx context.Context) ([]instanceapi.Setting, error) {
	all, err := collect[instanceapi.Setting](ctx, s, allSettings)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return all, nil
}

const counters = `
select (extract(epoch from clock_timestamp()) * 1000000)::int8, coalesce(sum(xact_commit), 0)::int8, coalesce(sum(xact_rollback), 0)::int8
from pg_stat_database`

const running = `
select pid::int8, coalesce(datname::text, ''), coalesce(usename::text, ''), coalesce(application_name, ''), coalesce(state, ''),
 (extract(epoch from clock_timestamp() - coalesce(xact_start, query_start, backend_start)) * 1000)::int8,
 coalesce(wait_event_type || ':' || wait_event, ''), array_to_string(pg_blocking_pids(pid), ','), left(query, 400)
from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and coalesce(state, '') not in ('', 'idle')
order by coalesce(xact_start, query_start, backend_start) limit 100`

// Activity tells what the server does.
func (s *Session) Activity(ctx context.Context) (instanceapi.Activity, error) {
	var a instanceapi.Activity
	if err := s.conn.QueryRow(ctx, counters).Scan(&a.AtMicros, &a.Commits, &a.Rollbacks); err != nil {
		return a, fmt.Errorf("count transactions: %w", explain(err))
	}
	var err error
	if a.Sessions, err = s.sessions(ctx); err != nil {
		return a, err
	}
	if a.Running, err = collect[instanceapi.Running](ctx, s, running); err != nil {
		return a, fmt.Errorf("list sessions: %w", err)
	}
	return a, nil
}

// sessions counts the sessions of clients by their state.
func (s *Session) sessions(ctx context.Context) (map[string]int64, error) {
	type state struct {
		Name  string
		Count int64
	}
	states, err := collect[state](ctx, s, `select coalesce(state, 'other'), count(*)::int8 from pg_stat_activity
where backend_type = 'client backend' group by 1`)
	if err != nil {
		return nil, fmt.Errorf("count connections: %w", err)
	}
	all := map[string]int64{}
	for _, s := range states {
		all[s.Name] = s.Count
	}
	return all, nil
}
