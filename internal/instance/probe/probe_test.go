// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/instance/probe"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/pki"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// server is a coordinator that does not reach dn2.
type server struct {
	mu       sync.Mutex
	sessions int
	hangs    <-chan struct{}
}

func (s *server) answer(_ *pgfake.Session, sql string) pgfake.Reply {
	text, number, truth := pgfake.Text, pgfake.Int, pgfake.Bool
	switch {
	case s.hangs != nil:
		return pgfake.Reply{Wait: s.hangs}
	case strings.Contains(sql, `EXECUTE DIRECT ON ("dn2")`):
		return pgfake.Refuse("08000", "could not connect to server")
	case strings.Contains(sql, "pg_current_wal_lsn"):
		return pgfake.Reply{Columns: []pgfake.Column{text("l"), number("b"), number("t")}, Rows: [][]string{{"0/16B3748", "23803720", "1"}}}
	case strings.Contains(sql, "pg_prepared_xacts"):
		return pgfake.Reply{Columns: []pgfake.Column{text("gid"), text("database"), text("owner"), number("s")}, Rows: [][]string{{"T77", "app", "shop", "90"}}}
	case strings.Contains(sql, "pgxc_node"):
		return pgfake.Reply{
			Columns: []pgfake.Column{text("n"), text("t"), text("h"), number("p"), truth("a"), truth("b"), truth("c")},
			Rows: [][]string{
				{"cn1", "C", "demo-cn1-h", "5432", "f", "f", "f"}, {"dn1", "D", "demo-dn1-h", "5432", "t", "f", "f"}, {"dn2", "D", "demo-dn2-h", "5432", "f", "f", "f"},
			},
		}
	case strings.Contains(sql, "pg_database_size"):
		return pgfake.Reply{Columns: []pgfake.Column{text("d"), number("b")}, Rows: [][]string{{"app", "8192"}}}
	case strings.Contains(sql, "select datname::text from pg_database"):
		return pgfake.Reply{Columns: []pgfake.Column{text("d")}, Rows: [][]string{{"app"}}}
	case strings.Contains(sql, "md5("):
		return pgfake.Reply{Columns: []pgfake.Column{text("d")}, Rows: [][]string{{"abc"}}}
	}
	return pgfake.Reply{}
}

// serve lets a server answer on its socket and on a port.
func serve(t *testing.T, s *server, sockets string) (address string) {
	t.Helper()
	var done sync.WaitGroup
	listen := func(network, at string) net.Listener {
		l, err := net.Listen(network, at)
		if err != nil {
			t.Fatal(err)
		}
		done.Go(func() {
			pgfake.Serve(l, func(session *pgfake.Session, sql string) pgfake.Reply {
				s.mu.Lock()
				s.sessions++
				s.mu.Unlock()
				return s.answer(session, sql)
			})
		})
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	t.Cleanup(done.Wait) // after the listeners are closed: the last cleanup comes first
	listen("unix", filepath.Join(sockets, ".s.PGSQL.5432"))
	return listen("tcp", "127.0.0.1:0").Addr().String()
}

// question is about a coordinator with a certificate and some write-ahead log.
func question(t *testing.T) probe.Question {
	t.Helper()
	home := t.TempDir()
	paths := pod.Paths{Volume: filepath.Join(home, "volume"), WALVolume: filepath.Join(home, "wal"), Sockets: home, Certificate: filepath.Join(home, "tls")}
	for _, folder := range []string{filepath.Join(paths.Data(), "pg_wal", "archive_status"), paths.WALVolume, paths.Certificate} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ca, err := pki.NewAuthority("demo", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.Server(ca, "instance.demo", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		filepath.Join(paths.Certificate, "tls.crt"):  pair.Certificate,
		filepath.Join(paths.Data(), "pg_wal", "one"): make([]byte, 1000),
		filepath.Join(paths.Data(), "pg_wal", "two"): make([]byte, 500),
	} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return probe.Question{
		Server: dbadmin.Server{Sockets: home, Port: 5432}, Paths: paths, Node: "cn1", Role: antdb.RoleCoordinator, WALVolume: true,
	}
}

func TestAProbeTellsWhatAServerIsAndReaches(t *testing.T) {
	q := question(t)
	good := serve(t, &server{}, q.Paths.Sockets)
	q.Addresses = []string{good, "127.0.0.1:1", "nonsense"}
	got := probe.Look(t.Context(), q)
	if got.SQL.Error != "" || got.SQL.Micros == 0 || got.LSN != "0/16B3748" || got.WALBytes != 1500 || got.SchemaDigest == "" {
		t.Errorf("%+v", got)
	}
	if until, err := time.Parse(time.RFC3339, got.CertificateUntil); err != nil || time.Until(until) < 24*time.Hour {
		t.Errorf("the certificate is good until %q", got.CertificateUntil)
	}
	if got.Volumes["data"].Capacity == 0 || got.Volumes["wal"].Capacity == 0 {
		t.Errorf("volumes %+v", got.Volumes)
	}
	if len(got.Catalog) != 3 || got.Catalog[1] != (topology.Node{Name: "dn1", Type: "D", Host: "demo-dn1-h", Port: 5432, Primary: true}) {
		t.Errorf("catalog %+v", got.Catalog)
	}
	if d := cmp.Diff([]instanceapi.Prepared{{GID: "T77", Database: "app", Owner: "shop", Seconds: 90}}, got.Prepared); d != "" {
		t.Error(d)
	}
	if got.Datanodes["dn1"].Micros == 0 || !strings.Contains(got.Datanodes["dn2"].Error, "could not connect") {
		t.Errorf("datanodes %+v", got.Datanodes)
	}
	if got.Addresses[good].Micros == 0 || got.Addresses["127.0.0.1:1"].Error == "" || !strings.Contains(got.Addresses["nonsense"].Error, "missing port") {
		t.Errorf("addresses %+v", got.Addresses)
	}
	if len(got.Databases) > 0 {
		t.Error("a coordinator measures databases")
	}
}

func TestADatanodeMeasuresDatabasesAndIsNotAskedForACatalog(t *testing.T) {
	q := question(t)
	q.Role, q.Node, q.Sizes = antdb.RoleDatanode, "dn1", true
	serve(t, &server{}, q.Paths.Sockets)
	got := probe.Look(t.Context(), q)
	if len(got.Databases) != 1 || got.Databases[0].Bytes != 8192 || got.Catalog != nil || got.Datanodes != nil || len(got.Problems) > 0 {
		t.Errorf("%+v", got)
	}
}

func TestAProbeWithoutSQLOpensNoSession(t *testing.T) {
	q := question(t)
	s := &server{}
	q.Addresses = []string{serve(t, s, q.Paths.Sockets)}
	q.WithoutSQL = true
	got := probe.Look(t.Context(), q)
	if s.sessions != 0 || !got.SQL.Left || got.WALBytes != 1500 || got.CertificateUntil == "" {
		t.Errorf("%d statements, %+v", s.sessions, got)
	}
}

func TestWhatCannotBeFoundOutIsToldAndTheRestToo(t *testing.T) {
	q := question(t)
	if err := os.RemoveAll(q.Paths.Certificate); err != nil {
		t.Fatal(err)
	}
	got := probe.Look(t.Context(), q) // nothing listens
	if !strings.Contains(got.SQL.Error, "connect") || got.WALBytes != 1500 ||
		!slices.ContainsFunc(got.Problems, func(p string) bool { return strings.Contains(p, "read certificate") }) {
		t.Errorf("%+v", got)
	}
}
