// SPDX-License-Identifier: Apache-2.0

package split_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/division"
	"github.com/antdb-operator/antdb-operator/internal/instance/rescue"
	"github.com/antdb-operator/antdb-operator/internal/instance/split"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// world is a cluster in memory: two datanodes with copies that follow them, and what goes wrong.
type world struct {
	mu     sync.Mutex
	now    time.Time
	did    []string // what happened to the cluster, in order
	nodes  []string
	paused bool
	marked bool
	// inside is what a transaction has registered.
	inside []string
	unable bool
	tables map[string][]division.Table
	// busy is who is inside a transaction at the next looks, one entry for each; astray says that no copy follows.
	busy   []string
	astray bool
	stuck  bool // copies do not become primaries
	// fail is the error of a step, by name; committedAll the same says that the commit went through.
	fail      map[string]error
	committed bool
	unclean   map[string]int
	since     map[context.Context]time.Time
	onPause   func()
	// hang, if it is not nil, keeps a commit from its end until both coordinators were let go.
	hang chan struct{}
}

// rescuer is a session on a coordinator.
type rescuer struct{ *world }

func (r rescuer) Close() {}

func (r rescuer) End(_ context.Context, pid int) error {
	r.hang <- struct{}{}
	if pid != 77 {
		return errors.New("that is nobody")
	}
	return nil
}

func (s *session) Backend(context.Context, string) (int, error) { return 77, nil }

func fresh() *world {
	return &world{
		now: time.Unix(0, 0), since: map[context.Context]time.Time{}, nodes: []string{"gc", "cn1", "cn2", "dn1", "dn2"}, fail: map[string]error{}, unclean: map[string]int{},
		tables: map[string][]division.Table{"postgres": nil, "app": {{Schema: "public", Name: "t", Locator: "H", Nodes: []string{"dn1", "dn2"}}}},
	}
}

func (w *world) did1(what string) { w.did = append(w.did, what) }

type session struct {
	*world
	database string
	pausing  bool
	inside   bool
}

func (s *session) step(name string) error {
	if s.paused && !s.pausing && !s.inside {
		return errors.New("held back by the pause")
	}
	err := s.fail[name]
	delete(s.fail, name)
	return err
}

func (s *session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pausing {
		s.paused, s.pausing = false, false
		s.did1("session ended")
	}
}

func (s *session) Able(context.Context) (bool, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, x := range s.unclean {
		n += x
	}
	return !s.unable, n, s.step("able")
}

func (s *session) Unclean(ctx context.Context) (int, error) {
	_, n, err := s.Able(ctx)
	return n, err
}

func (s *session) UncleanDatabases(context.Context) (all []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, n := range s.unclean {
		if n > 0 {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all, nil
}

func (s *session) Tablespaces(context.Context) ([]string, error) { return nil, nil }

func (s *session) Databases(context.Context) (all []division.Database, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.tables {
		all = append(all, division.Database{Name: name})
	}
	all = append(all, division.Database{Name: "template0", Template: true, Closed: true})
	return all, s.step("databases")
}

func (s *session) Tables(context.Context) ([]division.Table, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tables[s.database], s.step("tables")
}

func (s *session) Nodes(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.nodes), s.step("nodes")
}

func (s *session) Sizes(context.Context, string) (map[string]int64, error) {
	return map[string]int64{"app": 7, "postgres": 1}, nil
}

func (s *session) Workers(context.Context, string) (limit, busy int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 8, 2, s.step("workers")
}

func (s *session) Feeding(context.Context, string) (senders, slots int, err error) {
	return 10, 10, nil
}

func (s *session) Pause(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.step("pause"); err != nil {
		return err
	}
	s.paused, s.pausing = true, true
	s.did1("pause")
	if s.onPause != nil {
		s.onPause()
	}
	return nil
}

func (s *session) Unpause(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.step("unpause"); err != nil {
		return err
	}
	s.paused, s.pausing = false, false
	s.did1("unpause")
	return nil
}

func (s *session) Busy(_ context.Context, node string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if node == "cn1" && len(s.busy) > 0 {
		who := s.busy[0]
		s.busy = s.busy[1:]
		return []string{who}, nil
	}
	return nil, s.step("busy")
}

func (s *session) Behind(context.Context, string, string) (int64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 0, !s.astray && !s.marked, s.step("behind")
}

func (s *session) Mark(_ context.Context, source, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marked = true
	s.did1("mark " + name + " on " + source)
	return s.step("mark")
}

func (s *session) Primary(context.Context, string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marked && !s.stuck, s.step("primary")
}

func (s *session) Begin(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.step("begin")
	s.inside = true
	return err
}

func (s *session) Rollback(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.inside = nil
	s.did1("rollback")
	return nil
}

func (s *session) Register(_ context.Context, n topology.Node) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.inside = append(s.world.inside, n.Name)
	return s.step("register")
}

