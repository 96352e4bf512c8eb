// SPDX-License-Identifier: Apache-2.0

package dbadmin_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// patience bounds every wait of these tests.
const patience = 10 * time.Second

// fake is a server that answers as a test says. What its answers noted may be read after stop.
type fake struct {
	dbadmin.Server
	stop func()
}

func serve(t *testing.T, answer pgfake.Handler) fake {
	t.Helper()
	folder, stop := pgfake.Start(t, answer)
	return fake{dbadmin.Server{Sockets: folder, Port: pgfake.Port}, stop}
}

func open(t *testing.T, s fake) (context.Context, *dbadmin.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	session, err := s.Open(ctx, "app", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return ctx, session
}

func TestTheTimeLimitIsGivenWithTheConnectionAndNotByAStatement(t *testing.T) {
	var parameters map[string]string
	var statements []string
	f := serve(t, func(s *pgfake.Session, sql string) pgfake.Reply {
		parameters, statements = s.Parameters, append(statements, sql)
		return pgfake.Reply{}
	})
	ctx, session := open(t, f)
	if err := session.Exec(ctx, "checkpoint"); err != nil {
		t.Fatal(err)
	}
	f.stop()
	want := map[string]string{
		"user": "postgres", "database": "app", "application_name": "antdb-instance", "client_encoding": "UTF8",
		"options": "-c statement_timeout=3000",
	}
	if d := cmp.Diff(want, parameters); d != "" {
		t.Errorf("startup parameters (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"checkpoint"}, statements); d != "" {
		t.Errorf("statements (-want +got):\n%s", d)
	}
}

func TestAServersRefusalKeepsItsWordsAndItsCode(t *testing.T) {
	ctx, session := open(t, serve(t, func(*pgfake.Session, string) pgfake.Reply {
		return pgfake.Refuse("XX000", "No Datanode defined in cluster")
	}))
	err := session.Exec(ctx, "create table t ()")
	var refusal *dbadmin.ServerError
	if !errors.As(err, &refusal) || refusal.Code != "XX000" || !strings.Contains(err.Error(), "No Datanode defined in cluster") {
		t.Errorf("got %v", err)
	}
}

func TestAStatementEndsWithItsContextWhateverTheServerDoes(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	_, session := open(t, serve(t, func(*pgfake.Session, string) pgfake.Reply { return pgfake.Reply{Wait: never} }))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := session.Exec(ctx, "select 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a passed deadline", err)
	}
}

func TestTheCatalogIsReadRowByRow(t *testing.T) {
	ctx, session := open(t, serve(t, func(_ *pgfake.Session, sql string) pgfake.Reply {
		if sql != topology.Select {
			return pgfake.Refuse("42601", "unexpected: "+sql)
		}
		return pgfake.Reply{
			Columns: []pgfake.Column{
				pgfake.Text("node_name"), pgfake.Text("node_type"), pgfake.Text("node_host"), pgfake.Int("node_port"),
				pgfake.Bool("nodeis_primary"), pgfake.Bool("nodeis_preferred"), pgfake.Bool("nodeis_gtm"),
			},
			Rows: [][]string{{"dn1", "D", "demo-dn1-h.ns.svc", "5432", "t", "f", "f"}, {"gc", "C", "demo-gc-h.ns.svc", "5432", "f", "f", "t"}},
		}
	}))
	got, err := session.Catalog(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []topology.Node{
		{Name: "dn1", Type: antdb.TypeDatanode, Host: "demo-dn1-h.ns.svc", Port: 5432, Primary: true},
		{Name: "gc", Type: antdb.TypeCoordinator, Host: "demo-gc-h.ns.svc", Port: 5432, GTM: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("catalog (-want +got):\n%s", d)
	}
}

func TestAPasswordReachesTheServerAsAVerifierAndUnlogged(t *testing.T) {
	var statements []string
	f := serve(t, func(_ *pgfake.Session, sql string) pgfake.Reply {
		statements = append(statements, sql)
		return pgfake.Reply{}
	})
	ctx, session := open(t, f)
	if err := session.SetPassword(ctx, `o"dd`, "SCRAM-SHA-256$x"); err != nil {
		t.Fatal(err)
	}
	f.stop()
	want := []string{
		"set log_statement = 'none'", "set log_min_duration_statement = -1", "set log_min_error_statement = 'panic'",
		`ALTER ROLE "o""dd" PASSWORD 'SCRAM-SHA-256$x'`,
	}
	if d := cmp.Diff(want, statements); d != "" {
		t.Errorf("statements (-want +got):\n%s", d)
	}
}

func TestTheCheckKnowsWhenItsConnectionIsGone(t *testing.T) {
	asked := 0
	s := serve(t, func(*pgfake.Session, string) pgfake.Reply {
		asked++
		return pgfake.Reply{HangUp: asked > 1}
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	check, err := s.OpenCheck(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer check.Close()
	if err := check.Ask(ctx); err != nil || check.Dead() {
		t.Errorf("first question: error %v, dead %v", err, check.Dead())
	}
	if err := check.Ask(ctx); err == nil || !check.Dead() {
		t.Errorf("second question: error %v, dead %v, want an error and a dead connection", err, check.Dead())
	}
}
