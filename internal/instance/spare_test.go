// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"testing"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
)

func TestASessionIsUsedAgainWhileItIsGood(t *testing.T) {
	for name, c := range map[string]struct {
		// then is what happens to the session after it was given back.
		then func(t *testing.T, s *spare, db *dbadmin.Session)
		want bool
	}{
		"at once":                        {func(*testing.T, *spare, *dbadmin.Session) {}, true},
		"after the server changed":       {func(_ *testing.T, s *spare, _ *dbadmin.Session) { s.drop() }, false},
		"when the server hung up":        {func(t *testing.T, _ *spare, db *dbadmin.Session) { say(t, db, "hang up") }, false},
		"with a transaction left behind": {func(t *testing.T, _ *spare, db *dbadmin.Session) { say(t, db, "begin") }, false},
		"after nobody asked for a while": {func(t *testing.T, s *spare, _ *dbadmin.Session) { s.timer.Reset(0); waitEmpty(t, s) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			server, s := fakeServer(t), &spare{}
			db := session(t, server)
			s.give(db)
			c.then(t, s, db)
			switch again := s.take(t.Context()); {
			case c.want && again != db:
				t.Errorf("it is %v, not the session that was given back", again)
			case !c.want && again != nil:
				t.Error("it is given out again")
			}
			if s.take(t.Context()) != nil {
				t.Error("two have the same session")
			}
		})
	}
}

func TestOfTwoSessionsOneIsKept(t *testing.T) {
	server, s := fakeServer(t), &spare{}
	first, second := session(t, server), session(t, server)
	s.give(first)
	s.give(second)
	if first.Usable(t.Context()) {
		t.Error("the first is still open")
	}
	if s.take(t.Context()) != second {
		t.Error("the second is not kept")
	}
}

// fakeServer is where sessions go; "hang up" ends one.
func fakeServer(t *testing.T) dbadmin.Server {
	t.Helper()
	folder, _ := pgfake.Start(t, func(_ *pgfake.Session, sql string) pgfake.Reply { return pgfake.Reply{HangUp: sql == "hang up"} })
	return dbadmin.Server{Sockets: folder, Port: pgfake.Port}
}

func session(t *testing.T, server dbadmin.Server) *dbadmin.Session {
	t.Helper()
	db, err := server.Open(t.Context(), dbadmin.Maintenance, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// say runs a statement whose failure is the point.
func say(t *testing.T, db *dbadmin.Session, sql string) {
	t.Helper()
	_ = db.Exec(t.Context(), sql)
}

func waitEmpty(t *testing.T, s *spare) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		empty := s.kept == nil
		s.mu.Unlock()
		switch {
		case empty:
			return
		case time.Now().After(deadline):
			t.Fatal("the session is still kept")
		}
	}
}
