// SPDX-License-Identifier: Apache-2.0

package move_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/move"
	"github.com/antdb-operator/antdb-operator/internal/instance/rescue"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/metrics"
	"github.com/antdb-operator/antdb-operator/internal/redistribute"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// world is a cluster in memory: databases with tables, and what goes wrong when one is moved.
type world struct {
	mu     sync.Mutex
	tables map[string][]redistribute.Table
	// trouble is what happens to a table, one entry for each attempt.
	trouble map[string][]error
	away    int
	tried   []string
	now     time.Time
	moving  func(name string)
}

type session struct {
	*world
	database string
}

func (s session) Close() {}

func (s session) Databases(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (s session) Tables(context.Context) ([]redistribute.Table, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tables[s.database]), nil
}

func (s session) SizesOn(_ context.Context, datanode string) ([]redistribute.Size, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away > 0 {
		s.away--
		return nil, errors.New(datanode + " is away")
	}
	return nil, nil
}

// Paused moves the tables that are named in the statements.
func (s session) Paused(_ context.Context, _ time.Duration, _ string, statements []string, commit func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range s.tables[s.database] {
		if !strings.Contains(strings.Join(statements, "\n"), `"`+t.Name+`"`) {
			continue
		}
		s.tried = append(s.tried, s.database+"."+t.Name)
		if s.moving != nil {
			s.moving(t.Name)
		}
		if todo := s.trouble[t.Name]; len(todo) > 0 {
			s.trouble[t.Name] = todo[1:]
			if todo[0] != nil {
				return todo[0]
			}
		}
		s.tables[s.database][i].Nodes = []string{"dn1", "dn2"}
	}
	s.now = s.now.Add(time.Second)
	return commit()
}

func (s session) Backend(context.Context, string) (int, error) { return 1, nil }
func (s session) Commit(context.Context) error                 { return nil }

