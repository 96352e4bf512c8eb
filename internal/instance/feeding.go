// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// feeding is for which copies this datanode keeps its log.
type feeding struct {
	wanted []string
	// asked says that somebody said so since this instance manager began, and until is when nobody wants it any more.
	asked bool
	until time.Time
	// close says that the copies are about to become primaries.
	close bool
}

// feedLease is how long the log is kept after it was asked for last.
const feedLease = instanceapi.FeedLeaseSeconds * time.Second

// Feed makes the server keep its log for copies, for each by a slot, and drops the slots of ours that are not wanted any
// more.
func (m *Manager) Feed(ctx context.Context, f instanceapi.Feed) (instanceapi.FeedStatus, error) {
	if m.o.Launch.Role != antdb.RoleDatanode {
		return instanceapi.FeedStatus{}, serve.Never("%s is no datanode: only datanodes are copied by following", m.o.Launch.Node)
	}
	for _, name := range f.Slots {
		if !strings.HasPrefix(name, naming.SplitPrefix) {
			return instanceapi.FeedStatus{}, serve.Never("slot %q is not ours to make: names begin with %s", name, naming.SplitPrefix)
		}
	}
	m.mu.Lock()
	m.feed = feeding{wanted: slices.Clone(f.Slots), asked: true, until: time.Now().Add(feedLease), close: f.Close}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	db, err := m.open(ctx, dbadmin.Maintenance, writeLimit)
	if err != nil {
		return instanceapi.FeedStatus{}, err
	}
	defer db.Close()
	slots, err := m.feedSlots(ctx, db)
	m.refresh(nil)
	return instanceapi.FeedStatus{Slots: slots}, err
}

// feedSlots makes the slots that are wanted and drops the others of ours. An instance manager that was restarted does not
// know what is wanted, and leaves them for as long as a lease.
func (m *Manager) feedSlots(ctx context.Context, db *dbadmin.Session) ([]string, error) {
	m.feedMu.Lock()
	defer m.feedMu.Unlock()
	slots, err := db.Slots(ctx)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	f := m.feed
	m.mu.Unlock()
	over := !time.Now().Before(f.until)
	var failures error
	changed := false
	for _, name := range slots {
		if over || f.asked && !slices.Contains(f.wanted, name) {
			changed = true
			m.log.Info("letting the log go", "slot", name, "leaseOver", over)
			failures = errors.Join(failures, db.DropSlot(ctx, name))
		}
	}
	for _, name := range f.wanted {
		if !over && !slices.Contains(slots, name) {
			changed = true
			m.log.Info("keeping the log for a copy", "slot", name)
			failures = errors.Join(failures, db.CreateSlot(ctx, name))
		}
	}
	if changed {
		if slots, err = db.Slots(ctx); err != nil {
			return nil, errors.Join(failures, err)
		}
	}
	if len(slots) == 0 {
		slots = nil
	}
	m.mu.Lock()
	m.known.slots = slots
	m.mu.Unlock()
	return slots, failures
}

// noteSlots keeps the slots right where nobody asks.
func (m *Manager) noteSlots(ctx context.Context, db *dbadmin.Session) {
	if m.o.Launch.Role != antdb.RoleDatanode || !m.primary() {
		return
	}
	if _, err := m.feedSlots(ctx, db); err != nil {
		m.log.Warn("replication slots not right", "error", err)
	}
}
