// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"fmt"

	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// PendingRestart names the settings that are written but wait for a restart. One that stands on the server's command
// line is not among them: no restart gives it the file's value.
func (s *Session) PendingRestart(ctx context.Context) ([]string, error) {
	names, err := s.texts(ctx, "select name from pg_settings where pending_restart and source not in ('command line', 'override') order by name")
	if err != nil {
		return nil, fmt.Errorf("read pending settings: %w", err)
	}
	return names, nil
}

// LoadedAt is when the server read its configuration last.
func (s *Session) LoadedAt(ctx context.Context) (string, error) {
	at, err := s.texts(ctx, "select pg_conf_load_time()::text")
	if err != nil || len(at) != 1 {
		return "", fmt.Errorf("read time of configuration: %w", err)
	}
	return at[0], nil
}

// A setting that needs a restart "could not be applied" too, which is no error: hence the condition on the context.
const fileErrors = `
select coalesce(f.name, ''), coalesce(f.setting, ''), f.error
from pg_file_settings f left join pg_settings s on s.name = f.name
where f.error is not null and coalesce(s.context, '') not in ('postmaster', 'internal')
order by f.seqno`

const hbaErrors = `
select 'hba'::text, coalesce(line_number::text, ''), error from pg_hba_file_rules where error is not null order by line_number`

// FileErrors reads the configuration files as they are on disk, without applying them, and lists what the server
// would refuse.
func (s *Session) FileErrors(ctx context.Context) ([]pgconf.Problem, error) {
	var problems []pgconf.Problem
	for _, sql := range []string{fileErrors, hbaErrors} {
		found, err := collect[pgconf.Problem](ctx, s, sql)
		if err != nil {
			return nil, fmt.Errorf("check configuration files: %w", err)
		}
		problems = append(problems, found...)
	}
	return problems, nil
}
