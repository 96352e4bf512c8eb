// SPDX-License-Identifier: Apache-2.0

package dbadmin_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
	"github.com/antdb-operator/antdb-operator/internal/redistribute"
)

// mover opens a session that moves tables, and notes what the server is told.
func mover(t *testing.T, answer pgfake.Handler) (f fake, s *dbadmin.Session, told *[]string) {
	t.Helper()
	told = &[]string{}
	f = serve(t, func(p *pgfake.Session, sql string) pgfake.Reply {
		*told = append(*told, sql)
		if p.Parameters["application_name"] != "antdb-move" {
			return pgfake.Refuse("42501", "who is that?")
		}
		return answer(p, sql)
	})
	s, err := f.OpenMove(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return f, s, told
}

func committing(t *testing.T, s *dbadmin.Session) func() error {
	return func() error { return s.Commit(t.Context()) }
}

func TestTablesAreMovedInOneTransactionInsideThePause(t *testing.T) {
	f, s, told := mover(t, func(*pgfake.Session, string) pgfake.Reply { return pgfake.Reply{} })
	if err := s.Paused(t.Context(), 1500*time.Millisecond, "LOCK TABLE t", []string{"ALTER TABLE t"}, committing(t, s)); err != nil {
		t.Fatal(err)
	}
	f.stop()
	want := []string{
		"SET statement_timeout = 1500", "SET lock_timeout = 1500", "SELECT pg_pause_cluster()",
		"BEGIN", "LOCK TABLE t", "SET LOCAL statement_timeout = 0", "ALTER TABLE t", "COMMIT", "SELECT pg_unpause_cluster()",
	}
	if d := cmp.Diff(want, *told); d != "" {
		t.Errorf("statements (-want +got):\n%s", d)
	}
}

func TestAPauseIsOverWhateverHappens(t *testing.T) {
	for name, at := range map[string]string{"locking fails": "LOCK TABLE t", "moving fails": "ALTER TABLE t", "the commit fails": "COMMIT"} {
		t.Run(name, func(t *testing.T) {
			f, s, told := mover(t, func(_ *pgfake.Session, sql string) pgfake.Reply {
				if sql == at {
					return pgfake.Refuse("55P03", "canceling statement due to lock timeout")
				}
				return pgfake.Reply{}
			})
			err := s.Paused(t.Context(), time.Second, "LOCK TABLE t", []string{"ALTER TABLE t"}, committing(t, s))
			if err == nil || dbadmin.Judge(err) != dbadmin.Busy {
				t.Errorf("got %v", err)
			}
			f.stop()
			if end := (*told)[len(*told)-2:]; end[0] != "ROLLBACK" || end[1] != "SELECT pg_unpause_cluster()" {
				t.Errorf("it ended with %v", end)
			}
		})
	}
}

func TestASessionThatCannotEndItsPauseIsClosed(t *testing.T) {
	_, s, _ := mover(t, func(_ *pgfake.Session, sql string) pgfake.Reply {
		if sql == "SELECT pg_unpause_cluster()" {
			return pgfake.Refuse("XX000", "cn2 does not answer")
		}
		return pgfake.Reply{}
	})
	if err := s.Paused(t.Context(), time.Second, "LOCK TABLE t", nil, committing(t, s)); err != nil {
		t.Errorf("the tables were moved, got %v", err)
	}
	if err := s.Exec(t.Context(), "select 1"); err == nil {
		t.Error("the session still lives, and the pause with it")
	}
}

func TestWhatAFailureMeansForTheNextTry(t *testing.T) {
	for _, c := range []struct {
		code, text string
		want       dbadmin.Hindrance
	}{
		{"55P03", "canceling statement due to lock timeout", dbadmin.Busy},
		{"XX000", "Fail to process utility query on remote node.: ERROR:  canceling statement due to lock timeout", dbadmin.Busy},
		{"57014", "canceling statement due to statement timeout", dbadmin.Busy},
		{"25006", "cannot execute ALTER TABLE in a locked cluster", dbadmin.Busy},
		{"40P01", "deadlock detected", dbadmin.Busy},
		{"XX000", "error message from poolmgr:reconnect three thimes , could not connect to server", dbadmin.Away},
		{"57P01", "terminating connection due to administrator command", dbadmin.Away},
		{"XX000", "invalid node oid 16387 from remote dr status 1", dbadmin.Unclear},
		{"0A000", "not support ALTER hashmap table ADD/DELETE/TO node", dbadmin.Lasting},
		{"53100", `could not extend file: No space left on device`, dbadmin.Lasting},
		{"XX000", `could not extend file: No space left on device`, dbadmin.Lasting},
		{"42P01", `relation "t" does not exist`, dbadmin.Gone},
		{"3D000", `database "app" does not exist`, dbadmin.Gone},
	} {
		if got := dbadmin.Judge(dbadmin.NewServerError(c.code, c.text)); got != c.want {
			t.Errorf("%s %s: got %d, want %d", c.code, c.text, got, c.want)
		}
	}
	if got := dbadmin.Judge(errors.New("unexpected EOF")); got != dbadmin.Away {
		t.Errorf("a lost connection: got %d", got)
	}
}

func TestWhereTablesLieIsReadRowByRow(t *testing.T) {
	text, truth := pgfake.Text, pgfake.Bool
	ctx, session := open(t, serve(t, func(*pgfake.Session, string) pgfake.Reply {
		return pgfake.Reply{
			Columns: []pgfake.Column{
				pgfake.Int("oid"), text("schema"), text("name"), text("locator"), text("nodes"), truth("weighted"), text("parents"), text("references"),
				text("strategy"), truth("copied"), truth("odd schema"), truth("odd name"),
			},
			Rows: [][]string{
				{"16400", "public", "p", "H", "dn2,dn1", "f", "", "", "r", "f", "f", "f"},
				{"16403", "public", "P 1", "H", "dn2,dn1", "t", "16400", "16500,16600", "", "t", "f", "t"},
			},
		}
	}))
	got, err := session.Tables(ctx)
	if err != nil {
		t.Fatal(err)
	}
	nodes := []string{"dn2", "dn1"}
	want := []redistribute.Table{
		{Database: "app", Schema: "public", Name: "p", ID: 16400, Locator: "H", Nodes: nodes, Strategy: "r"},
		{
			Database: "app", Schema: "public", Name: "P 1", ID: 16403, Locator: "H", Nodes: nodes, Weighted: true, Parents: []int64{16400},
			References: []int64{16500, 16600}, Copied: true, OddName: true,
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("tables (-want +got):\n%s", d)
	}
}

func TestADatanodeIsMeasuredThroughTheCoordinator(t *testing.T) {
	var asked string
	f := serve(t, func(_ *pgfake.Session, sql string) pgfake.Reply {
		asked = sql
		return pgfake.Reply{
			Columns: []pgfake.Column{pgfake.Text("schema"), pgfake.Text("name"), pgfake.Int("rows"), pgfake.Int("bytes")},
			Rows:    [][]string{{"public", "t", "7", "8192"}},
		}
	})
	ctx, session := open(t, f)
	got, err := session.SizesOn(ctx, "dn1")
	if err != nil {
		t.Fatal(err)
	}
	f.stop()
	if d := cmp.Diff([]redistribute.Size{{Schema: "public", Name: "t", Rows: 7, Bytes: 8192}}, got); d != "" {
		t.Errorf("sizes (-want +got):\n%s", d)
	}
	if !strings.HasPrefix(asked, `execute direct on ("dn1") '`) || !strings.Contains(asked, "''^pg_''") {
		t.Errorf("asked %s", asked)
	}
}

func TestAMoveThatIsGivenUpClosesItsSession(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	_, s, _ := mover(t, func(_ *pgfake.Session, sql string) pgfake.Reply {
		if sql == "ALTER TABLE t" {
			return pgfake.Reply{Wait: never}
		}
		return pgfake.Reply{}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Paused(ctx, time.Second, "LOCK TABLE t", []string{"ALTER TABLE t"}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := s.Exec(t.Context(), "select 1"); err == nil {
		t.Error("the session still lives, and the pause with it")
	}
}
