// SPDX-License-Identifier: Apache-2.0

package instance_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance"
	"github.com/antdb-operator/antdb-operator/internal/instance/enginetest"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// pid is the process of the running server.
func (r *rig) pid() int {
	r.t.Helper()
	first, _, _ := strings.Cut(r.read(filepath.Join(r.paths.Data(), "postmaster.pid")), "\n")
	n, err := strconv.Atoi(first)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	var refusal *serve.Refusal
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Errorf("got %v, want a refusal with code %d", err, code)
	}
}

func TestADatanodeIsMadeStartedAndServes(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	s := r.await("its position is known", func(s instanceapi.Status) bool { return s.LSN != "" && s.Message == "" })
	if s.Volume == nil || s.Volume.Capacity <= 0 || s.Volume.Free > s.Volume.Capacity {
		t.Errorf("volume %+v", s.Volume)
	}
	s.Volume = nil
	want := instanceapi.Status{
		Cluster: "demo", Node: "dn1", Instance: "demo-dn1-1", Role: antdb.RoleDatanode, Primary: true,
		State: instanceapi.StateRunning, Accepting: true, Serving: true, Reason: instance.ReasonServing,
		Version: "postgres (5.0.1 based on PostgreSQL) 11.10", SystemIdentifier: enginetest.SystemIdentifier,
		Timeline: 1, LSN: "0/1A2B7F0", Starts: 1,
		Config: instanceapi.ConfigStatus{Hash: instanceapi.Config{GTMHost: "127.0.0.1"}.Hash()},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("status (-want +got):\n%s", d)
	}
	r.eventually("the pod is labelled as serving", func() bool { return r.k.label() == "true" })
	data := r.paths.Data()
	initialized := "initdb -D " + data + ".init --nodename dn1 --pwfile " + filepath.Join(r.paths.Superuser, "password") +
		" -U postgres --no-sync --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C --data-checksums"
	if d := cmp.Diff([]string{initialized, "start --datanode -D " + data}, r.control.Events("initdb", "start")); d != "" {
		t.Errorf("programs (-want +got):\n%s", d)
	}
	r.stop()
	if got := r.k.label(); got != "false" {
		t.Errorf("after the end the label is %q, want false", got)
	}
	if d := cmp.Diff([]string{"signal interrupt"}, r.control.Signals()); d != "" {
		t.Errorf("signals (-want +got):\n%s", d)
	}
}

func TestASecondContainerFindsItsDataAgain(t *testing.T) {
	r := serving(t, antdb.RoleCoordinator, "cn1")
	r.stop()
	r.start()
	s := r.awaitServing()
	if s.Catalog.WantGeneration != 1 || s.Catalog.DriftSeen != 0 {
		t.Errorf("catalog %+v: want generation 1 and no drift", s.Catalog)
	}
	if got := len(r.control.Events("initdb")); got != 1 {
		t.Errorf("initdb ran %d times", got)
	}
}

func TestACoordinatorServesOnceItsCatalogIsRight(t *testing.T) {
	r := newRig(t, antdb.RoleCoordinator, "cn1")
	r.start()
	r.awaitReason(instance.ReasonNoTopology)
	for range 2 { // the second call finds nothing to do
		got, err := r.PutTopology(context.Background(), rows())
		if err != nil || got.Hash != rows().Hash() {
			t.Fatalf("result %+v, error %v: want the hash %s", got, err, rows().Hash())
		}
	}
	// The instance's own look at its catalog may be quicker than the call, so the server is asked what ran, and ran once.
	var changes []string
	for _, sql := range r.control.Events("sql") {
		if strings.Contains(sql, " NODE ") || strings.Contains(sql, topology.ReloadPool) {
			statement, _, _ := strings.Cut(strings.TrimPrefix(sql, "sql "), " WITH")
			changes = append(changes, statement)
		}
	}
	want := []string{`ALTER NODE "cn1"`, `CREATE NODE "gc"`, `CREATE NODE "dn1"`, topology.ReloadPool}
	if d := cmp.Diff(want, changes); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	if s := r.Status(context.Background()); !s.Serving || s.Catalog.Have != rows().Hash() {
		t.Errorf("status %+v", s)
	}
}

