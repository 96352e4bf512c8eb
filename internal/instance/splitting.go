// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/rescue"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instance/split"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

func newSplitter(m *Manager) *split.Splitter {
	return &split.Splitter{
		Open: func(ctx context.Context, database string) (split.Session, error) {
			if err := m.runsSQL(); err != nil {
				return nil, err
			}
			s, err := m.server.OpenSplitter(ctx, database)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Ways:      rescuing(m),
		Datanodes: m.catalog.Datanodes,
		Changed:   func() { m.refresh(nil) },
		Now:       time.Now,
		Sleep:     sleep,
		Log:       m.log,
	}
}

func rescuing(m *Manager) rescue.Ways {
	return rescue.Ways{
		Coordinators: m.catalog.Coordinators,
		Reach: func(ctx context.Context, host string) (rescue.Coordinator, error) {
			r, err := dbadmin.OpenRescuer(ctx, host)
			if err != nil {
				return nil, err
			}
			return r, nil
		},
		Answers: dbadmin.LetsIn,
		Sleep:   sleep,
		Log:     m.log,
	}
}

// Split begins to divide datanodes with copies of them, or cancels that. It never waits: the status tells what becomes of
// it. What is divided already is found in the catalog, whoever did it.
func (m *Manager) Split(_ context.Context, order instanceapi.Split) error {
	if err := m.onlyGC("datanodes are divided by gc"); err != nil {
		return err
	}
	if order.Token == "" || len(order.Pairs) == 0 || order.MaxPauseMillis <= 0 {
		return serve.Never("a split needs a token, pairs of datanodes and a positive maxPauseMillis")
	}
	for _, p := range order.Pairs {
		if p.Source == "" || p.Target.Name == "" || !order.PlanOnly && (p.Target.Host == "" || order.Mark == "") {
			return serve.Never("a split needs names, hosts and the name of a restore point, not %+v with %q", p, order.Mark)
		}
	}
	if err := m.runsSQL(); err != nil && !order.Cancel {
		return err
	}
	if err := m.splitter.Ask(m.life, order); err != nil {
		return serve.NotYet("%w", err)
	}
	return nil
}

// Clean begins to remove the rows that lie twice after a split. It never waits.
func (m *Manager) Clean(_ context.Context, order instanceapi.Clean) error {
	if err := m.onlyGC("what lies twice is removed by gc"); err != nil {
		return err
	}
	if order.Token == "" {
		return serve.Never("a clean needs a token")
	}
	m.splitter.AskToClean(m.life, order)
	return nil
}

// What a copy that follows holds in memory only it must write down before it becomes a primary, while the cluster is held.
// It can do so up to the last checkpoint of its source.
const (
	writeDownEvery = 15 * time.Second
	writeDownLimit = 5 * time.Minute
)

// keepReady makes a copy that follows, and a source whose copies are about to become primaries, write down now and then what
// they hold in memory.
func (m *Manager) keepReady() {
	m.mu.Lock()
	feeds := m.feed.close && len(m.feed.wanted) > 0
	m.mu.Unlock()
	if m.primary() && !feeds || !m.writingDown.CompareAndSwap(false, true) {
		return
	}
	if time.Since(m.writtenDown) < writeDownEvery {
		m.writingDown.Store(false)
		return
	}
	go func() {
		defer m.writingDown.Store(false)
		ctx, cancel := context.WithTimeout(m.life, writeDownLimit)
		defer cancel()
		db, err := m.open(ctx, dbadmin.Maintenance, writeDownLimit)
		if err == nil {
			defer db.Close()
			err = db.Exec(ctx, "CHECKPOINT")
		}
		if err != nil {
			m.log.Warn("not written down", "error", err)
		}
		m.writtenDown = time.Now()
	}()
}
