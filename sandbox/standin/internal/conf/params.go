// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Param is a setting that AntDB has and PostgreSQL 15 has not. The child knows it as antdb.<name>.
type Param struct {
	Name, Type, Default string
	Unit                string
	Min, Max            int
	Context             string
	Enum                []string
}

// Prefix makes an AntDB setting a custom setting of PostgreSQL.
const Prefix = "antdb."

const maxInt = 1<<31 - 1

// params are AntDB's settings, with defaults and contexts as observed on 5.0.1.
var params = []Param{
	{Name: "agtm_host", Type: "string", Context: "sighup"},
	{Name: "agtm_port", Type: "integer", Default: "5432", Min: 1, Max: 65535, Context: "sighup"},
	{Name: "pgxc_node_name", Type: "string", Context: "postmaster"},
	{Name: "adb_node_type", Type: "string", Context: "internal"},
	{Name: "max_coordinators", Type: "integer", Default: "16", Min: 2, Max: 65535, Context: "postmaster"},
	{Name: "max_datanodes", Type: "integer", Default: "16", Min: 2, Max: 65535, Context: "postmaster"},
	{Name: "min_pool_size", Type: "integer", Default: "1", Min: 1, Max: 65535, Context: "postmaster"},
	{Name: "max_pool_size", Type: "integer", Default: "100", Min: 1, Max: 65535, Context: "postmaster"},
	{Name: "pool_time_out", Type: "integer", Default: "60", Unit: "s", Max: maxInt, Context: "sighup"},
	{Name: "pool_release_to_idle_timeout", Type: "integer", Default: "-1", Unit: "s", Min: -1, Max: maxInt, Context: "sighup"},
	{Name: "pool_remote_cmd_timeout", Type: "integer", Default: "10", Unit: "s", Max: maxInt, Context: "postmaster"},
	{Name: "snapshot_sync_waittime", Type: "integer", Default: "60000", Unit: "ms", Min: 1000, Max: maxInt, Context: "sighup"},
	{Name: "snap_restart_timeout", Type: "integer", Default: "300000", Unit: "ms", Min: 60000, Max: maxInt, Context: "user"},
	{Name: "snap_receiver_timeout", Type: "integer", Default: "60000", Unit: "ms", Min: 30000, Max: maxInt, Context: "sighup"},
	{Name: "snap_force_globalxmin_sync_time", Type: "integer", Default: "30000", Unit: "ms", Max: maxInt, Context: "sighup"},
	{Name: "waitglobaltransaction", Type: "integer", Default: "60000", Unit: "ms", Max: maxInt, Context: "user"},
	{Name: "adb_check_sync_nextid", Type: "bool", Default: "on", Context: "user"},
	{Name: "force_snapshot_consistent", Type: "enum", Default: "session", Enum: []string{"off", "session", "node", "on"}, Context: "user"},
	{Name: "max_cn_prealloc_xid_size", Type: "integer", Default: "0", Max: maxInt, Context: "sighup"},
	{Name: "default_distribute_by", Type: "enum", Default: "hash", Enum: []string{"hash", "modulo", "random", "replication", "hashmap"}, Context: "user"},
	{Name: "enable_cluster_plan", Type: "bool", Default: "on", Context: "user"},
	{Name: "enable_readsql_on_slave", Type: "bool", Default: "off", Context: "user"},
	{Name: "enable_readsql_on_slave_async", Type: "bool", Default: "off", Context: "user"},
	{Name: "xc_maintenance_mode", Type: "bool", Default: "off", Context: "superuser"},
}

// mirrored are PostgreSQL's own settings that the child runs with other values than the user gave: what a session is
// shown is the user's value, kept as antdb.<name>.
var mirrored = []string{"listen_addresses", "unix_socket_directories", "ssl", "config_file", "hba_file"}

// Lookup finds an AntDB setting by its name in any case.
func Lookup(name string) (Param, bool) {
	i := slices.IndexFunc(params, func(p Param) bool { return strings.EqualFold(p.Name, name) })
	if i < 0 {
		return Param{}, false
	}
	return params[i], true
}

// Shown maps a setting's name to the one under which the child keeps the value that users are shown.
func Shown(name string) (string, bool) {
	if _, ok := Lookup(name); ok || slices.Contains(mirrored, strings.ToLower(name)) {
		return Prefix + strings.ToLower(name), true
	}
	return "", false
}