func (w *world) mover(changed chan struct{}) *move.Mover {
	return &move.Mover{
		Open: func(_ context.Context, database string) (move.Session, error) { return session{w, database}, nil },
		Ways: rescue.Ways{
			Coordinators: func() []topology.Node { return nil },
			Sleep: func(ctx context.Context, _ time.Duration) bool {
				<-ctx.Done()
				return false
			},
		},
		Datanodes: func() []topology.Node { return nil },
		Changed:   func() { changed <- struct{}{} },
		Now: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.now
		},
		Sleep: func(ctx context.Context, d time.Duration) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.now = w.now.Add(d)
			return ctx.Err() == nil
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

// run waits until a move has ended.
func (w *world) run(t *testing.T, order instanceapi.Move) instanceapi.MoveStatus {
	t.Helper()
	changed := make(chan struct{}, 8)
	m := w.mover(changed)
	if err := m.Ask(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	return ended(t, m, changed)
}

func ended(t *testing.T, m *move.Mover, changed chan struct{}) instanceapi.MoveStatus {
	t.Helper()
	for {
		select {
		case <-changed:
			if s := m.Status(); s.Phase != instanceapi.MoveRunning {
				return *s
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("still %+v", m.Status())
		}
	}
}

func table(id int64, name string) redistribute.Table {
	return redistribute.Table{Database: "app", Schema: "public", Name: name, ID: id, Locator: "H", Nodes: []string{"dn1"}, Bytes: id}
}

func two() *world {
	return &world{tables: map[string][]redistribute.Table{"app": {table(1, "a"), table(2, "b")}}, now: time.Unix(0, 0), trouble: map[string][]error{}}
}

func order() instanceapi.Move {
	return instanceapi.Move{Token: "1", Onto: []string{"dn1", "dn2"}, From: []string{"dn1"}, MaxPauseMillis: 1000}
}

func refusal(code, text string) error {
	return fmt.Errorf("ALTER TABLE: %w", dbadmin.NewServerError(code, text))
}

func TestEveryTableIsMovedOnceAndCounted(t *testing.T) {
	w := two()
	s := w.run(t, order())
	if s.Phase != instanceapi.MoveDone || s.TablesDone != 2 || s.TablesTotal != 2 || s.BytesDone != 3 || s.BytesTotal != 3 || s.Retries != 0 || s.LongestPauseMillis != 1000 {
		t.Errorf("got %+v", s)
	}
	if d := cmp.Diff([]string{"app.a", "app.b"}, w.tried); d != "" {
		t.Errorf("tries (-want +got):\n%s", d)
	}
}

func TestWhatGoesWrongWithATable(t *testing.T) {
	busy := refusal("XX000", "Fail to process utility query on remote node.: ERROR:  canceling statement due to lock timeout")
	unclear := refusal("XX000", "invalid node oid 16387 from remote dr status 1")
	for name, c := range map[string]struct {
		trouble []error
		phase   instanceapi.MovePhase
		tried   string
		message string
	}{
		"a busy one is tried again after the others":    {[]error{busy, busy}, instanceapi.MoveDone, "a b a a", "2 tables were moved"},
		"a failure without a reason is tried again too": {[]error{unclear}, instanceapi.MoveDone, "a b a", "2 tables were moved"},
		"but not for ever": {slices.Repeat([]error{unclear}, 5), instanceapi.MoveFailed, "a b a a a a", "1 tables were moved, these were not: app.public.a: ALTER TABLE: invalid node oid"},
		"a lasting one is tried once, and others are moved": {[]error{refusal("0A000", "not supported")}, instanceapi.MoveFailed, "a b", "app.public.a: ALTER TABLE: not supported"},
		"while a node is away no other table is tried":      {[]error{refusal("XX000", "could not connect to server")}, instanceapi.MoveDone, "a a b", "2 tables were moved"},
		"nor when the connection is lost":                   {[]error{errors.New("unexpected EOF")}, instanceapi.MoveDone, "a a b", "2 tables were moved"},
	} {
		t.Run(name, func(t *testing.T) {
			w := two()
			w.trouble["a"] = c.trouble
			s := w.run(t, order())
			if tried := strings.ReplaceAll(strings.Join(w.tried, " "), "app.", ""); s.Phase != c.phase || tried != c.tried || !strings.Contains(s.Message, c.message) {
				t.Errorf("tried %q, got %s %q", tried, s.Phase, s.Message)
			}
		})
	}
}

func TestATableThatIsDroppedMeanwhileIsForgotten(t *testing.T) {
	w := two()
	w.trouble["a"] = []error{refusal("42P01", "relation does not exist")}
	w.moving = func(name string) {
		if name == "a" {
			w.tables["app"] = []redistribute.Table{table(2, "b")}
		}
	}
	if s := w.run(t, order()); s.Phase != instanceapi.MoveDone || s.TablesDone != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestATableThatIsMadeMeanwhileIsMovedToo(t *testing.T) {
	w := two()
	w.moving = func(name string) {
		if name == "b" {
			w.tables["second"] = []redistribute.Table{{Database: "second", Schema: "s", Name: "late", ID: 9, Locator: "R", Nodes: []string{"dn1"}}}
		}
	}
	if s := w.run(t, order()); s.Phase != instanceapi.MoveDone || s.TablesDone != 3 || w.tried[2] != "second.late" {
		t.Errorf("tried %v, got %+v", w.tried, s)
	}
}

func TestWhileADatanodeIsAwayNothingIsTried(t *testing.T) {
	w := two()
	w.away = 3
	if s := w.run(t, order()); s.Phase != instanceapi.MoveDone || len(w.tried) != 2 {
		t.Errorf("tried %v, got %+v", w.tried, s)
	}
}

func TestAPlanMovesNothingAndMayBeCarriedOutUnderItsToken(t *testing.T) {
	w := two()
	changed := make(chan struct{}, 8)
	m := w.mover(changed)
	o := order()
	o.PlanOnly = true
	for _, c := range []struct {
		planOnly bool
		phase    instanceapi.MovePhase
		tried    int
	}{{true, instanceapi.MovePlanned, 0}, {false, instanceapi.MoveDone, 2}, {false, instanceapi.MoveDone, 2}} {
		o.PlanOnly = c.planOnly
		if err := m.Ask(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		s := *m.Status()
		if s.Phase == instanceapi.MoveRunning {
			s = ended(t, m, changed)
		}
		if s.Phase != c.phase || len(w.tried) != c.tried || s.TablesTotal != 2 {
			t.Errorf("tried %v, got %+v", w.tried, s)
		}
	}
}

func TestAPinnedTableKeepsADatanodeFromBeingEmptied(t *testing.T) {
	w := two()
	s := w.run(t, instanceapi.Move{Token: "1", Off: []string{"dn1"}, MaxPauseMillis: 1000})
	if s.Phase != instanceapi.MoveFailed || len(w.tried) != 0 || !slices.Equal(s.Pinned, []string{"app.public.a", "app.public.b"}) {
		t.Errorf("tried %v, got %+v", w.tried, s)
	}
}

func TestAMoveIsCancelledAfterTheTableThatIsBeingMoved(t *testing.T) {
	w := two()
	changed := make(chan struct{}, 8)
	m := w.mover(changed)
	o := order()
	w.moving = func(string) {
		stop := o
		stop.Cancel = true
		if err := m.Ask(t.Context(), stop); err != nil {
			t.Error(err)
		}
		var busy *move.BusyError
		if err := m.Ask(t.Context(), instanceapi.Move{Token: "2", Off: []string{"dn9"}}); !errors.As(err, &busy) {
			t.Errorf("another move: got %v", err)
		}
	}
	if err := m.Ask(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if s := ended(t, m, changed); s.Phase != instanceapi.MoveCancelled || s.TablesDone != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestWhatHeldStatementsBackIsMeasuredAndConnectingIsNot(t *testing.T) {
	w := two()
	changed := make(chan struct{}, 8)
	m := w.mover(changed)
	open, opened := m.Open, 0
	m.Open = func(ctx context.Context, database string) (move.Session, error) {
		if opened++; opened == 2 { // the first one is for the plan
			w.mu.Lock()
			defer w.mu.Unlock()
			w.now = w.now.Add(time.Hour)
			return nil, errors.New("connection refused")
		}
		return open(ctx, database)
	}
	if err := m.Ask(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	if s := ended(t, m, changed); s.Phase != instanceapi.MoveDone || s.LongestPauseMillis != 1000 {
		t.Errorf("got %+v", s)
	}
	if want := (metrics.Histogram{}).With(time.Second).With(time.Second); !reflect.DeepEqual(want, m.Pauses()) {
		t.Errorf("pauses %+v, want two of a second", m.Pauses())
	}
}
