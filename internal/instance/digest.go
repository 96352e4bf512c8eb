// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
)

// Limits of the digest of the schema: it is read at most so often, and for so many databases.
const (
	digestEvery     = 10 * time.Second
	digestDatabases = 16
)

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
	shared, err := db.SharedDigest(ctx)
	if err != nil {
		return "", err
	}
	names, err := db.Databases(ctx)
	if err != nil {
		return "", err
	}
	parts := []string{shared}
	for _, name := range names[:min(len(names), digestDatabases)] {
		part, err := m.digestOf(ctx, name)
		if err != nil {
			return "", err
		}
		parts = append(parts, name, part)
	}
	return dbadmin.Fold(parts), nil
}

func (m *Manager) digestOf(ctx context.Context, database string) (string, error) {
	db, err := m.open(ctx, database, readLimit)
	if err != nil {
		return "", err
	}
	defer db.Close()
	return db.SchemaDigest(ctx)
}
