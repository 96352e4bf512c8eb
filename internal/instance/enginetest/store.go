// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// store answers statements.
type store struct {
	path string

	mu     sync.Mutex
	conf   map[string]string // what the server started with
	file   map[string]string // what it read last
	loaded time.Time
}

// content is what survives a restart.
type content struct {
	Nodes   []topology.Node   `json:"nodes"`
	Roles   map[string]string `json:"roles"`
	Journal map[string]string `json:"journal"`
	Slots   []string          `json:"slots"`
}

func (s *store) reload(file map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file, s.loaded = file, time.Now()
}

func (s *store) read() content {
	var c content
	if text, err := os.ReadFile(s.path); err == nil {
		_ = json.Unmarshal(text, &c)
	}
	return c
}

func (s *store) write(c content) {
	if text, err := json.Marshal(c); err == nil {
		_ = os.WriteFile(s.path, text, 0o600)
	}
}

// needsSnapshot: every statement but SET waits for the GTM.
func needsSnapshot(sql string) bool { return !strings.HasPrefix(strings.ToLower(sql), "set ") }

func (s *store) answer(_ *pgfake.Session, sql string) pgfake.Reply {
	if needsSnapshot(sql) && isOn(HangSQL) {
		note("wait %s", sql)
		whileOn(HangSQL)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	note("sql %s", strings.ReplaceAll(sql, "\n", " "))
	for _, a := range []struct {
		part   string
		answer func(string) pgfake.Reply
	}{
		{topology.Select, s.catalog},
		{" NODE ", s.change},
		{"pg_auth_members", s.roles},
		{"pg_authid", s.password},
		{"ROLE ", s.role},
		{"pending_restart", s.pending},
		{"pg_conf_load_time", s.loadedAt},
		{"pg_control_checkpoint", position},
		{"pg_file_settings", problems},
		{"pg_hba_file_rules", problems},
		{"pg_terminate_backend(active_pid)", nothing},
		{"max_wal_senders", fewWorkers},
		{"replication_slot", s.slots},
		{"relname = 'adb_clean'", adbClean},
		{"from adb_clean", none},
		{"spcname", noNames},
		{"datistemplate, not datallowconn", oneDatabase},
		{"max_worker_processes", fewWorkers},
		{"pg_database_size", sizes},
		{"c.relpersistence = 'u'", noTables},
		{"datallowconn order", allDatabases},
		{"datallowconn", databases},
		{"pgxc_lock_for_backup", lockDDL},
		{"select count(*)::int8 from pg_stat_activity", strangers},
		{"select count(pg_terminate_backend(pid))::int8 from pg_stat_activity", strangers},
		{"md5(string_agg", digest},
		{"count(*)::int4 from pg_database", none},
		{"select state from", s.journal},
		{"INSERT INTO antdb_operator", s.enter},
	} {
		if strings.Contains(sql, a.part) {
			return a.answer(sql)
		}
	}
	if strings.Contains(sql, "nosuch") {
		return pgfake.Refuse("42P01", "nosuch does not exist")
	}
	return pgfake.Reply{}
}

func (s *store) catalog(string) pgfake.Reply {
	r := pgfake.Reply{Columns: []pgfake.Column{
		pgfake.Text("node_name"), pgfake.Text("node_type"), pgfake.Text("node_host"), pgfake.Int("node_port"),
		pgfake.Bool("nodeis_primary"), pgfake.Bool("nodeis_preferred"), pgfake.Bool("nodeis_gtm"),
	}}
	for _, n := range s.read().Nodes {
		r.Rows = append(r.Rows, []string{
			n.Name, string(n.Type), n.Host, strconv.Itoa(n.Port), letter(n.Primary), letter(n.Preferred), letter(n.GTM),
		})
	}
	return r
}

func letter(b bool) string { return strconv.FormatBool(b)[:1] }

var nodeStatement = regexp.MustCompile(`^(CREATE|ALTER|DROP) NODE "([a-z0-9]+)"(?: WITH \(TYPE = '([a-z]+)', HOST = '([^']*)', PORT = ([0-9]+)(.*)\))?$`)

func (s *store) change(sql string) pgfake.Reply {
	m := nodeStatement.FindStringSubmatch(sql)
	if m == nil {
		return pgfake.Refuse("42601", "syntax error: "+sql)
	}
	c := s.read()
	var kept []topology.Node
	for _, n := range c.Nodes {
		if n.Name != m[2] {
			kept = append(kept, n)
		}
	}
	if m[1] != "DROP" {
		port, _ := strconv.Atoi(m[5])
		n := topology.Node{
			Name: m[2], Type: antdb.TypeCoordinator, Host: m[4], Port: port,
			GTM: strings.Contains(m[6], "GTM = true"), Primary: strings.Contains(m[6], "PRIMARY = true"),
		}
		if m[3] == "datanode" {
			n.Type = antdb.TypeDatanode
		}
		kept = append(kept, n)
	}
	c.Nodes = kept
	s.write(c)
	return pgfake.Reply{}
}

var roleName = regexp.MustCompile(`rolname = +'([^']*)'`)

func (s *store) password(sql string) pgfake.Reply {
	r := pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("rolpassword")}}
	if m := roleName.FindStringSubmatch(sql); m != nil {
		if verifier, ok := s.read().Roles[m[1]]; ok {
			r.Rows = [][]string{{verifier}}
		}
	}
	return r
}