func TestATopologyGivenEarlyIsAppliedAsSoonAsTheServerIsUp(t *testing.T) {
	r := newRig(t, antdb.RoleCoordinator, "cn1")
	r.control.On(enginetest.HangInit)
	r.start()
	r.eventually("initdb runs", func() bool { return len(r.control.Events("initdb")) > 0 })
	got, err := r.PutTopology(context.Background(), rows())
	if err != nil || got.Hash != "" {
		t.Errorf("result %+v, error %v: want it remembered", got, err)
	}
	if s := r.Status(context.Background()); s.State != instanceapi.StateInitializing || s.Catalog.WantHash != rows().Hash() {
		t.Errorf("status %+v", s)
	}
	r.control.Off(enginetest.HangInit)
	if s := r.awaitServing(); s.Catalog.Have != rows().Hash() {
		t.Errorf("catalog %+v", s.Catalog)
	}
}

func TestDriftIsCountedToldAndRepaired(t *testing.T) {
	r := serving(t, antdb.RoleGTM, "gc")
	catalog := filepath.Join(r.paths.Data(), "catalog.json")
	r.write(catalog, strings.Replace(r.read(catalog), "dn1-h", "elsewhere", 1))
	s := r.await("drift was seen", func(s instanceapi.Status) bool { return s.Catalog.DriftSeen > 0 })
	want := []string{"differs: is dn1 D elsewhere:5432 primary, shall be dn1 D dn1-h:5432 primary"}
	if d := cmp.Diff(want, s.Catalog.Drift); d != "" || s.Catalog.DriftSeen != 1 {
		t.Errorf("seen %d times, rows (-want +got):\n%s", s.Catalog.DriftSeen, d)
	}
	if s.Catalog.Have != rows().Hash() || !s.Serving {
		t.Errorf("not repaired: %+v", s)
	}
}

func TestANewTopologyIsNoDrift(t *testing.T) {
	r := serving(t, antdb.RoleGTM, "gc")
	next := rows()
	next.Generation, next.Nodes[2].Host = 2, "dn1-elsewhere"
	if _, err := r.PutTopology(context.Background(), next); err != nil {
		t.Fatal(err)
	}
	if s := r.Status(context.Background()); s.Catalog.DriftSeen != 0 || s.Catalog.Have != next.Hash() {
		t.Errorf("catalog %+v", s.Catalog)
	}
}

func TestATopologyIsKeptWhileSQLDoesNotRun(t *testing.T) {
	r := newRig(t, antdb.RoleGTM, "gc")
	r.control.On(enginetest.HangSQL)
	r.start()
	r.awaitReason(instance.ReasonNoAnswer)
	_, err := r.PutTopology(context.Background(), rows())
	wantCode(t, err, http.StatusConflict)
	r.control.Off(enginetest.HangSQL)
	r.awaitServing()
}

func TestDatanodesTakeNoTopologyAndNobodyTakesAnEmptyOne(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	_, err := r.PutTopology(context.Background(), rows())
	wantCode(t, err, http.StatusBadRequest)
	g := serving(t, antdb.RoleGTM, "gc")
	_, err = g.PutTopology(context.Background(), instanceapi.Topology{Generation: 2})
	wantCode(t, err, http.StatusBadRequest)
}

