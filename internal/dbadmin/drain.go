// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// strangers are sessions that came over the network from no peer: those of applications.
func strangers(peers []netip.Addr) string {
	sql := "from pg_stat_activity where backend_type = 'client backend' and client_addr is not null"
	if len(peers) == 0 {
		return sql
	}
	hosts := make([]string, 0, len(peers))
	for _, p := range peers {
		hosts = append(hosts, "'"+p.Unmap().WithZone("").String()+"'")
	}
	return sql + " and host(client_addr) not in (" + strings.Join(hosts, ", ") + ")"
}

// Strangers counts the sessions of applications.
func (s *Session) Strangers(ctx context.Context, peers []netip.Addr) (int, error) {
	var count int
	if err := s.conn.QueryRow(ctx, "select count(*)::int8 "+strangers(peers)).Scan(&count); err != nil {
		return 0, fmt.Errorf("count sessions of applications: %w", explain(err))
	}
	return count, nil
}

// EndStrangers ends the sessions of applications and tells how many there were. They are gone a moment later.
func (s *Session) EndStrangers(ctx context.Context, peers []netip.Addr) (int, error) {
	var count int
	if err := s.conn.QueryRow(ctx, "select count(pg_terminate_backend(pid))::int8 "+strangers(peers)).Scan(&count); err != nil {
		return 0, fmt.Errorf("end sessions of applications: %w", explain(err))
	}
	return count, nil
}

// Undecided lists the two-phase transactions that this coordinator has not finished.
func (s *Session) Undecided(ctx context.Context) ([]string, error) {
	gids, err := s.texts(ctx, "select gid::text from rxact_get_running() order by 1")
	if err != nil {
		return nil, fmt.Errorf("list undecided transactions: %w", err)
	}
	return gids, nil
}

// Prepared lists the transactions that are prepared on this server for longer than age.
func (s *Session) Prepared(ctx context.Context, age time.Duration) ([]string, error) {
	gids, err := s.texts(ctx, fmt.Sprintf(
		"select gid from pg_prepared_xacts where prepared < clock_timestamp() - interval '%d milliseconds' order by gid", age.Milliseconds()))
	if err != nil {
		return nil, fmt.Errorf("list prepared transactions: %w", err)
	}
	return gids, nil
}
