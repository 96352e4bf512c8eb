// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// lockStatus is what gc says of the lock; answers is false while it says nothing at all.
func (r *run) lockStatus() (l instanceapi.LockStatus, answers bool) {
	s := r.status(antdb.GTMNode)
	switch {
	case s == nil:
		return l, false
	case s.Lock == nil:
		return l, true
	default:
		return *s.Lock, true
	}
}

// held tells whether gc holds the lock of this attempt.
func (r *run) held() bool {
	l, _ := r.lockStatus()
	return l.Token == r.token() && l.State == instanceapi.LockHeld
}

// guarded tells whether the lock that was taken must not be lost: from the moment it is held until the new nodes are
// proved to be registered under it, or until the point from which there is no way back.
func (r *run) guarded() bool {
	return finished(r.op, StepLockDDL) && !finished(r.op, StepVerify) && !finished(r.op, StepDeregister) &&
		!r.op.Status.PointOfNoReturn && !finished(r.op, StepUnlockDDL)
}

// lockLost tells why DDL may have run although it should not. A gc that does not answer says nothing: it is waited for.
func (r *run) lockLost() string {
	l, answers := r.lockStatus()
	switch {
	case !r.guarded() || !answers || r.held():
		return ""
	case l.Token == r.token() && l.Message != "":
		return "the lock that keeps DDL out was lost: " + l.Message
	default:
		return "the lock that keeps DDL out was lost"
	}
}

// keepLock renews the lock while it is needed, and gives up one that is not.
func (r *run) keepLock() {
	l, answers := r.lockStatus()
	if !answers {
		return
	}
	mine, held := l.Token == r.token(), l.State == instanceapi.LockHeld || l.State == instanceapi.LockTaking
	needed := r.op.Status.Phase == v1alpha1.OperationRunning && r.Status.Phase == v1alpha1.OperationRunning && r.Status.Attempt == r.op.Status.Attempt &&
		begun(r.op, StepLockDDL) && !begun(r.op, StepUnlockDDL)
	switch {
	case held && (!mine || !needed):
		r.order(Lock{instanceapi.Lock{Token: l.Token}})
	case needed && held:
		r.order(Lock{instanceapi.Lock{Token: r.token(), Hold: true, Renew: true}})
	case needed && !finished(r.op, StepLockDDL) && len(r.behind()) == 0:
		r.order(Lock{instanceapi.Lock{Token: r.token(), Hold: true}})
	}
}

// lockDDL waits until gc holds the lock. It is asked for only while every catalog is right, so that what an earlier
// attempt registered is gone before anything is copied.
func lockDDL(r *run) outcome {
	l, answers := r.lockStatus()
	switch {
	case !answers:
		return wait("gc does not answer: %s", r.f.Nodes[antdb.GTMNode].Why)
	case len(r.behind()) > 0:
		return wait("the node catalog is being made equal on %s", strings.Join(r.behind(), "; "))
	case r.held():
		return done("DDL is kept out")
	case l.Token == r.token() && l.State == instanceapi.LockLost:
		return again(StepLockDDL, "the lock that keeps DDL out was lost: %s", l.Message)
	case l.Message != "":
		return wait("%s", l.Message)
	default:
		return wait("gc takes the lock that keeps DDL out")
	}
}

// unlockDDL waits until gc has given the lock up.
func unlockDDL(r *run) outcome {
	if l, answers := r.lockStatus(); !answers || l.State == instanceapi.LockHeld || l.State == instanceapi.LockTaking {
		return wait("gc gives up the lock that keeps DDL out; without an answer it ends by itself after %d s", instanceapi.LeaseSeconds)
	}
	return done("DDL runs again")
}
