// SPDX-License-Identifier: Apache-2.0

package pgconf_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

func own() pgconf.Own {
	return pgconf.Own{
		Role: antdb.RoleDatanode, Node: "dn1", GTMHost: "demo-gc.ns.svc",
		Sockets: "/run/antdb", HBAFile: "/var/lib/antdb/conf/pg_hba.conf",
	}
}

// effective reads settings as the engine does: the last of equal names wins.
func effective(t *testing.T, text string) map[string]string {
	t.Helper()
	line := regexp.MustCompile(`^([a-z_.]+) = '((?:[^'\\]|''|\\.)*)'$`)
	unquote := strings.NewReplacer("''", "'", `\\`, `\`, `\n`, "\n", `\r`, "\r", `\t`, "\t")
	settings := map[string]string{}
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if l == "" || l[0] == '#' {
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			t.Fatalf("line %q is no setting", l)
		}
		settings[m[1]] = unquote.Replace(m[2])
	}
	return settings
}

func TestSettingsAreDefaultsThenParametersThenTheInstancesOwn(t *testing.T) {
	got := effective(t, pgconf.Settings(own(), map[string]string{"max_connections": "50", "work_mem": "8MB"}))
	want := map[string]string{
		"max_connections": "50", "work_mem": "8MB",
		"max_coordinators": "64", "max_datanodes": "64", "max_prepared_transactions": "1000", "wal_level": "replica", "hot_standby": "on", "max_wal_senders": "10",
		"wal_log_hints": "on", "password_encryption": "scram-sha-256",
		"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
		"log_destination": "stderr", "logging_collector": "off", "log_line_prefix": "[%p] %q%u@%d %r ",
		"pgxc_node_name": "dn1", "agtm_host": "demo-gc.ns.svc", "agtm_port": "5432",
		"listen_addresses": "*", "port": "5432", "unix_socket_directories": "/run/antdb",
		"hba_file": "/var/lib/antdb/conf/pg_hba.conf",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("settings (-want +got):\n%s", d)
	}
}

func TestOnlyDatanodesGetManyConnectionsByDefault(t *testing.T) {
	for role, want := range map[antdb.Role]string{antdb.RoleDatanode: "500", antdb.RoleCoordinator: "", antdb.RoleGTM: ""} {
		o := own()
		o.Role = role
		if got := effective(t, pgconf.Settings(o, nil))["max_connections"]; got != want {
			t.Errorf("%s: max_connections %q, want %q", role, got, want)
		}
	}
}

func TestTheInstancesOwnSettingsAlwaysWin(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.SampledFrom([]string{"port", "agtm_host", "pgxc_node_name", "hba_file", "listen_addresses"}).Draw(r, "name")
		value := rapid.String().Draw(r, "value")
		got := effective(t, pgconf.Settings(own(), map[string]string{name: strings.ReplaceAll(value, "\x00", "")}))
		if want := effective(t, pgconf.Settings(own(), nil))[name]; got[name] != want {
			r.Errorf("%s is %q, want %q", name, got[name], want)
		}
	})
}

func TestAnyValueSurvivesQuotingAndAddsNoLine(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		value := strings.ReplaceAll(rapid.String().Draw(r, "value"), "\x00", "")
		text := pgconf.Settings(own(), map[string]string{"application_name": value})
		if got := effective(t, text)["application_name"]; got != value {
			r.Errorf("value %q came back as %q", value, got)
		}
		if got, want := strings.Count(text, "\n"), strings.Count(pgconf.Settings(own(), nil), "\n")+1; got != want {
			r.Errorf("%d lines, want %d", got, want)
		}
	})
}

// The API refuses the same names before anything reaches an instance.
func TestTheAPIRefusesExactlyTheSettingsThatTheOperatorKeeps(t *testing.T) {
	source, err := os.ReadFile("../../api/v1alpha1/antdbcluster_types.go")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`XValidation:rule="self\.all\(k, !\(k in \[([^\]]*)\]\)\)"`).FindSubmatch(source)
	if m == nil {
		t.Fatal("the rule about parameters is not where it is expected")
	}
	inAPI := strings.Split(strings.ReplaceAll(string(m[1]), "'", ""), ",")
	var kept []string
	for name := range pgconf.Owned() {
		kept = append(kept, name)
	}
	slices.Sort(inAPI)
	slices.Sort(kept)
	if d := cmp.Diff(kept, inAPI); d != "" {
		t.Errorf("names (-pgconf +api):\n%s", d)
	}
}

func TestParametersAreCheckedByName(t *testing.T) {
	problems := pgconf.CheckParameters(map[string]string{
		"work_mem": "8MB", "pg_stat_statements.max": "100",
		"port": "1", "Port": "1", "work mem": "1", "a\nport": "1", "x": "\x00", "a.b.c": "1", "": "1", "Work_mem": "1",
	})
	var names []string
	for _, p := range problems {
		names = append(names, p.Name)
		if p.Message == "" {
			t.Errorf("%q is refused without a reason", p.Name)
		}
	}
	want := []string{"", "Port", "Work_mem", "a\nport", "a.b.c", "port", "work mem", "x"}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("refused (-want +got):\n%s", d)
	}
}

func TestTheIncludeIsAppendedOnceAndReplacedForACandidate(t *testing.T) {
	const ours, candidate = "/var/lib/antdb/conf/antdb.conf", "/tmp/x/antdb.conf"
	first := pgconf.WithInclude("work_mem = 1", ours, ours)
	if want := "work_mem = 1\ninclude_if_exists = '/var/lib/antdb/conf/antdb.conf'\n"; first != want {
		t.Errorf("got %q, want %q", first, want)
	}
	if again := pgconf.WithInclude(first, ours, ours); again != first {
		t.Errorf("a second time changed it to %q", again)
	}
	if got, want := pgconf.WithInclude(first, ours, candidate), "work_mem = 1\ninclude_if_exists = '/tmp/x/antdb.conf'\n"; got != want {
		t.Errorf("candidate %q, want %q", got, want)
	}
}

func TestAlterSystemCannotOverrideWhatTheOperatorKeeps(t *testing.T) {
	text, removed := pgconf.WithoutOwned("# comment\nwork_mem = '4MB'\nport = '7'\nAGTM_HOST 'elsewhere'\n")
	if want := "# comment\nwork_mem = '4MB'\n"; text != want {
		t.Errorf("kept %q, want %q", text, want)
	}
	if d := cmp.Diff([]string{"port", "agtm_host"}, removed); d != "" {
		t.Errorf("removed (-want +got):\n%s", d)
	}
}

func TestTheMajorVersionIsFoundInWhatEnginesPrint(t *testing.T) {
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": 15,
		"postgres (5.0.1 based on PostgreSQL) 11.10":           11,
		"postgres (PostgreSQL) 16beta1":                        16,
	} {
		if got, err := pgconf.Major(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	if _, err := pgconf.Major("psql 11"); err == nil {
		t.Error("text without a version is accepted")
	}
}

func TestComplaintsOfAServerAreTakenApart(t *testing.T) {
	const messages = `2026-11-23 00:59:19.855 UTC [7421] LOG:  invalid value for parameter "work_mem": "lots"
2026-11-23 00:59:19.855 UTC [7421] LOG:  1 8kB is outside the valid range for parameter "shared_buffers" (16 .. 1073741823)
LOG:  invalid value for parameter "wal_level": "silly"
HINT:  Available values: minimal, replica, logical.
FATAL:  configuration file "/tmp/c.conf" contains errors
`
	want := []pgconf.Problem{
		{Name: "work_mem", Value: "lots", Message: `invalid value for parameter "work_mem": "lots"`},
		{Name: "shared_buffers", Message: `1 8kB is outside the valid range for parameter "shared_buffers" (16 .. 1073741823)`},
		{Name: "wal_level", Value: "silly", Message: `invalid value for parameter "wal_level": "silly": Available values: minimal, replica, logical.`},
	}
	if d := cmp.Diff(want, pgconf.Complaints(messages)); d != "" {
		t.Errorf("problems (-want +got):\n%s", d)
	}
	alone := pgconf.Complaints("FATAL:  could not map anonymous shared memory: Cannot allocate memory\n")
	if d := cmp.Diff([]pgconf.Problem{{Message: "could not map anonymous shared memory: Cannot allocate memory"}}, alone); d != "" {
		t.Errorf("a lone fatal message (-want +got):\n%s", d)
	}
}