// Check refuses a value as PostgreSQL would, and returns it in the parameter's own unit.
func (p Param) Check(value string) (string, error) {
	switch p.Type {
	case "bool":
		for _, w := range []string{"on", "true", "yes", "1"} {
			if strings.EqualFold(value, w) {
				return "on", nil
			}
		}
		for _, w := range []string{"off", "false", "no", "0"} {
			if strings.EqualFold(value, w) {
				return "off", nil
			}
		}
		return "", fmt.Errorf("parameter %q requires a Boolean value", p.Name)
	case "enum":
		if !slices.Contains(p.Enum, strings.ToLower(value)) {
			return "", fmt.Errorf("invalid value for parameter %q: %q (available values: %s)", p.Name, value, strings.Join(p.Enum, ", "))
		}
		return strings.ToLower(value), nil
	case "integer":
		n, ok := p.integer(value)
		if !ok {
			return "", fmt.Errorf("invalid value for parameter %q: %q", p.Name, value)
		}
		if n < p.Min || n > p.Max {
			return "", fmt.Errorf("%d is outside the valid range for parameter %q (%d .. %d)", n, p.Name, p.Min, p.Max)
		}
		return strconv.Itoa(n), nil
	}
	return value, nil
}

// integer reads a number with an optional time unit into the parameter's unit.
func (p Param) integer(value string) (int, bool) {
	value = strings.TrimSpace(value)
	millis := map[string]int{"ms": 1, "s": 1000, "min": 60000, "h": 3600000, "d": 86400000}
	digits := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz ")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0, false
	}
	unit := strings.TrimSpace(value[len(digits):])
	if unit == "" {
		return n, true
	}
	given, own := millis[unit], millis[p.Unit]
	if given == 0 || own == 0 {
		return 0, false
	}
	return n * given / own, true
}

// ViewsSQL makes pg_settings, pg_file_settings and pg_hba_file_rules show AntDB's settings under AntDB's names.
func ViewsSQL() string {
	var rows []string
	for _, p := range params {
		enum := "NULL"
		if len(p.Enum) > 0 {
			enum = "'{" + strings.Join(p.Enum, ",") + "}'"
		}
		lo, hi := "NULL", "NULL"
		if p.Type == "integer" {
			lo, hi = fmt.Sprintf("'%d'", p.Min), fmt.Sprintf("'%d'", p.Max)
		}
		rows = append(rows, fmt.Sprintf("('%s', '%s', '%s', NULLIF('%s', ''), '%s', %s, %s, %s::text[])",
			p.Name, p.Type, p.Context, p.Unit, p.Default, lo, hi, enum))
	}
	return fmt.Sprintf(viewsSQL, "'"+strings.Join(mirrored, "', '")+"'", strings.Join(rows, ",\n    "))
}

const viewsSQL = `CREATE OR REPLACE VIEW pg_catalog.pg_settings AS
SELECT name, CASE WHEN name IN (%s) THEN COALESCE(current_setting('antdb.' || name, true), setting) ELSE setting END AS setting,
       unit, category, short_desc, extra_desc, context, vartype, source, min_val, max_val, enumvals, boot_val, reset_val,
       sourcefile, sourceline, pending_restart
  FROM pg_catalog.pg_show_all_settings()
UNION ALL
SELECT v.name, current_setting('antdb.' || v.name, true), v.unit, 'AntDB', 'AntDB setting', NULL, v.context, v.vartype,
       'configuration file', v.lo, v.hi, v.enums, v.boot, v.boot, NULL, NULL,
       EXISTS (SELECT FROM jsonb_to_recordset(COALESCE(current_setting('antdb.file_errors', true), '[]')::jsonb) AS x (name text, error text)
                WHERE x.name = v.name AND x.error LIKE '%%without restarting%%')
  FROM (VALUES %s) AS v (name, vartype, context, unit, boot, lo, hi, enums);

CREATE OR REPLACE VIEW pg_catalog.pg_file_settings AS
SELECT regexp_replace(f.sourcefile, '^.*/antdb-standin-conf', '') AS sourcefile, f.sourceline, f.seqno,
       regexp_replace(f.name, '^antdb\.', '') AS name, COALESCE(e.value, f.setting) AS setting,
       f.applied AND e.error IS NULL AS applied, COALESCE(f.error, e.error) AS error
  FROM pg_catalog.pg_show_all_file_settings() f
  LEFT JOIN (SELECT x.* FROM pg_catalog.pg_show_all_file_settings() s,
                    jsonb_to_recordset(s.setting::jsonb) AS x (file text, line int, value text, error text)
              WHERE s.name = 'antdb.file_errors') e
    ON f.sourcefile LIKE '%%/antdb-standin-conf' || e.file AND f.sourceline = e.line
 WHERE f.sourcefile NOT LIKE '%%/antdb-standin-defaults.conf';

CREATE OR REPLACE VIEW pg_catalog.pg_hba_file_rules AS
SELECT x.line_number, x.type, x.database, x.user_name, x.address, NULL::text AS netmask, x.auth_method, NULL::text[] AS options, x.error
  FROM pg_catalog.pg_show_all_file_settings() s, jsonb_to_recordset(s.setting::jsonb)
       AS x (line_number int, type text, database text[], user_name text[], address text, auth_method text, error text)
 WHERE s.name = 'antdb.hba_rules';
`
