// SPDX-License-Identifier: Apache-2.0

package instance_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

func cloneOf(token string) instanceapi.Join {
	return instanceapi.Join{Token: token, Kind: instanceapi.JoinClone, From: "dn1-h", Slot: "antdb_split_dn3_x", Mark: "antdb_split_x"}
}

func TestADatanodeThatIsACopyFollowsItsSourceUntilItIsAPrimary(t *testing.T) {
	r := joining(t, antdb.RoleDatanode, "dn3")
	r.awaitJoin(instanceapi.JoinWaiting)
	r.join(cloneOf("1"))
	if s := r.awaitReason(instance.ReasonJoining); s.Primary {
		t.Error("it says that it is a primary")
	}
	copied := r.control.Events("pg_basebackup")
	if len(copied) != 1 || !strings.Contains(copied[0], "--slot antdb_split_dn3_x") {
		t.Errorf("copied by %q", copied)
	}
	recovery := filepath.Join(r.paths.Data(), "recovery.conf")
	text, err := os.ReadFile(recovery)
	if err != nil {
		t.Fatal(err)
	}
	want := `primary_conninfo = 'host=''dn1-h'' port=5432 user=postgres sslmode=disable application_name=''dn3'''
primary_slot_name = 'antdb_split_dn3_x'
recovery_target_action = 'promote'
recovery_target_name = 'antdb_split_x'
recovery_target_timeline = 'latest'
standby_mode = 'on'
`
	if d := cmp.Diff(want, string(text)); d != "" {
		t.Errorf("recovery.conf (-want +got):\n%s", d)
	}
	r.await("it has written down what it holds in memory", func(instanceapi.Status) bool {
		return strings.Contains(strings.Join(r.control.Events("sql"), "\n"), "CHECKPOINT")
	})
	// What the engine does at the restore point:
	if err := os.Rename(recovery, filepath.Join(r.paths.Data(), "recovery.done")); err != nil {
		t.Fatal(err)
	}
	keep := cloneOf("1")
	keep.Keep, keep.From = true, ""
	r.join(keep)
	if s := r.awaitServing(); !s.Primary {
		t.Error("it says that it follows")
	}
}

func TestACopyIsThrownAwayForAnotherTokenWhateverBecameOfIt(t *testing.T) {
	r := joining(t, antdb.RoleDatanode, "dn3")
	r.awaitJoin(instanceapi.JoinWaiting)
	r.join(cloneOf("1"))
	r.awaitReason(instance.ReasonJoining)
	if err := os.Rename(filepath.Join(r.paths.Data(), "recovery.conf"), filepath.Join(r.paths.Data(), "recovery.done")); err != nil {
		t.Fatal(err)
	}
	r.join(cloneOf("2"))
	if s := r.await("it was made anew", func(s instanceapi.Status) bool {
		return s.Join.Token == "2" && s.Join.Phase == instanceapi.JoinMade && s.Reason == instance.ReasonJoining
	}); s.Primary {
		t.Error("it does not follow")
	}
}

func TestADatanodeKeepsItsLogForCopiesAndLetsItGo(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	feed := func(want ...string) {
		t.Helper()
		s, err := r.Feed(context.Background(), instanceapi.Feed{Slots: want})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(strings.Join(want, " "), strings.Join(s.Slots, " ")); d != "" {
			t.Errorf("slots (-want +got):\n%s", d)
		}
		if d := cmp.Diff(strings.Join(want, " "), strings.Join(r.Status(context.Background()).Slots, " ")); d != "" {
			t.Errorf("slots of the status (-want +got):\n%s", d)
		}
	}
	feed("antdb_split_dn3_a", "antdb_split_dn5_a")
	feed("antdb_split_dn3_b")
	r.stop()
	r.start() // it does not know any more who asked, and keeps what there is for a while
	if s := r.awaitServing(); len(s.Slots) != 1 {
		t.Errorf("slots after a restart: %q", s.Slots)
	}
	feed()
	_, err := r.Feed(context.Background(), instanceapi.Feed{Slots: []string{"somebody_elses"}})
	wantCode(t, err, http.StatusBadRequest)
}

func TestASplitThatMakesNoSenseIsRefused(t *testing.T) {
	dn := serving(t, antdb.RoleDatanode, "dn1")
	pair := instanceapi.Pair{Source: "dn1", Target: topology.Node{Name: "dn3", Host: "dn3-h"}}
	order := instanceapi.Split{Token: "1", Mark: "m", MaxPauseMillis: 1, Pairs: []instanceapi.Pair{pair}}
	wantCode(t, dn.Split(context.Background(), order), http.StatusBadRequest)
	wantCode(t, dn.Clean(context.Background(), instanceapi.Clean{Token: "1"}), http.StatusBadRequest)
	gc := serving(t, antdb.RoleGTM, "gc")
	for _, change := range []func(*instanceapi.Split){
		func(o *instanceapi.Split) { o.Token = "" },
		func(o *instanceapi.Split) { o.Pairs = nil },
		func(o *instanceapi.Split) { o.Mark = "" },
		func(o *instanceapi.Split) { o.MaxPauseMillis = 0 },
	} {
		bad := order
		change(&bad)
		wantCode(t, gc.Split(context.Background(), bad), http.StatusBadRequest)
	}
	_, err := gc.Feed(context.Background(), instanceapi.Feed{})
	wantCode(t, err, http.StatusBadRequest)
}

func TestGCPlansASplit(t *testing.T) {
	gc := serving(t, antdb.RoleGTM, "gc")
	if _, err := gc.PutTopology(context.Background(), rows()); err != nil {
		t.Fatal(err)
	}
	order := instanceapi.Split{Token: "1", PlanOnly: true, MaxPauseMillis: 1, Pairs: []instanceapi.Pair{{Source: "dn1", Target: topology.Node{Name: "dn3"}}}}
	if err := gc.Split(context.Background(), order); err != nil {
		t.Fatal(err)
	}
	s := gc.await("it is planned", func(s instanceapi.Status) bool { return s.Split != nil && s.Split.Phase != instanceapi.SplitRunning })
	// The engine of the tests has no room for a worker on any node.
	if s.Split.Phase != instanceapi.SplitPlanned || s.Split.Bytes["dn1"] != 4096 || len(s.Split.Refusals) != 3 {
		t.Errorf("the plan is %+v", s.Split)
	}
}
