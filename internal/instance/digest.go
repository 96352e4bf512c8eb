// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
)

// digestEvery is how often the digest of the schema is read at most.
const digestEvery = 10 * time.Second

// noteDigest reads the digest of what users made, unless it is fresh. It serves to tell whether two coordinators hold
// the same, which only those can differ in that hold a catalog.
func (m *Manager) noteDigest(ctx context.Context, db *dbadmin.Session) {
	m.mu.Lock()
	due := m.o.Launch.Role.HoldsCatalog() && time.Since(m.known.digestAt) >= digestEvery
	if due {
		m.known.digestAt = time.Now()
	}
	m.mu.Unlock()
	if !due {
		return
	}
	digest, err := m.readDigest(ctx, db)
	if err != nil {
		m.log.Warn("digest of the schema not read", "error", err)
		digest = ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known.schemaDigest = digest
}

func (m *Manager) readDigest(ctx context.Context, db *dbadmin.Session) (string, error) {
	return dbadmin.Digest(ctx, db, func(ctx context.Context, database string) (*dbadmin.Session, error) {
		return m.open(ctx, database, readLimit)
	})
}