// roles lists the roles. All of them may log in and nothing more.
func (s *store) roles(string) pgfake.Reply {
	r := pgfake.Reply{Columns: []pgfake.Column{
		pgfake.Text("rolname"), pgfake.Bool("rolcanlogin"), pgfake.Bool("rolsuper"), pgfake.Bool("rolcreatedb"), pgfake.Bool("rolcreaterole"),
		pgfake.Bool("rolinherit"), pgfake.Int("rolconnlimit"), pgfake.Text("rolpassword"), pgfake.Text("comment"), pgfake.Text("memberof"),
	}}
	for name, verifier := range s.read().Roles {
		r.Rows = append(r.Rows, []string{name, "t", "f", "f", "f", "t", "-1", verifier, "", "[]"})
	}
	return r
}

var roleStatement = regexp.MustCompile(`^(CREATE|ALTER|DROP) ROLE "([^"]+)"(?:.* PASSWORD '([^']*)')?`)

// role makes and changes roles, of which a name and a password are kept. One called "owner" cannot be dropped.
func (s *store) role(sql string) pgfake.Reply {
	m := roleStatement.FindStringSubmatch(sql)
	if m == nil {
		return pgfake.Reply{}
	}
	c := s.read()
	if c.Roles == nil {
		c.Roles = map[string]string{}
	}
	switch {
	case m[1] == "DROP" && m[2] == "owner":
		return pgfake.Refuse("2BP01", `role "owner" cannot be dropped because some objects depend on it`)
	case m[1] == "DROP":
		delete(c.Roles, m[2])
	default:
		c.Roles[m[2]] = m[3]
	}
	s.write(c)
	return pgfake.Reply{}
}

// pending lists the settings that wait for a restart here.
func (s *store) pending(string) pgfake.Reply {
	r := pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("name")}}
	for _, name := range []string{"shared_buffers", "shared_preload_libraries"} {
		if s.file != nil && s.file[name] != s.conf[name] {
			r.Rows = append(r.Rows, []string{name})
		}
	}
	return r
}

func (s *store) loadedAt(string) pgfake.Reply {
	return pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("at")}, Rows: [][]string{{s.loaded.String()}}}
}

func position(string) pgfake.Reply {
	return pgfake.Reply{
		Columns: []pgfake.Column{pgfake.Text("lsn"), pgfake.Int("bytes"), pgfake.Int("timeline")},
		Rows:    [][]string{{"0/1A2B7F0", "27441136", "1"}},
	}
}

func problems(string) pgfake.Reply {
	return pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("name"), pgfake.Text("value"), pgfake.Text("error")}}
}

func databases(string) pgfake.Reply {
	return pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("datname")}, Rows: [][]string{{"postgres"}}}
}

// What an engine that can divide datanodes answers; it has no tables.
func adbClean(string) pgfake.Reply {
	return pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("relname")}, Rows: [][]string{{"adb_clean"}}}
}

func noNames(string) pgfake.Reply { return pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("name")}} }

func oneDatabase(string) pgfake.Reply {
	return pgfake.Reply{
		Columns: []pgfake.Column{pgfake.Text("datname"), pgfake.Bool("template"), pgfake.Bool("closed")},
		Rows:    [][]string{{"postgres", "f", "f"}},
	}
}

func fewWorkers(string) pgfake.Reply {
	return pgfake.Reply{Columns: []pgfake.Column{pgfake.Int("limit"), pgfake.Int("busy")}, Rows: [][]string{{"8", "8"}}}
}

func sizes(string) pgfake.Reply {
	return pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("datname"), pgfake.Int("bytes")}, Rows: [][]string{{"postgres", "4096"}}}
}

func noTables(string) pgfake.Reply {
	return pgfake.Reply{Columns: []pgfake.Column{
		pgfake.Text("schema"), pgfake.Text("name"), pgfake.Text("locator"), pgfake.Bool("unlogged"), pgfake.Text("nodes"),
	}}
}

func nothing(string) pgfake.Reply { return pgfake.Reply{} }

var slotStatement = regexp.MustCompile(`pg_(create_physical|drop)_replication_slot\('([a-z0-9_]+)'`)

// slots lists, makes and drops replication slots.
func (s *store) slots(sql string) pgfake.Reply {
	c := s.read()
	if m := slotStatement.FindStringSubmatch(sql); m != nil {
		c.Slots = slices.DeleteFunc(c.Slots, func(name string) bool { return name == m[2] })
		if m[1] == "create_physical" {
			c.Slots = append(c.Slots, m[2])
		}
		s.write(c)
		return pgfake.Reply{}
	}
	r := pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("slot_name")}}
	for _, name := range c.Slots {
		r.Rows = append(r.Rows, []string{name})
	}
	return r
}

func digest(string) pgfake.Reply {
	return pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("md5")}, Rows: [][]string{{"d41d8cd98f00b204e9800998ecf8427e"}}}
}

func none(string) pgfake.Reply {
	return pgfake.Reply{Columns: []pgfake.Column{pgfake.Int("count")}, Rows: [][]string{{"0"}}}
}

var step = regexp.MustCompile(`'([A-Za-z]+\[[0-9]+\])'`)

func (s *store) journal(sql string) pgfake.Reply {
	r := pgfake.Reply{Columns: []pgfake.Column{pgfake.Text("state")}}
	if m := step.FindStringSubmatch(sql); m != nil {
		if state, ok := s.read().Journal[m[1]]; ok {
			r.Rows = [][]string{{state}}
		}
	}
	return r
}

func (s *store) enter(sql string) pgfake.Reply {
	if m := step.FindStringSubmatch(sql); m != nil {
		c := s.read()
		if c.Journal == nil {
			c.Journal = map[string]string{}
		}
		c.Journal[m[1]] = "done"
		s.write(c)
	}
	return pgfake.Reply{}
}
