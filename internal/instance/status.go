// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instance/catalog"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// look looks after the server: as soon as statements come back, on every tick, and when something asks for it.
func (m *Manager) look(ctx context.Context) {
	tick := time.NewTicker(m.o.Timing.Tend)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.tend:
		}
		if err := m.config.SetPeers(m.peers.Addresses()); err != nil {
			m.log.Error("peers not let in", "error", err)
		}
		m.ask(ctx)
	}
}

// statusPatience is how long a question for the status waits for what the server says. Without gc every statement
// hangs, and whoever asks must still be told at once what is known.
const statusPatience = 300 * time.Millisecond

// Status tells how the instance is. While statements come back it asks the server first, and repairs the catalog.
func (m *Manager) Status(ctx context.Context) instanceapi.Status {
	m.askWithin(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.present()
}

// askWithin asks the server, and goes on without an answer after a moment.
func (m *Manager) askWithin(ctx context.Context) {
	asked := make(chan struct{})
	if m.asking.CompareAndSwap(false, true) {
		go func() {
			defer close(asked)
			defer m.asking.Store(false)
			m.ask(m.life)
		}()
		patience := time.NewTimer(statusPatience)
		defer patience.Stop()
		select {
		case <-asked:
		case <-patience.C:
		case <-ctx.Done():
		}
	}
}

// ask brings what is known of the server up to date. What cannot be had is left as it was: the check tells whether
// the server answers at all.
func (m *Manager) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	db, done, err := m.talk(ctx)
	if err != nil {
		return
	}
	defer done()
	if m.o.Launch.Role.HoldsCatalog() {
		if _, err := m.catalog.Repair(ctx, db); err != nil && !errors.Is(err, catalog.ErrNotGiven) {
			m.log.Warn("catalog not right", "error", err)
		}
	}
	if names, err := db.PendingRestart(ctx); err == nil {
		m.config.NotePending(names)
	}
	m.noteStale(ctx, db)
	m.compareRoles(ctx, db)
	m.noteDigest(ctx, db)
	m.noteDrain(ctx, db)
	m.notePrepared(ctx, db)
	m.noteSlots(ctx, db)
	m.keepReady()
	position, err := db.Position(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.known.lsn, m.known.control.Timeline = position.LSN, position.Timeline
	}
	m.tell()
}
