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
	// Clean ends idle sessions that the engine itself keeps for a database.
	Clean(ctx context.Context, database string) error
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
	// Lease is how long the lock outlives the last request, Retry the pause between attempts to take it, Attempt how long
	// one may take, and Farewell how long clearing up may take.
	Lease, Retry, Attempt, Farewell time.Duration
	// Changed is called after every change of the status, never with the Keeper's own lock held.
	Changed func()
	Now     func() time.Time
	Log     *slog.Logger

	mu     sync.Mutex // guards what follows
	status instanceapi.LockStatus
	// lease ends the lock if nobody asks for it again; release ends the goroutine that takes and holds it, and over is
	// closed when that has given everything up.
	lease   *time.Timer
	release context.CancelCauseFunc
	over    chan struct{}
	// since is when the lock was had, and losses counts how often one was lost.
	since  time.Time
	losses int
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

// Held tells for how long the lock has been held, 0 while it is not, and how often one was lost.
func (k *Keeper) Held() (held bool, seconds time.Duration, losses int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.status.State != instanceapi.LockHeld {
		return false, 0, k.losses
	}
	return true, k.Now().Sub(k.since), k.losses
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
	case l.Renew: // there is nothing to prolong, which the status tells
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
	held := k.take(ctx)
	var lost error
	if held != nil {
		k.mu.Lock()
		k.since = k.Now()
		k.mu.Unlock()
		k.report(instanceapi.LockHeld, "")
		lost = watch(ctx, held)
		k.releaseAll(ctx, held)
	}
	k.ended(held != nil, lost)
}

// ended records how the lock ended.
func (k *Keeper) ended(wasHeld bool, lost error) {
	k.mu.Lock()
	k.lease.Stop()
	k.release = nil
	state, message := instanceapi.LockNone, ""
	if wasHeld && !errors.Is(lost, errAsked) {
		state, message = instanceapi.LockLost, lost.Error()
		k.losses++
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
func (k *Keeper) take(ctx context.Context) []hold {
	again := time.NewTicker(k.Retry)
	defer again.Stop()
	for {
		held, err := k.attempt(ctx)
		if err == nil {
			return held
		}
		k.report(instanceapi.LockTaking, err.Error())
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// hold is a database and the session that holds the lock in it.
type hold struct {
	database string
	Holder
}

// attempt locks every database, always in the same order, or none. Databases are listed again until no new one is
// found: once all are locked, nobody can make another.
func (k *Keeper) attempt(ctx context.Context) (held []hold, err error) {
	within, cancel := context.WithTimeout(ctx, k.Attempt)
	defer cancel()
	defer func() {
		if err != nil {
			k.releaseAll(ctx, held)
		}
	}()
	for missing := []string{k.First}; len(missing) > 0; {
		for _, name := range missing {
			h, err := k.Open(within, name)
			if err != nil {
				return held, err
			}
			held = append(held, hold{name, h})
			if err := h.Lock(within); err != nil {
				return held, fmt.Errorf("lock database %s: %w", name, err)
			}
		}
		all, err := held[0].Connectable(within)
		if err != nil {
			return held, err
		}
		missing = slices.DeleteFunc(all, func(name string) bool {
			return slices.ContainsFunc(held, func(h hold) bool { return h.database == name })
		})
	}
	return held, nil
}

// watch returns when ctx ends or a session is lost, and why.
func watch(ctx context.Context, held []hold) error {
	within, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for _, h := range held {
		all.Go(func() {
			if err := h.Await(within); within.Err() == nil {
				stop(fmt.Errorf("the session that held it in database %s was lost: %w", h.database, err))
			}
		})
	}
	<-within.Done()
	all.Wait()
	return context.Cause(within)
}

// releaseAll ends the sessions, the first one last: it clears away what the engine keeps of the others.
func (k *Keeper) releaseAll(ctx context.Context, held []hold) {
	for _, h := range slices.Backward(held) {
		if h.database != k.First {
			h.Release()
		}
	}
	if len(held) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.Farewell)
	defer cancel()
	for _, h := range held[1:] {
		if err := held[0].Clean(ctx, h.database); err != nil {
			k.Log.Info("idle sessions of the engine are left for it to end", "database", h.database, "error", err)
		}
	}
	held[0].Release()
}
