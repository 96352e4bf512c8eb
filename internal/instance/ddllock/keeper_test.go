// SPDX-License-Identifier: Apache-2.0

package ddllock_test

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
	"go.uber.org/goleak"

	"github.com/antdb-operator/antdb-operator/internal/instance/ddllock"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// server has databases that sessions lock.
type server struct {
	mu        sync.Mutex
	databases []string
	// refuse holds what the lock of a database is refused with, and born databases that appear after the first list.
	refuse map[string]error
	born   []string
	locked map[string]*session
	order  []string
	// cleaned are the databases whose idle sessions were ended.
	cleaned []string
}

type session struct {
	of       *server
	database string
	lost     chan error
}

func (s *server) open(_ context.Context, database string) (ddllock.Holder, error) {
	return &session{of: s, database: database, lost: make(chan error, 1)}, nil
}

func (h *session) Lock(context.Context) error {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	if err := h.of.refuse[h.database]; err != nil {
		return err
	}
	h.of.locked[h.database] = h
	h.of.order = append(h.of.order, h.database)
	return nil
}

func (h *session) Connectable(context.Context) ([]string, error) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	now := slices.Clone(h.of.databases)
	h.of.databases, h.of.born = append(h.of.databases, h.of.born...), nil
	return now, nil
}

func (h *session) Clean(_ context.Context, database string) error {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.of.cleaned = append(h.of.cleaned, database)
	return nil
}

func (h *session) Await(ctx context.Context) error {
	select {
	case err := <-h.lost:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *session) Release() {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	if h.of.locked[h.database] == h {
		delete(h.of.locked, h.database)
	}
}

func (s *server) held() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.locked {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *server) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// place is a keeper on a server with three databases.
func place(t *testing.T, lease time.Duration) (*server, *ddllock.Keeper) {
	t.Helper()
	s := &server{databases: []string{"postgres", "template1", "app"}, refuse: map[string]error{}, locked: map[string]*session{}}
	k := &ddllock.Keeper{
		Open: s.open, First: "postgres", Lease: lease, Retry: 5 * time.Millisecond, Attempt: patience, Farewell: patience,
		Changed: func() {}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	t.Cleanup(k.Close)
	return s, k
}

func put(t *testing.T, k *ddllock.Keeper, l instanceapi.Lock) instanceapi.LockStatus {
	t.Helper()
	status, err := k.Put(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// await waits for a state and returns the status.
func await(t *testing.T, k *ddllock.Keeper, state instanceapi.LockState) instanceapi.LockStatus {
	t.Helper()
	for deadline := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
		status := k.Status()
		if status.State == state {
			return status
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %q; status %+v", state, status)
		}
	}
}

func TestEveryDatabaseIsLockedInOneOrderAndReleasedAsAsked(t *testing.T) {
	s, k := place(t, time.Hour)
	s.born = []string{"made meanwhile"}
	put(t, k, instanceapi.Lock{Token: "1", Hold: true})
	await(t, k, instanceapi.LockHeld)
	if d := cmp.Diff([]string{"postgres", "template1", "app", "made meanwhile"}, s.order); d != "" {
		t.Errorf("locked (-want +got):\n%s", d)
	}
	if got := put(t, k, instanceapi.Lock{Token: "1"}); got.State != instanceapi.LockNone || got.Message != "" {
		t.Errorf("after it was given up: %+v", got)
	}
	if held := s.held(); len(held) > 0 {
		t.Errorf("still held: %q", held)
	}
	if d := cmp.Diff([]string{"template1", "app", "made meanwhile"}, s.cleaned); d != "" {
		t.Errorf("cleaned (-want +got):\n%s", d)
	}
	put(t, k, instanceapi.Lock{Token: "1", Hold: true})
	await(t, k, instanceapi.LockHeld) // nothing was lost, so the token may be used again
}

func TestWhileSomebodyRunsDDLNothingIsHeldAndItIsTriedAgain(t *testing.T) {
	s, k := place(t, time.Hour)
	s.refuse["app"] = errors.New("lock is already held")
	put(t, k, instanceapi.Lock{Token: "1", Hold: true})
	for deadline := time.Now().Add(patience); !strings.Contains(k.Status().Message, "lock database app: lock is already held"); {
		if time.Now().After(deadline) {
			t.Fatalf("status %+v does not say what keeps the lock", k.Status())
		}
		<-time.After(time.Millisecond)
	}
	if got := k.Status().State; got != instanceapi.LockTaking {
		t.Errorf("state %q, want Taking", got)
	}
	s.change(func() { delete(s.refuse, "app") })
	if got := await(t, k, instanceapi.LockHeld); got.Message != "" {
		t.Errorf("held, and still %q", got.Message)
	}
	if d := cmp.Diff([]string{"app", "postgres", "template1"}, s.held()); d != "" {
		t.Errorf("held (-want +got):\n%s", d)
	}
}

func TestOneLostSessionLosesTheLockForGood(t *testing.T) {
	s, k := place(t, time.Hour)
	put(t, k, instanceapi.Lock{Token: "1", Hold: true})
	await(t, k, instanceapi.LockHeld)
	s.change(func() {
		s.locked["template1"].lost <- errors.New("terminating connection due to administrator command")
	})
	if got := await(t, k, instanceapi.LockLost); !strings.Contains(got.Message, "administrator command") {
		t.Errorf("message %q", got.Message)
	}
	if held := s.held(); len(held) > 0 {
		t.Errorf("still held: %q", held)
	}
	if got := put(t, k, instanceapi.Lock{Token: "1", Hold: true}); got.State != instanceapi.LockLost {
		t.Errorf("asked for again: %+v, want that it stays lost", got)
	}
	put(t, k, instanceapi.Lock{Token: "2", Hold: true})
	await(t, k, instanceapi.LockHeld)
}

func TestALockThatNobodyAsksForRunsOut(t *testing.T) {
	s, k := place(t, 50*time.Millisecond)
	put(t, k, instanceapi.Lock{Token: "1", Hold: true})
	if got := await(t, k, instanceapi.LockLost); !strings.Contains(got.Message, "nobody asked") {
		t.Errorf("message %q", got.Message)
	}
	if held := s.held(); len(held) > 0 {
		t.Errorf("still held: %q", held)
	}
}

func TestARenewalNeverTakesALock(t *testing.T) {
	s, k := place(t, time.Hour)
	if got := put(t, k, instanceapi.Lock{Token: "1", Hold: true, Renew: true}); got != (instanceapi.LockStatus{}) {
		t.Errorf("a renewal of a lock that this manager never took answers %+v, want that there is none", got)
	}
	if held := s.held(); len(held) > 0 {
		t.Errorf("it locked %q", held)
	}
}

func TestASecondLockAndOneWithoutATokenAreRefused(t *testing.T) {
	_, k := place(t, time.Hour)
	put(t, k, instanceapi.Lock{Token: "1", Hold: true})
	if _, err := k.Put(t.Context(), instanceapi.Lock{Token: "2", Hold: true}); !errors.Is(err, ddllock.ErrBusy) {
		t.Errorf("second lock: %v", err)
	}
	if _, err := k.Put(t.Context(), instanceapi.Lock{Hold: true}); !errors.Is(err, ddllock.ErrToken) {
		t.Errorf("without a token: %v", err)
	}
	if got := put(t, k, instanceapi.Lock{Token: "2"}); got.Token != "1" {
		t.Errorf("a stranger gave up the lock: %+v", got)
	}
}
