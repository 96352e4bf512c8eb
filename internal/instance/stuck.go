// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/engine"
	"github.com/antdb-operator/antdb-operator/internal/instance/process"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
)

// backlog is since when bytes have waited in connections that nobody read from, by connection.
type backlog map[string]wait

type wait struct {
	bytes int
	since time.Time
}

// next follows what waits now. Where less waits than before, somebody has read.
func (b backlog) next(now map[string]int, at time.Time) backlog {
	out := backlog{}
	for connection, bytes := range now {
		w := wait{bytes, at}
		if was, ok := b[connection]; ok && was.bytes <= bytes {
			w.since = was.since
		}
		out[connection] = w
	}
	return out
}

// longest is for how long the oldest of them has waited.
func (b backlog) longest(at time.Time) time.Duration {
	var longest time.Duration
	for _, w := range b {
		longest = max(longest, at.Sub(w.since))
	}
	return longest
}

// watchSender restarts a gc that has stopped for good. A node that it has no row of, or a datanode, may ask it for a
// transaction number before all coordinators are there; its snapshot sender then waits for them inside the answer, and it
// is the sender itself that would have to let them in (snapsender.c, isSnapSenderWaitNextIdOk; seen on AntDB 5.0.1 as a new
// coordinator was being registered while gc's server was killed). What tells it from a gc that waits for a node that is not
// there: the sender does not read what its nodes send.
func (m *Manager) watchSender(ctx context.Context) {
	if m.o.Launch.Role != antdb.RoleGTM {
		return
	}
	const looks = 5 // until something counts as stuck
	tick := time.NewTicker(m.o.Timing.Stuck / looks)
	defer tick.Stop()
	var unread backlog
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			unread = unread.next(m.unreadBySender(), now)
			if waited := unread.longest(now); waited >= m.o.Timing.Stuck {
				m.restartStuck(waited)
				unread = nil
			}
		}
	}
}

// unreadBySender is what waits in the sender's connections, while gc answers no statement.
func (m *Manager) unreadBySender() map[string]int {
	m.mu.Lock()
	waits := m.facts.accepting() && m.facts.unanswered()
	m.mu.Unlock()
	if !waits {
		return nil
	}
	senders, err := process.Titled(m.o.Paths.Data(), engine.SnapshotSender)
	if err != nil || len(senders) != 1 {
		return nil
	}
	unread, err := process.Unread(senders[0].PID)
	if err != nil { // it may just have ended
		return nil
	}
	return unread
}

func (m *Manager) restartStuck(waited time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.facts.restarting != "" {
		return
	}
	m.log.Warn("gc has stopped reading from its nodes and is restarted", "for", waited.Round(time.Second).String())
	m.facts.restarting = "gc had stopped reading from its nodes, and its server is restarted"
	m.tell()
	go m.carryOut("restart", func(_ context.Context, c supervise.Control) error {
		c.Stop(supervise.Immediate())
		c.Start(supervise.Normal)
		return nil
	})
}
