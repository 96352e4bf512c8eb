// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
)

// spareFor is how long a session is kept that nobody uses.
const spareFor = time.Second

// spare keeps one session to the maintenance database for a moment. While a cluster comes up one question follows another,
// and a server has more work with a new session than with all that is asked in it.
type spare struct {
	mu    sync.Mutex
	kept  *dbadmin.Session
	timer *time.Timer
}

// take gives the session that is kept, if it still is one.
func (s *spare) take(ctx context.Context) *dbadmin.Session {
	s.mu.Lock()
	db := s.kept
	s.kept = nil
	s.mu.Unlock()
	if db == nil || db.Usable(ctx) {
		return db
	}
	db.Close()
	return nil
}

// give keeps a session that is not used any more.
func (s *spare) give(db *dbadmin.Session) {
	s.mu.Lock()
	db, s.kept = s.kept, db
	if s.timer == nil {
		s.timer = time.AfterFunc(spareFor, s.drop)
	} else {
		s.timer.Reset(spareFor)
	}
	s.mu.Unlock()
	if db != nil {
		db.Close()
	}
}

// drop closes the session that is kept.
func (s *spare) drop() {
	s.mu.Lock()
	db := s.kept
	s.kept = nil
	s.mu.Unlock()
	if db != nil {
		db.Close()
	}
}

// talk gives a session to the maintenance database for statements that leave nothing behind in it, and what ends its use.
func (m *Manager) talk(ctx context.Context) (db *dbadmin.Session, done func(), err error) {
	m.mu.Lock()
	_, ok := m.usable()
	m.mu.Unlock()
	if ok {
		db = m.spare.take(ctx)
	}
	if db == nil {
		if db, err = m.open(ctx, dbadmin.Maintenance, writeLimit); err != nil {
			return nil, nil, err
		}
	}
	return db, func() { m.spare.give(db) }, nil
}