func TestAKilledServerComesBack(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	if err := syscall.Kill(r.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s := r.await("it was started again", func(s instanceapi.Status) bool { return s.Serving && s.Starts == 2 })
	if s.LastExit != "signal: killed" {
		t.Errorf("last exit %q", s.LastExit)
	}
}

// A waiting gc can drop neither statements nor sessions: a second question would only leak.
func TestAServerThatDoesNotAnswerIsAskedOnce(t *testing.T) {
	r := serving(t, antdb.RoleCoordinator, "cn1")
	r.control.On(enginetest.HangSQL)
	s := r.awaitReason(instance.ReasonNoAnswer)
	if s.State != instanceapi.StateWaiting || !s.Accepting || s.Serving {
		t.Errorf("status %+v", s)
	}
	r.eventually("the pod is labelled as not serving", func() bool { return r.k.label() == "false" })
	for range 20 {
		r.Status(context.Background())
	}
	questions := 0
	for _, e := range r.control.Events("wait") {
		if e == "wait select 1" {
			questions++
		}
	}
	if questions != 1 {
		t.Errorf("%d questions are open, want 1: %q", questions, r.control.Events("wait"))
	}
	r.control.Off(enginetest.HangSQL)
	r.awaitServing()
}

func TestAStopThatHangsBecomesImmediate(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	r.control.On(enginetest.HangFast)
	r.stop()
	if d := cmp.Diff([]string{"signal interrupt", "signal quit"}, r.control.Signals()); d != "" {
		t.Errorf("signals (-want +got):\n%s", d)
	}
}

func TestARestartIsObeyedOnceEvenByTheNextContainer(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	ask := func() {
		t.Helper()
		if err := r.Restart(context.Background(), instanceapi.Restart{Token: "t1", Reason: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	r.await("it is being restarted", func(s instanceapi.Status) bool { return s.RestartingFor == "t1" || s.RestartedFor == "t1" })
	r.await("it was restarted", func(s instanceapi.Status) bool {
		return s.Serving && s.Starts == 2 && s.RestartedFor == "t1" && s.RestartingFor == ""
	})
	ask()
	r.stop()
	r.start()
	if s := r.awaitServing(); s.RestartedFor != "t1" {
		t.Errorf("restarted for %q, want t1", s.RestartedFor)
	}
	ask()
	if got := len(r.control.Events("start")); got != 3 {
		t.Errorf("%d starts, want 3", got)
	}
}

func TestAnEscapeDropsNodesInRestoreModeAndIsObeyedOnce(t *testing.T) {
	r := serving(t, antdb.RoleGTM, "gc")
	left := rows()
	left.Generation, left.Topology = 2, left.Without("cn1")
	e := instanceapi.Escape{Token: "e1", Drop: []string{"cn1"}, Topology: left}
	for range 2 {
		if err := r.Escape(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		s := r.await("it escaped", func(s instanceapi.Status) bool { return s.Serving && s.EscapedFor == "e1" })
		if s.Catalog.Have != left.Hash() || s.Catalog.DriftSeen != 0 {
			t.Errorf("catalog %+v, want %s", s.Catalog, left.Hash())
		}
	}
	data := r.paths.Data()
	want := []string{"start --gtm_coord -D " + data, "start --restoremode -D " + data + " -c listen_addresses=", "start --gtm_coord -D " + data}
	if d := cmp.Diff(want, r.control.Events("start")); d != "" {
		t.Errorf("starts (-want +got):\n%s", d)
	}
}

func TestAnEscapeThatFailsLeavesGCRunningAndSaysWhy(t *testing.T) {
	r := serving(t, antdb.RoleGTM, "gc")
	e := instanceapi.Escape{Token: "e1", Drop: []string{"gc"}, Topology: rows()}
	if err := r.Escape(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	r.await("gc runs again", func(s instanceapi.Status) bool { return s.Serving && s.Starts == 3 })
	r.control.On(enginetest.HangSQL)
	if s := r.awaitReason(instance.ReasonNoAnswer); !strings.Contains(s.Message, "escape did not go through") || s.EscapedFor != "" {
		t.Errorf("escaped for %q, message %q", s.EscapedFor, s.Message)
	}
	r.control.Off(enginetest.HangSQL)
}

func TestForeignDataIsNeitherStartedNorTouched(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	r.stop()
	r.launch.ClusterUID = "uid-2"
	before := len(r.control.Events("start", "initdb"))
	r.start()
	s := r.await("it is refused", func(s instanceapi.Status) bool { return s.State == instanceapi.StateRefused })
	if !strings.Contains(s.Message, `"uid-1"`) || !strings.Contains(s.Message, "give the instance an empty volume") {
		t.Errorf("message %q does not tell whose it is and what to do", s.Message)
	}
	_, err := r.PutConfig(context.Background(), instanceapi.Config{GTMHost: "h"})
	wantCode(t, err, http.StatusConflict)
	if got := len(r.control.Events("start", "initdb")); got != before {
		t.Errorf("%d programs ran on foreign data", got-before)
	}
}

func TestAnInterruptedInitializationIsMadeAgain(t *testing.T) {
	r := newRig(t, antdb.RoleDatanode, "dn1")
	r.control.On(enginetest.HangInit)
	r.start()
	r.eventually("initdb runs", func() bool { return len(r.control.Events("initdb")) == 1 })
	r.stop()
	if _, err := os.Stat(r.paths.Data()); !os.IsNotExist(err) {
		t.Fatalf("the data directory has its name already: %v", err)
	}
	r.control.Off(enginetest.HangInit)
	r.start()
	r.awaitServing()
	if _, err := os.Stat(r.paths.Data() + ".init"); !os.IsNotExist(err) {
		t.Errorf("the half-made directory is still there: %v", err)
	}
}

func TestTheLogHasItsOwnVolumeUnderItsFinalName(t *testing.T) {
	r := newRig(t, antdb.RoleDatanode, "dn1")
	r.launch.WALVolume = true
	r.start()
	r.awaitServing()
	target, err := os.Readlink(filepath.Join(r.paths.Data(), "pg_wal"))
	if err != nil || target != r.paths.WAL() {
		t.Errorf("the log is in %q (%v), want %q", target, err, r.paths.WAL())
	}
	r.stop()
	r.start()
	r.awaitServing()
}
