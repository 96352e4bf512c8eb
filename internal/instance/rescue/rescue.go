// SPDX-License-Identifier: Apache-2.0

// Package rescue commits a transaction of gc while the cluster is held, and ends the hold where the commit would otherwise
// never end.
//
// If a datanode is lost in the very moment of such a commit, gc waits until its own helper has finished the transaction on
// every node; the helper waits, on each coordinator, for the end of the hold, and gc cannot end it any more. It ends with
// gc's sessions on the coordinators. They are ended from outside, by sessions that were inside a transaction before the
// cluster was held.
package rescue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/topology"
)

const (
	// patience is how long a commit may take before coordinators are let go.
	patience = 10 * time.Second
	// look is the pause between two looks whether all datanodes are back.
	look = time.Second
	// limit bounds a statement or a connection.
	limit = 5 * time.Second
)

// Coordinator is a session on a coordinator itself, inside a transaction.
type Coordinator interface {
	// End ends a session of that coordinator.
	End(ctx context.Context, pid int) error
	Close()
}

// Transaction is gc's, ready to be committed.
type Transaction interface {
	// Backend is the process that serves the transaction on another node.
	Backend(ctx context.Context, node string) (int, error)
	Commit(context.Context) error
}

// Ways are how others are reached besides through gc, where everything is held back.
type Ways struct {
	// Coordinators are those that gc knows, without gc itself.
	Coordinators func() []topology.Node
	// Reach connects to the coordinator at an address.
	Reach func(ctx context.Context, host string) (Coordinator, error)
	// Answers tells why the server at an address lets nobody in; nil if it does.
	Answers func(ctx context.Context, host string) error
	// Sleep waits, and says whether it was not ended by ctx.
	Sleep func(ctx context.Context, d time.Duration) bool
	Log   *slog.Logger
}

// Crew stands by for commits.
type Crew struct {
	ways     Ways
	sessions map[string]Coordinator
}

// Call makes a crew, before the cluster is held.
func (w Ways) Call(ctx context.Context) (*Crew, error) {
	c := &Crew{w, map[string]Coordinator{}}
	for _, n := range w.Coordinators() {
		s, err := bounded(ctx, func(ctx context.Context) (Coordinator, error) { return w.Reach(ctx, n.Host) })
		if err != nil {
			c.Dismiss()
			return nil, fmt.Errorf("reach %s: %w", n.Name, err)
		}
		c.sessions[n.Name] = s
	}
	return c, nil
}

// Dismiss ends the crew's sessions.
func (c *Crew) Dismiss() {
	for _, s := range c.sessions {
		s.Close()
	}
}

// ErrCommit marks an error of the commit itself: nobody knows whether it is committed.
var ErrCommit = errors.New("commit")

// Commit commits. When that takes too long, coordinators are let go, but not before every one of the datanodes lets
// somebody in: until the transaction is finished there, coordinators would still write where rows lay before. told hears
// which datanode is waited for.
func (c *Crew) Commit(t Transaction, datanodes []topology.Node, told func(datanode string)) error {
	ctx := context.Background() // it ends with the server, and with nothing else
	pids := map[string]int{}
	for name := range c.sessions {
		pid, err := bounded(ctx, func(ctx context.Context) (int, error) { return t.Backend(ctx, name) })
		if err != nil {
			return err
		}
		pids[name] = pid
	}
	watch, over := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer over()
	watching.Go(func() { c.watch(watch, pids, datanodes, told) })
	if err := t.Commit(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrCommit, err)
	}
	return nil
}

// watch lets coordinators go, unless ctx ends first.
func (c *Crew) watch(ctx context.Context, pids map[string]int, datanodes []topology.Node, told func(string)) {
	if !c.ways.Sleep(ctx, patience) {
		return
	}
	for name := c.away(ctx, datanodes); name != ""; name = c.away(ctx, datanodes) {
		told(name)
		if !c.ways.Sleep(ctx, look) {
			return
		}
	}
	if ctx.Err() != nil {
		return
	}
	c.ways.Log.Error("the commit does not come to its end; coordinators are let go")
	for name, s := range c.sessions {
		// The commit may end because of the first one; the others are let go all the same.
		end := func(ctx context.Context) (struct{}, error) { return struct{}{}, s.End(ctx, pids[name]) }
		if _, err := bounded(context.WithoutCancel(ctx), end); err != nil {
			c.ways.Log.Error("coordinator not let go", "coordinator", name, "error", err)
		}
	}
}

// away names a datanode that lets nobody in.
func (c *Crew) away(ctx context.Context, datanodes []topology.Node) string {
	for _, n := range datanodes {
		knock := func(ctx context.Context) (struct{}, error) { return struct{}{}, c.ways.Answers(ctx, n.Host) }
		if _, err := bounded(ctx, knock); err != nil {
			return n.Name
		}
	}
	return ""
}

func bounded[T any](ctx context.Context, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}
