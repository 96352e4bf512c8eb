// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// staleAfter is when a prepared transaction has waited for too long for its coordinator.
const staleAfter = 10 * time.Second

// draining is a drain that is under way.
type draining struct {
	status instanceapi.DrainStatus
	// closed says that the server lets no application in any more, and graceOver that those that are in shall go.
	closed, graceOver bool
	// ended is how many sessions were told to go.
	ended int
	// lease ends the drain if nobody asks for it again, and grace the patience with sessions.
	lease, grace *time.Timer
}

// Drain lets no application in any more and waits for those that are in. Asking again prolongs it.
func (m *Manager) Drain(ctx context.Context, d instanceapi.Drain) (instanceapi.DrainStatus, error) {
	if m.o.Launch.Role != antdb.RoleCoordinator {
		return instanceapi.DrainStatus{}, serve.Never("%s is no coordinator: applications are connected to coordinators", m.o.Launch.Node)
	}
	if d.Token == "" || d.GraceSeconds < 0 {
		return instanceapi.DrainStatus{}, serve.Never("a drain needs a token and seconds of grace that are not negative")
	}
	if d.Stop {
		m.stopDraining()
		return instanceapi.DrainStatus{}, nil
	}
	m.startDraining(d)
	if err := m.closeDoor(ctx); err != nil {
		m.log.Warn("applications are not kept out yet", "error", err)
	}
	m.askWithin(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drain.status, nil
}

// startDraining begins a drain or prolongs it.
func (m *Manager) startDraining(d instanceapi.Drain) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.facts.draining && m.drain.status.Token == d.Token {
		m.drain.lease.Reset(lease)
		return
	}
	m.log.Info("draining", "grace", d.GraceSeconds, "token", d.Token)
	m.endTimers()
	m.drain = draining{
		status: instanceapi.DrainStatus{Token: d.Token},
		lease:  time.AfterFunc(lease, m.stopDraining),
		grace:  time.AfterFunc(time.Duration(d.GraceSeconds)*time.Second, m.endGrace),
	}
	m.facts.draining = true
	m.tell()
}

// stopDraining lets applications in again.
func (m *Manager) stopDraining() {
	m.mu.Lock()
	was := m.facts.draining
	m.endTimers()
	m.drain, m.facts.draining = draining{}, false
	m.tell()
	m.mu.Unlock()
	if !was {
		return
	}
	m.log.Info("no longer draining")
	if err := m.config.CloseDoor(false); err != nil {
		m.log.Error("applications are not let in again", "error", err)
	}
}

// endTimers ends what a drain set in motion. The caller holds mu.
func (m *Manager) endTimers() {
	if m.facts.draining {
		m.drain.lease.Stop()
		m.drain.grace.Stop()
	}
}

// endGrace makes the sessions that are left go.
func (m *Manager) endGrace() {
	m.mu.Lock()
	m.drain.graceOver = true
	m.mu.Unlock()
	m.wake()
}

// closeDoor makes the server refuse applications, and returns when it does.
func (m *Manager) closeDoor(ctx context.Context) error {
	m.mu.Lock()
	closed := m.drain.closed
	m.mu.Unlock()
	if closed {
		return nil
	}
	if err := m.config.CloseDoor(true); err != nil {
		return err
	}
	if _, known := (configServer{m}).ReloadNow(ctx); known {
		m.mu.Lock()
		m.drain.closed = m.facts.draining
		m.mu.Unlock()
	}
	return nil
}

// noteDrain counts the sessions that are left, and ends them when their time is over.
func (m *Manager) noteDrain(ctx context.Context, db *dbadmin.Session) {
	m.mu.Lock()
	d, draining := m.drain, m.facts.draining
	m.mu.Unlock()
	if !draining {
		return
	}
	peers := m.peers.Addresses()
	if d.graceOver {
		n, err := db.EndStrangers(ctx, peers)
		if err != nil {
			m.log.Warn("sessions not ended", "error", err)
		}
		m.noteEnded(d.status.Token, n)
	}
	count, err := db.Strangers(ctx, peers)
	var undecided []string
	if err == nil {
		undecided, err = db.Undecided(ctx)
	}
	if err != nil {
		m.log.Warn("drain not looked at", "error", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drain.status.Token == d.status.Token {
		m.drain.status.Sessions, m.drain.status.Undecided = count, undecided
		m.drain.status.Done = m.drain.closed && d.closed && count == 0
	}
}

// noteEnded counts sessions that were told to go. Nobody is let in any more, so that whoever is told again was told before.
func (m *Manager) noteEnded(token string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drain.status.Token == token && n > m.drain.ended {
		m.counts.endedSessions += n - m.drain.ended
		m.drain.ended = n
	}
}

// notePrepared looks for prepared transactions that wait for a coordinator that does not come.
func (m *Manager) notePrepared(ctx context.Context, db *dbadmin.Session) {
	gids, err := db.Prepared(ctx, staleAfter)
	if err != nil {
		m.log.Warn("prepared transactions not listed", "error", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known.stalePrepared = nil; len(gids) > 0 {
		m.known.stalePrepared = gids
	}
}

// dataVolume tells how full the volume of the data directory is.
func (m *Manager) dataVolume() *instanceapi.Volume {
	var fs unix.Statfs_t
	if unix.Statfs(m.o.Paths.Volume, &fs) != nil {
		return nil
	}
	return &instanceapi.Volume{Capacity: fs.Bsize * int64(fs.Blocks), Free: fs.Bsize * int64(fs.Bavail)}
}
