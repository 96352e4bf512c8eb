// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
	"github.com/antdb-operator/antdb-operator/internal/instance"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/scram"
)

func TestTheProgramCopiesItselfIntoAFolderOrToAFileAndOverAnOlderCopy(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for destination, file := range map[string]string{
		folder:                            filepath.Join(folder, filepath.Base(self)),
		filepath.Join(folder, "instance"): filepath.Join(folder, "instance"),
	} {
		for range 2 {
			if err := command([]string{"copy", destination}); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("copy to %s: %d bytes, %v, want %d", destination, len(got), err, len(want))
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 2 {
		t.Errorf("%d files, want 2: something was left behind", len(entries))
	}
}

func TestWhatAServerHoldsIsPrintedAsJSON(t *testing.T) {
	folder, _ := pgfake.Start(t, func(s *pgfake.Session, sql string) pgfake.Reply {
		text, number := pgfake.Text, pgfake.Int
		if strings.Contains(sql, "pg_database") {
			return pgfake.Reply{Columns: []pgfake.Column{text("datname")}, Rows: [][]string{{"app"}, {"empty"}}}
		}
		r := pgfake.Reply{Columns: []pgfake.Column{text("schema"), text("name"), number("rows"), number("bytes")}}
		if s.Parameters["database"] == "app" {
			r.Rows = [][]string{{"public", "t", "7", "8192"}}
		}
		return r
	})
	var out bytes.Buffer
	if err := tables(&out, dbadmin.Server{Sockets: folder, Port: pgfake.Port}); err != nil {
		t.Fatal(err)
	}
	if want := `[{"database":"app","table":"public.t","rows":7,"bytes":8192}]` + "\n"; out.String() != want {
		t.Errorf("printed %s, want %s", out.String(), want)
	}
}

func TestSettingsAndActivityArePrintedAsJSON(t *testing.T) {
	folder, _ := pgfake.Start(t, func(_ *pgfake.Session, sql string) pgfake.Reply {
		text, number := pgfake.Text, pgfake.Int
		switch {
		case strings.Contains(sql, "pg_settings"):
			return pgfake.Reply{
				Columns: []pgfake.Column{text("n"), text("v"), text("s"), text("f"), pgfake.Bool("p")},
				Rows:    [][]string{{"work_mem", "64MB", "configuration file", "/x/antdb.conf", "t"}},
			}
		case strings.Contains(sql, "pg_blocking_pids"):
			return pgfake.Reply{
				Columns: []pgfake.Column{number("p"), text("d"), text("u"), text("a"), text("s"), number("m"), text("w"), text("b"), text("q")},
				Rows:    [][]string{{"7", "app", "shop", "psql", "active", "1500", "Lock:relation", "8,9", "select 1"}},
			}
		case strings.Contains(sql, "group by"):
			return pgfake.Reply{Columns: []pgfake.Column{text("s"), number("c")}, Rows: [][]string{{"active", "2"}}}
		}
		return pgfake.Reply{Columns: []pgfake.Column{number("a"), number("c"), number("r")}, Rows: [][]string{{"100", "5", "1"}}}
	})
	server := dbadmin.Server{Sockets: folder, Port: pgfake.Port}
	var out bytes.Buffer
	if err := tell(&out, server, (*dbadmin.Session).Settings); err != nil {
		t.Fatal(err)
	}
	if err := tell(&out, server, (*dbadmin.Session).Activity); err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"work_mem","value":"64MB","source":"configuration file","file":"/x/antdb.conf","pendingRestart":true}]
{"atMicros":100,"commits":5,"rollbacks":1,"sessions":{"active":2},"running":[{"pid":7,"database":"app","user":"shop","application":"psql","state":"active","millis":1500,"wait":"Lock:relation","blockedBy":"8,9","query":"select 1"}]}
`
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
}

func TestAProbePrintsJSONAlthoughNoServerRuns(t *testing.T) {
	home := t.TempDir()
	env := map[string]string{
		"ANTDB_CLUSTER": "demo", "ANTDB_CLUSTER_UID": "1", "POD_NAMESPACE": "prod", "ANTDB_NODE": "dn1", "POD_NAME": "demo-dn1-1", "ANTDB_ROLE": "datanode",
	}
	var out bytes.Buffer
	paths := pod.Paths{Volume: home, Sockets: home, Certificate: home}
	if err := look(&out, paths, func(name string) string { return env[name] }, []string{"-sizes"}); err != nil {
		t.Fatal(err)
	}
	var got instanceapi.Probe
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Node != "dn1" || got.SQL.Error == "" || got.Volumes["data"].Capacity == 0 {
		t.Errorf("%v: %s", err, out.String())
	}
	if err := look(&out, paths, func(name string) string { return env[name] }, []string{"-nonsense"}); err == nil {
		t.Error("an unknown flag is taken")
	}
}

func TestAnUnknownCommandAndAnEmptyEnvironmentAreExplained(t *testing.T) {
	if err := command([]string{"walk"}); err == nil || !strings.Contains(err.Error(), "unknown command") {
		t.Errorf("got %v", err)
	}
	t.Setenv("ANTDB_CLUSTER", "")
	if err := command([]string{"run"}); err == nil || !strings.Contains(err.Error(), "ANTDB_CLUSTER is not set") {
		t.Errorf("got %v", err)
	}
}

func TestRolesAreToldWithoutTheirPasswordsWhichCanBeTried(t *testing.T) {
	verifier, err := scram.Verifier("open sesame", [scram.SaltBytes]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	folder, _ := pgfake.Start(t, func(_ *pgfake.Session, sql string) pgfake.Reply {
		text, truth := pgfake.Text, pgfake.Bool
		if !strings.Contains(sql, "pg_auth_members") {
			return pgfake.Reply{Columns: []pgfake.Column{text("rolpassword")}, Rows: [][]string{{verifier}}}
		}
		return pgfake.Reply{
			Columns: []pgfake.Column{text("n"), truth("l"), truth("s"), truth("d"), truth("r"), truth("i"), pgfake.Int("c"), text("p"), text("m"), text("g")},
			Rows:    [][]string{{"anna", "t", "f", "f", "f", "t", "-1", verifier, "", `["sales"]`}},
		}
	})
	server := dbadmin.Server{Sockets: folder, Port: pgfake.Port}
	var out bytes.Buffer
	if err := tell(&out, server, instance.Roles); err != nil {
		t.Fatal(err)
	}
	for _, tried := range []string{"open sesame\n", "another"} {
		if err := password(&out, strings.NewReader(tried), server, "anna"); err != nil {
			t.Fatal(err)
		}
	}
	want := `[{"login":true,"inherit":true,"connectionLimit":-1,"name":"anna","memberOf":["sales"],"password":"scram-sha-256"}]
{"matches":true}
{"matches":false}
`
	if out.String() != want {
		t.Errorf("printed %s", out.String())
	}
}