func (s *session) Divide(_ context.Context, pairs []instanceapi.Pair, coordinators []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did1("divide on " + strings.Join(coordinators, ","))
	return s.step("divide")
}

func (s *session) Commit(context.Context) error {
	if s.pausing && s.hang != nil {
		<-s.hang
		<-s.hang
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.pausing {
		return nil
	}
	err := s.step("commit")
	if err == nil || s.committed {
		s.nodes = append(s.nodes, s.world.inside...)
		s.unclean["app"]++
		s.did1("commit")
	}
	s.world.inside = nil
	return err
}

func (s *session) Clean(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.step("clean"); err != nil {
		return err
	}
	s.did1("clean " + s.database)
	s.unclean[s.database] = 0
	return nil
}

func (s *session) Undecided(context.Context) ([]string, error) { return nil, nil }

func (w *world) splitter(changed chan struct{}) *split.Splitter {
	return &split.Splitter{
		Open: func(_ context.Context, database string) (split.Session, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return &session{world: w, database: database}, w.fail["open"]
		},
		Ways: rescue.Ways{
			Coordinators: func() []topology.Node {
				return []topology.Node{{Name: "cn1", Host: "cn1-h"}, {Name: "cn2", Host: "cn2-h"}}
			},
			Reach: func(context.Context, string) (rescue.Coordinator, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				return rescuer{w}, w.fail["reach"]
			},
			Answers: func(context.Context, string) error { return nil },
			Sleep: func(ctx context.Context, _ time.Duration) bool {
				if w.hang == nil { // the watch over the commit is called off
					<-ctx.Done()
				}
				return ctx.Err() == nil
			},
			Log: slog.New(slog.DiscardHandler),
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
			if _, begun := w.since[ctx]; !begun {
				w.since[ctx] = w.now
			}
			w.now = w.now.Add(d)
			deadline, limited := ctx.Deadline()
			// Time is only counted, from the first sleep in a limit on.
			return ctx.Err() == nil && (!limited || w.now.Sub(w.since[ctx]) < time.Until(deadline))
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

func order() instanceapi.Split {
	pair := func(source, target string) instanceapi.Pair {
		return instanceapi.Pair{Source: source, Target: topology.Node{Name: target, Type: "D", Host: target + "-h", Port: 5432}}
	}
	return instanceapi.Split{Token: "1", Mark: "m", MaxPauseMillis: 1000, Pairs: []instanceapi.Pair{pair("dn1", "dn3"), pair("dn2", "dn4")}}
}

// run waits until a split has ended.
func (w *world) run(t *testing.T, o instanceapi.Split) instanceapi.SplitStatus {
	t.Helper()
	changed := make(chan struct{}, 8)
	s := w.splitter(changed)
	if err := s.Ask(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case <-changed:
			if now, _ := s.Status(); now.Phase != instanceapi.SplitRunning {
				return *now
			}
		case <-time.After(10 * time.Second):
			now, _ := s.Status()
			t.Fatalf("still %+v", now)
		}
	}
}

const whole = "pause; mark m on dn1; mark m on dn2; divide on cn1,cn2; commit; unpause"

func TestASplitIsOnePauseAndOneTransaction(t *testing.T) {
	random := []division.Table{{Schema: "public", Name: "r", Locator: "N", Nodes: []string{"dn1"}}}
	lost := errors.New("connection lost")
	for name, c := range map[string]struct {
		set   func(*world)
		phase instanceapi.SplitPhase
		did   string
		says  string
	}{
		"all is well":         {func(*world) {}, instanceapi.SplitDone, whole, "dn1, dn2 are divided"},
		"it was done already": {func(w *world) { w.nodes = append(w.nodes, "dn3", "dn4") }, instanceapi.SplitDone, "", ""},
		"rows of tables at random are removed in the pause": {
			func(w *world) { w.tables["app"] = random }, instanceapi.SplitDone,
			strings.Replace(whole, "; unpause", "; clean app; unpause", 1), "",
		},
		"a transaction that ends in time is waited for": {
			func(w *world) { w.busy = []string{"a transaction"} }, instanceapi.SplitDone, whole, "",
		},
		"one that goes on is given way to": {
			func(w *world) { w.busy = slices.Repeat([]string{"a transaction"}, 60) }, instanceapi.SplitDone, "pause; unpause; " + whole, "",
		},
		"an error before the mark is tried again": {
			func(w *world) { w.fail["register"] = lost }, instanceapi.SplitDone, "pause; rollback; unpause; " + whole, "",
		},
		"an error after the mark makes the copies useless": {
			func(w *world) { w.fail["divide"] = lost }, instanceapi.SplitFailed,
			"pause; mark m on dn1; mark m on dn2; divide on cn1,cn2; rollback; unpause", "connection lost",
		},
		"copies that do not become primaries": {
			func(w *world) { w.stuck = true }, instanceapi.SplitFailed, "pause; mark m on dn1; mark m on dn2; rollback; unpause",
			"dn3 has not become a primary",
		},
		"copies that do not follow are given up before anybody is held": {
			func(w *world) { w.astray = true }, instanceapi.SplitFailed, "", "dn3 does not follow dn1",
		},
		"a commit that went through although nobody said so": {
			func(w *world) { w.fail["commit"], w.committed = lost, true }, instanceapi.SplitDone, strings.Replace(whole, "; unpause", "; rollback; unpause", 1), "",
		},
		"a commit that did not": {
			func(w *world) { w.fail["commit"] = lost }, instanceapi.SplitFailed,
			"pause; mark m on dn1; mark m on dn2; divide on cn1,cn2; rollback; unpause", "connection lost",
		},
		"a commit that hangs, until the coordinators are let go": {
			func(w *world) { w.hang = make(chan struct{}, 2) }, instanceapi.SplitDone, whole, "",
		},
		"a pause that cannot be ended in order ends with its session": {
			func(w *world) { w.fail["unpause"] = lost }, instanceapi.SplitDone, strings.Replace(whole, "unpause", "session ended", 1), "",
		},
		"a catalog that cannot be read afterwards is asked for again": {
			func(w *world) { w.onPause = func() { w.fail["nodes"] = lost } }, instanceapi.SplitDone, whole, "",
		},
		"a table that came meanwhile is found": {
			func(w *world) {
				w.onPause = func() {
					w.tables["app"] = []division.Table{{Schema: "public", Name: "un", Locator: "H", Unlogged: true, Nodes: []string{"dn1"}}}
				}
			}, instanceapi.SplitFailed, "pause; unpause", "app.public.un",
		},
		"a database that came meanwhile is read the next time": {
			func(w *world) {
				w.onPause = func() { w.onPause = nil; w.tables["new"] = nil }
			}, instanceapi.SplitDone, "pause; unpause; " + whole, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := fresh()
			c.set(w)
			s := w.run(t, order())
			if d := cmp.Diff(c.did, strings.Join(w.did, "; ")); d != "" {
				t.Errorf("the cluster saw (-want +got):\n%s", d)
			}
			if s.Phase != c.phase || !strings.Contains(s.Message, c.says) {
				t.Errorf("%s, %q", s.Phase, s.Message)
			}
			if divided := slices.Contains(w.nodes, "dn3"); divided != (c.phase == instanceapi.SplitDone) {
				t.Errorf("it says %s, and the nodes are %v", s.Phase, w.nodes)
			}
		})
	}
}

func TestASplitIsCancelledBetweenTwoTriesAndTellsWhatBecameOfIt(t *testing.T) {
	for name, nodes := range map[string][]string{"nothing was done": nil, "it had been done": {"dn3", "dn4"}} {
		t.Run(name, func(t *testing.T) {
			w := fresh()
			w.nodes = append(w.nodes, nodes...)
			o := order()
			o.Cancel = true
			want := instanceapi.SplitCancelled
			if nodes != nil {
				want = instanceapi.SplitDone
			}
			if s := w.run(t, o); s.Phase != want || len(w.did) > 0 {
				t.Errorf("%+v after %v", s, w.did)
			}
		})
	}
}

func TestAPlanChangesNothingAndTellsWhatStandsAgainstIt(t *testing.T) {
	w := fresh()
	w.unclean["app"] = 2
	o := order()
	o.PlanOnly = true
	s := w.run(t, o)
	want := instanceapi.SplitStatus{
		Token: "1", Phase: instanceapi.SplitPlanned, Message: "1 tables would be divided", Tables: 1,
		Bytes: map[string]int64{"dn1": 8, "dn2": 8}, Refusals: s.Refusals,
	}
	if d := cmp.Diff(want, s); d != "" || len(w.did) > 0 {
		t.Errorf("plan (-want +got):\n%s\nit did %v", d, w.did)
	}
	if len(s.Refusals) != 1 || !strings.Contains(s.Refusals[0], "2 tables still lie twice") {
		t.Errorf("refusals %q", s.Refusals)
	}
}

func TestAPlanIsMadeAgainWhenANodeWasLost(t *testing.T) {
	o := order()
	o.PlanOnly = true
	w := fresh()
	w.fail["workers"] = errors.New("dn1: server closed the connection unexpectedly")
	if s := w.run(t, o); s.Phase != instanceapi.SplitPlanned || s.Retries != 1 {
		t.Errorf("lost for a moment: %+v", s)
	}
	w = fresh()
	w.fail["open"] = errors.New("gc refuses")
	if s := w.run(t, o); s.Phase != instanceapi.SplitFailed || s.Message != "gc refuses" {
		t.Errorf("lost for good: %+v", s)
	}
	if passed := w.now.Sub(time.Unix(0, 0)); passed < 20*time.Second || passed > time.Minute {
		t.Errorf("given up after %s", passed)
	}
	w = fresh()
	w.fail["open"], o.Cancel = errors.New("gc refuses"), true
	if s := w.run(t, o); s.Phase != instanceapi.SplitCancelled {
		t.Errorf("cancelled: %+v", s)
	}
}

func TestWhatLiesTwiceIsRemovedDatabaseByDatabase(t *testing.T) {
	w := fresh()
	w.unclean = map[string]int{"app": 2, "postgres": 1}
	w.fail["clean"] = errors.New("dn2 is away")
	changed := make(chan struct{}, 8)
	s := w.splitter(changed)
	s.AskToClean(t.Context(), instanceapi.Clean{Token: "1"})
	s.AskToClean(t.Context(), instanceapi.Clean{Token: "1"})
	<-changed
	if _, clean := s.Status(); clean.Phase != instanceapi.CleanDone || clean.Left != 0 {
		t.Errorf("clean %+v", clean)
	}
	if d := cmp.Diff("clean app; clean postgres", strings.Join(w.did, "; ")); d != "" {
		t.Errorf("it did (-want +got):\n%s", d)
	}
}

func TestAnotherSplitIsRefusedWhileOneRuns(t *testing.T) {
	w := fresh()
	w.busy = slices.Repeat([]string{"a transaction"}, 1<<20)
	changed := make(chan struct{}, 1<<10)
	s := w.splitter(changed)
	if err := s.Ask(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	other := order()
	other.Token = "2"
	if _, busy := errors.AsType[*split.BusyError](s.Ask(t.Context(), other)); !busy {
		t.Error("a second one is taken")
	}
	stop := order()
	stop.Cancel = true
	if err := s.Ask(t.Context(), stop); err != nil {
		t.Fatal(err)
	}
	for {
		<-changed
		if now, _ := s.Status(); now.Phase != instanceapi.SplitRunning {
			if now.Phase != instanceapi.SplitCancelled {
				t.Errorf("%+v", now)
			}
			return
		}
	}
}
