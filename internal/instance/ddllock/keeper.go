// SPDX-License-Identifier: Apache-2.0

// Package ddllock holds the engine's lock that keeps DDL out of the whole cluster.
//
// The engine's lock counts in one database and lasts as long as its session, so there is a session in each database. The
// package takes all of them or none, notices at once when one is lost, and gives them up when nobody asks for the lock any
// more. It does not know what the lock is for.
package ddllock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Holder is a session that holds the lock in one database.
type Holder interface {
	Lock(context.Context) error
	Connectable(context.Context) ([]string, error)
	// Await returns when the session is lost or ctx ends.
	Await(context.Context) error
	Release()
}

// ErrToken refuses a request that names no lock.
var ErrToken = errors.New("a lock needs a token")

// ErrBusy refuses a lock while another one is held.
var ErrBusy = errors.New("another lock is held")

// Keeper keeps one lock.
type Keeper struct {
	// Open connects to a database, and First is the one that every server has.
	Open  func(ctx context.Context, database string) (Holder, error)
	First string
	// Lease is how long the lock outlives the last request, Retry the pause between attempts to take it, and Attempt how
	// long one may take.
	Lease, Retry, Attempt time.Duration
	// Changed is called after every change of the status, never with the Keeper's own lock held.
	Changed func()
	Log     *slog.Logger

	mu     sync.Mutex // guards what follows
	status instanceapi.LockStatus
	// asked is when the lock was asked for last; release ends the goroutine that takes and holds it, and over is closed
	// when that has given everything up.
	lease   *time.Timer
	release context.CancelCauseFunc
	over    chan struct{}
}

// Why a lock is given up.
var (
	errAsked  = errors.New("it was given up as asked")
	errLease  = errors.New("nobody asked for it any more")
	errEnding = errors.New("the instance manager ended")
)

// Status tells of the lock that was asked for last.
func (k *Keeper) Status() instanceapi.LockStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Put asks for the lock, prolongs it, or gives it up. It never waits for the lock itself, but for its end.
func (k *Keeper) Put(ctx context.Context, l instanceapi.Lock) (instanceapi.LockStatus, error) {
	if l.Token == "" {
		return instanceapi.LockStatus{}, ErrToken
	}
	if !l.Hold {
		return k.giveUp(l.Token), nil
	}
	defer k.Changed()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.release != nil && k.status.Token == l.Token:
		k.lease.Reset(k.Lease)
	case k.release != nil:
		return k.status, fmt.Errorf("%w, with the token %q", ErrBusy, k.status.Token)
	case k.status.Token == l.Token && k.status.State == instanceapi.LockLost: // DDL may have run since
	default:
		k.begin(ctx, l.Token)
	}
	return k.status, nil
}

// begin starts the goroutine that takes and holds the lock. The caller holds mu.
func (k *Keeper) begin(ctx context.Context, token string) {
	k.Log.Info("taking the lock that keeps DDL out", "token", token)
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	k.release, k.over = cancel, make(chan struct{})
	k.lease = time.AfterFunc(k.Lease, func() { cancel(errLease) })
	k.status = instanceapi.LockStatus{Token: token, State: instanceapi.LockTaking}
	go k.run(life, k.over)
}

// giveUp ends the lock with the token and waits until it has ended.
func (k *Keeper) giveUp(token string) instanceapi.LockStatus {
	k.mu.Lock()
	if k.status.Token != token {
		defer k.mu.Unlock()
		return k.status
	}
	release, over := k.release, k.over
	k.mu.Unlock()
	if release != nil {
		release(errAsked)
		<-over
	}
	return k.Status()
}

// Close gives the lock up for good.
func (k *Keeper) Close() {
	k.mu.Lock()
	release, over := k.release, k.over
	k.mu.Unlock()
	if release != nil {
		release(errEnding)
		<-over
	}
}

// run takes the lock, holds it until something ends it, and reports.
func (k *Keeper) run(ctx context.Context, over chan struct{}) {
	defer close(over)
	holders := k.take(ctx)
	var lost error
	if holders != nil {
		k.report(instanceapi.LockHeld, "")
		lost = watch(ctx, holders)
		releaseAll(holders)
	}
	k.ended(holders != nil, lost)
}

// ended records how the lock ended.
func (k *Keeper) ended(wasHeld bool, lost error) {
	k.mu.Lock()
	k.lease.Stop()
	k.release = nil
	state, message := instanceapi.LockNone, ""
	if wasHeld && !errors.Is(lost, errAsked) {
		state, message = instanceapi.LockLost, lost.Error()
	}
	k.status.State, k.status.Message = state, message
	k.mu.Unlock()
	k.Log.Info("the lock that keeps DDL out has ended", "state", state, "why", lost)
	k.Changed()
}

func (k *Keeper) report(state instanceapi.LockState, message string) {
	k.mu.Lock()
	changed := k.status.State != state || k.status.Message != message
	k.status.State, k.status.Message = state, message
	k.mu.Unlock()
	if changed {
		k.Log.Info("lock that keeps DDL out", "state", state, "message", message)
		k.Changed()
	}
}

// take tries until it has the lock everywhere. It returns nil if ctx ends before.
func (k *Keeper) take(ctx context.Context) []Holder {
	again := time.NewTicker(k.Retry)
	defer again.Stop()
	for {
		holders, err := k.attempt(ctx)
		if err == nil {
			return holders
		}
		k.report(instanceapi.LockTaking, err.Error())
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// attempt locks every database, always in the same order, or none. Databases are listed again until no new one is
// found: once all are locked, nobody can make another.
func (k *Keeper) attempt(ctx context.Context) (holders []Holder, err error) {
	ctx, cancel := context.WithTimeout(ctx, k.Attempt)
	defer cancel()
	defer func() {
		if err != nil {
			releaseAll(holders)
			holders = nil
		}
	}()
	var locked []string
	for missing := []string{k.First}; len(missing) > 0; {
		for _, name := range missing {
			h, err := k.Open(ctx, name)
			if err != nil {
				return holders, err
			}
			holders = append(holders, h)
			if err := h.Lock(ctx); err != nil {
				return holders, fmt.Errorf("lock database %s: %w", name, err)
			}
			locked = append(locked, name)
		}
		all, err := holders[0].Connectable(ctx)
		if err != nil {
			return holders, err
		}
		missing = slices.DeleteFunc(all, func(name string) bool { return slices.Contains(locked, name) })
	}
	return holders, nil
}

// watch returns when ctx ends or a session is lost, and why.
func watch(ctx context.Context, holders []Holder) error {
	within, stop := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	for _, h := range holders {
		all.Go(func() {
			if err := h.Await(within); within.Err() == nil {
				stop(fmt.Errorf("a session that held it was lost: %w", err))
			}
		})
	}
	<-within.Done()
	all.Wait()
	return context.Cause(within)
}

func releaseAll(holders []Holder) {
	for _, h := range slices.Backward(holders) {
		h.Release()
	}
}
