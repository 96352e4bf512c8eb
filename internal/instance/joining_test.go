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
	"github.com/antdb-operator/antdb-operator/internal/instance/enginetest"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// joining starts a node that is added to a running cluster.
func joining(t *testing.T, role antdb.Role, node string) *rig {
	t.Helper()
	r := newRig(t, role, node)
	r.launch.Join = true
	r.start()
	return r
}

func (r *rig) awaitJoin(phase instanceapi.JoinPhase) instanceapi.Status {
	r.t.Helper()
	return r.await("the join is "+string(phase), func(s instanceapi.Status) bool { return s.Join != nil && s.Join.Phase == phase })
}

func (r *rig) join(j instanceapi.Join) {
	r.t.Helper()
	if err := r.Join(context.Background(), j); err != nil {
		r.t.Fatal(err)
	}
}

func copyOf(token string) instanceapi.Join {
	return instanceapi.Join{Token: token, Kind: instanceapi.JoinCopy, From: "cn1-h"}
}

func TestACoordinatorThatIsAddedWaitsAndBecomesACopy(t *testing.T) {
	r := joining(t, antdb.RoleCoordinator, "cn3")
	s := r.awaitJoin(instanceapi.JoinWaiting)
	if s.State != instanceapi.StateInitializing || !strings.Contains(s.Message, "waits for the operator to say which node to copy") {
		t.Errorf("state %s, message %q", s.State, s.Message)
	}
	r.join(copyOf("1"))
	r.awaitReason(instance.ReasonJoining)
	data := r.paths.Data()
	if d := cmp.Diff([]string{
		"pg_basebackup -d host=cn1-h port=5432 user=postgres connect_timeout=10 keepalives_idle=15 keepalives_interval=5 keepalives_count=3" +
			" --no-password -D " + data + ".init --nodename cn3 --wal-method=stream --checkpoint=fast",
		"recover --single --coordinator -D " + data + ".init -c adb_check_sync_nextid=off -c pgxc_node_name=cn3" +
			" -c max_prepared_transactions=1000 postgres with-undecided=false",
		"start --coordinator -D " + data,
	}, r.control.Events("initdb", "pg_basebackup", "recover", "start")); d != "" {
		t.Errorf("programs (-want +got):\n%s", d)
	}
	if _, err := os.Stat(filepath.Join(data, ".s.PGPOOL.lock")); !os.IsNotExist(err) {
		t.Errorf("the lock of the source's socket was copied: %v", err)
	}
	if j := r.Measures().Join; j.Kind != "Copy" || j.Running || j.Made != 1 || j.Failed != 0 || j.Took <= 0 {
		t.Errorf("measured: %+v", j)
	}
	topology := rows()
	topology.Nodes = append(topology.Nodes, topology.Nodes[1])
	topology.Nodes[3].Name, topology.Nodes[3].Host = "cn3", "cn3-h"
	if _, err := r.PutTopology(context.Background(), topology); err != nil {
		t.Fatal(err) // its own row is made like the others
	}
	if s := r.awaitReason(instance.ReasonJoining); s.Serving {
		t.Error("it serves before it is kept")
	}
	keep := copyOf("1")
	keep.Keep, keep.From = true, ""
	r.join(keep)
	r.awaitServing()
	r.join(copyOf("1")) // obeyed once
	if n := len(r.control.Events("pg_basebackup")); n != 1 {
		t.Errorf("copied %d times", n)
	}
}

func TestADatanodeThatIsAddedHoldsTheSchemaOfAnother(t *testing.T) {
	r := joining(t, antdb.RoleDatanode, "dn3")
	r.awaitJoin(instanceapi.JoinWaiting)
	r.join(instanceapi.Join{Token: "1", Kind: instanceapi.JoinSchema, From: "dn1-h"})
	r.awaitReason(instance.ReasonJoining)
	r.join(instanceapi.Join{Token: "1", Kind: instanceapi.JoinSchema, Keep: true})
	r.awaitServing()
	var programs []string
	for _, e := range r.control.Events() {
		if word, rest, _ := strings.Cut(e, " "); word != "sql" && word != "wait" {
			flag, _, _ := strings.Cut(rest, " ")
			programs = append(programs, word+" "+flag)
		}
	}
	if d := cmp.Diff([]string{
		"initdb -D", "pg_dumpall -d", "start --restoremode", "psql -h", "vacuumdb -h", "signal interrupt", "start --datanode",
	}, programs); d != "" {
		t.Errorf("programs (-want +got):\n%s", d)
	}
	if left, _ := filepath.Glob(filepath.Join(r.paths.Data(), "*.sql")); len(left) > 0 {
		t.Errorf("the dump, which holds passwords, was left behind: %q", left)
	}
}

