// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/redistribute"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// placements has one row for each table that lies on datanodes. Temporary tables are not in pgxc_class.
const placements = `
select c.oid::int8, n.nspname::text, c.relname::text, x.pclocatortype::text,
 coalesce((select string_agg(p.node_name::text, ',') from pgxc_node p where p.oid = any(x.nodeoids::oid[])), ''),
 x.pcvalues is not null,
 coalesce((select string_agg(i.inhparent::text, ',') from pg_inherits i where i.inhrelid = c.oid), ''),
 coalesce((select string_agg(f.confrelid::text, ',') from pg_constraint f where f.conrelid = c.oid and f.contype = 'f'), ''),
 coalesce((select p.partstrat::text from pg_partitioned_table p where p.partrelid = c.oid), ''),
 c.relpersistence <> 'p' or current_setting('enable_cluster_plan') <> 'on',
 quote_ident(n.nspname) <> n.nspname, quote_ident(c.relname) <> c.relname
from pgxc_class x join pg_class c on c.oid = x.pcrelid join pg_namespace n on n.oid = c.relnamespace
order by 2, 3`

type placement struct {
	ID                           int64
	Schema, Name, Locator, Nodes string
	Weighted                     bool
	Parents, References          string
	Strategy                     string
	Copied, OddSchema, OddName   bool
}

// Tables reads where the tables of the connection's database lie.
func (s *Session) Tables(ctx context.Context) ([]redistribute.Table, error) {
	database := s.conn.Config().Database
	rows, err := collect[placement](ctx, s, placements)
	if err != nil {
		return nil, fmt.Errorf("read tables of database %s: %w", database, err)
	}
	tables := make([]redistribute.Table, 0, len(rows))
	for _, r := range rows {
		tables = append(tables, redistribute.Table{
			Database: database, ID: r.ID, Schema: r.Schema, Name: r.Name, Locator: r.Locator, Weighted: r.Weighted,
			Nodes: split(r.Nodes), Parents: numbers(r.Parents), References: numbers(r.References), Strategy: r.Strategy,
			Copied: r.Copied, OddSchema: r.OddSchema, OddName: r.OddName,
		})
	}
	return tables, nil
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func numbers(list string) []int64 {
	var all []int64
	for _, text := range split(list) {
		n, _ := strconv.ParseInt(text, 10, 64) // an oid is always a number
		all = append(all, n)
	}
	return all
}

// sizes has one row for each table of users, as far as this server holds it. Rows are estimated as the planner does: the
// density that was found last, times the size now.
const sizes = `
select n.nspname::text, c.relname::text,
 (case when c.relpages > 0 then c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::int8)
  else pg_stat_get_live_tuples(c.oid) end)::int8,
 pg_total_relation_size(c.oid)::int8
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by 1, 2`

// Sizes measures what this server holds of the tables of the connection's database.
func (s *Session) Sizes(ctx context.Context) ([]redistribute.Size, error) {
	found, err := collect[redistribute.Size](ctx, s, sizes)
	if err != nil {
		return nil, fmt.Errorf("measure tables: %w", err)
	}
	return found, nil
}

// SizesOn measures what a datanode holds of the tables of the connection's database.
func (s *Session) SizesOn(ctx context.Context, datanode string) ([]redistribute.Size, error) {
	sql := "execute direct on (" + topology.Identifier(datanode) + ") " + topology.Literal(sizes)
	found, err := collect[redistribute.Size](ctx, s, sql)
	if err != nil {
		return nil, fmt.Errorf("measure tables on %s: %w", datanode, err)
	}
	return found, nil
}

// AllDatabases lists the databases that one can connect to, templates too.
func (s *Session) AllDatabases(ctx context.Context) ([]string, error) {
	names, err := s.texts(ctx, "select datname::text from pg_database where datallowconn order by 1")
	if err != nil {
		return nil, fmt.Errorf("list databases: %w", err)
	}
	return names, nil
}
