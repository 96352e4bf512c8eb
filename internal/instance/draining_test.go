// SPDX-License-Identifier: Apache-2.0

package instance_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance"
	"github.com/antdb-operator/antdb-operator/internal/instance/enginetest"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

func (r *rig) hba() string { return r.read(filepath.Join(r.paths.State(), "pg_hba.conf")) }

const closed = "host all all all reject"

func TestADrainedCoordinatorServesNoMoreLetsNobodyInAndEndsWhoIsLeft(t *testing.T) {
	r := serving(t, antdb.RoleCoordinator, "cn1")
	r.control.On(enginetest.Stranger)
	d, err := r.Drain(context.Background(), instanceapi.Drain{Token: "1", GraceSeconds: 0})
	if err != nil || d.Done {
		t.Fatalf("drain %+v: %v", d, err)
	}
	r.awaitReason(instance.ReasonDraining)
	r.eventually("the pod is not labelled as serving", func() bool { return r.k.label() == "false" })
	if !strings.Contains(r.hba(), closed) {
		t.Errorf("applications are let in:\n%s", r.hba())
	}
	r.await("it was told to end the session", func(s instanceapi.Status) bool {
		return s.Drain.Sessions == 1 && strings.Contains(strings.Join(r.control.Events("sql"), "\n"), "pg_terminate_backend")
	})
	r.eventually("it is measured", func() bool {
		d := r.Measures().Drain
		return d.Draining && d.Sessions == 1 && d.Ended == 1
	})
	r.control.Off(enginetest.Stranger)
	r.await("it is done", func(s instanceapi.Status) bool { return s.Drain.Done && s.Drain.Sessions == 0 })
	if _, err := r.Drain(context.Background(), instanceapi.Drain{Token: "1", Stop: true}); err != nil {
		t.Fatal(err)
	}
	r.awaitServing()
	if d := r.Measures().Drain; d.Draining || d.Sessions != 0 || d.Ended != 1 {
		t.Errorf("measured when it is over: %+v", d)
	}
	if strings.Contains(r.hba(), closed) {
		t.Errorf("applications are still kept out:\n%s", r.hba())
	}
}

func TestSessionsAreLeftAloneWithinTheGrace(t *testing.T) {
	r := serving(t, antdb.RoleCoordinator, "cn1")
	r.control.On(enginetest.Stranger)
	for range 2 {
		if _, err := r.Drain(context.Background(), instanceapi.Drain{Token: "1", GraceSeconds: 3600}); err != nil {
			t.Fatal(err)
		}
	}
	r.await("the session is counted", func(s instanceapi.Status) bool { return s.Drain != nil && s.Drain.Sessions == 1 })
	if strings.Contains(strings.Join(r.control.Events("sql"), "\n"), "pg_terminate_backend") {
		t.Error("a session was ended")
	}
	r.stop()
	r.start() // a drain does not outlive the instance manager: the operator asks again
	if s := r.awaitServing(); s.Drain != nil || strings.Contains(r.hba(), closed) {
		t.Errorf("drain %+v after a restart; access:\n%s", s.Drain, r.hba())
	}
}

func TestOnlyGcLocksAndOnlyCoordinatorsDrain(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	_, err := r.Lock(context.Background(), instanceapi.Lock{Token: "1", Hold: true})
	wantCode(t, err, http.StatusBadRequest)
	_, err = r.Drain(context.Background(), instanceapi.Drain{Token: "1"})
	wantCode(t, err, http.StatusBadRequest)
}

// state waits for a state of the lock.
func (r *rig) awaitLock(state instanceapi.LockState) instanceapi.LockStatus {
	r.t.Helper()
	return *r.await("the lock is "+string(state), func(s instanceapi.Status) bool { return s.Lock != nil && s.Lock.State == state }).Lock
}

func TestGcLocksEveryDatabaseAndTellsWhenItsServerDied(t *testing.T) {
	r := serving(t, antdb.RoleGTM, "gc")
	r.control.On(enginetest.Locked)
	put := func(l instanceapi.Lock) {
		t.Helper()
		if _, err := r.Lock(context.Background(), l); err != nil {
			t.Fatal(err)
		}
	}
	put(instanceapi.Lock{Token: "1", Hold: true})
	r.await("it says what keeps the lock", func(s instanceapi.Status) bool {
		return s.Lock != nil && s.Lock.State == instanceapi.LockTaking && strings.Contains(s.Lock.Message, "already held")
	})
	r.control.Off(enginetest.Locked)
	r.awaitLock(instanceapi.LockHeld)
	if l := r.Measures().Lock; !l.Held || l.HeldFor <= 0 || l.Losses != 0 {
		t.Errorf("measured while it is held: %+v", l)
	}
	_, err := r.Lock(context.Background(), instanceapi.Lock{Token: "2", Hold: true})
	wantCode(t, err, http.StatusConflict)
	if err := syscall.Kill(r.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if lost := r.awaitLock(instanceapi.LockLost); !strings.Contains(lost.Message, "was lost") {
		t.Errorf("lock %+v", lost)
	}
	if l := r.Measures().Lock; l.Held || l.HeldFor != 0 || l.Losses != 1 {
		t.Errorf("measured when it was lost: %+v", l)
	}
	r.awaitServing()
	put(instanceapi.Lock{Token: "1", Hold: true})
	r.awaitLock(instanceapi.LockLost)
	put(instanceapi.Lock{Token: "2", Hold: true})
	r.awaitLock(instanceapi.LockHeld)
	put(instanceapi.Lock{Token: "2"})
	r.awaitLock(instanceapi.LockNone)
}