func TestAJoinThatFailsSaysWhyAndAnotherOneBeginsAnew(t *testing.T) {
	for name, c := range map[string]struct {
		role antdb.Role
		node string
		join instanceapi.Join
		on   string
		says string
	}{
		"a prepared transaction in the copy": {
			antdb.RoleCoordinator, "cn3", copyOf("1"), enginetest.Prepared, "cn1-h holds 1 prepared transactions",
		},
		"a dump that does not load": {
			antdb.RoleDatanode, "dn3", instanceapi.Join{Token: "1", Kind: instanceapi.JoinSchema, From: "dn1-h"},
			enginetest.FailLoad, "$libdir/postgis",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := joining(t, c.role, c.node)
			r.awaitJoin(instanceapi.JoinWaiting)
			r.control.On(c.on)
			r.join(c.join)
			s := r.awaitJoin(instanceapi.JoinFailed)
			if !strings.Contains(s.Join.Error, c.says) || s.Join.Token != "1" {
				t.Errorf("join %+v, want an error that says %q", s.Join, c.says)
			}
			r.control.Off(c.on)
			r.join(c.join) // obeyed once
			if again := r.Status(context.Background()); again.Join.Phase != instanceapi.JoinFailed {
				t.Errorf("the same token again: %+v", again.Join)
			}
			c.join.Token = "2"
			r.join(c.join)
			r.awaitJoin(instanceapi.JoinMade)
		})
	}
}

func TestACrashInTheMiddleLeavesNothingAndTheSameTokenBeginsAnew(t *testing.T) {
	r := joining(t, antdb.RoleCoordinator, "cn3")
	r.awaitJoin(instanceapi.JoinWaiting)
	r.control.On(enginetest.HangCopy)
	r.join(copyOf("1"))
	r.eventually("the copy runs", func() bool { return len(r.control.Events("pg_basebackup")) == 1 })
	r.stop()
	r.control.Off(enginetest.HangCopy)
	r.start()
	r.awaitJoin(instanceapi.JoinWaiting)
	r.join(copyOf("1"))
	r.awaitReason(instance.ReasonJoining)
}

func TestWhatWasMadeIsThrownAwayForAnotherTokenUnlessItIsKept(t *testing.T) {
	r := joining(t, antdb.RoleCoordinator, "cn3")
	r.awaitJoin(instanceapi.JoinWaiting)
	r.join(copyOf("1"))
	r.awaitReason(instance.ReasonJoining)
	r.stop()
	r.start() // a pod that comes back starts with what was made
	s := r.awaitReason(instance.ReasonJoining)
	if d := cmp.Diff(&instanceapi.JoinStatus{Token: "1", Phase: instanceapi.JoinMade}, s.Join); d != "" {
		t.Errorf("join after a restart (-want +got):\n%s", d)
	}
	r.join(copyOf("2"))
	r.await("it was made anew and runs", func(s instanceapi.Status) bool {
		return s.Join.Token == "2" && s.Join.Phase == instanceapi.JoinMade && s.Reason == instance.ReasonJoining
	})
	if n := len(r.control.Events("pg_basebackup")); n != 2 {
		t.Errorf("copied %d times, want 2", n)
	}
	keep := copyOf("2")
	keep.Keep = true
	r.join(keep)
	r.join(keep)
	wantCode(t, r.Join(context.Background(), copyOf("3")), http.StatusBadRequest)
	r.stop()
	r.start()
	if s := r.awaitJoin(instanceapi.JoinKept); s.Join.Token != "2" {
		t.Errorf("join %+v", s.Join)
	}
}

func TestAJoinThatMakesNoSenseIsRefused(t *testing.T) {
	plain := serving(t, antdb.RoleDatanode, "dn1")
	wantCode(t, plain.Join(context.Background(), instanceapi.Join{Token: "1", Kind: instanceapi.JoinSchema, From: "x"}), http.StatusBadRequest)
	r := joining(t, antdb.RoleDatanode, "dn3")
	r.awaitJoin(instanceapi.JoinWaiting)
	wantCode(t, r.Join(context.Background(), copyOf("1")), http.StatusBadRequest)
	wantCode(t, r.Join(context.Background(), instanceapi.Join{Kind: instanceapi.JoinSchema, From: "x"}), http.StatusBadRequest)
	keep := instanceapi.Join{Token: "1", Kind: instanceapi.JoinSchema, Keep: true}
	wantCode(t, r.Join(context.Background(), keep), http.StatusConflict)
}
