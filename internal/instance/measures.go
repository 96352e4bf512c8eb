// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"cmp"
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/check"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/metrics"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// metricsSource is the instance as package metrics sees it.
type metricsSource struct{ m *Manager }

// Present tells what is known without asking the server.
func (s metricsSource) Present() metrics.Present {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	status := m.present()
	phase := m.facts.server.Phase
	p := metrics.Present{
		Cluster: status.Cluster, Node: status.Node, Instance: status.Instance, Role: string(status.Role), Version: status.Version,
		Up:           phase == supervise.Accepting || phase == supervise.Starting,
		Accepting:    status.Accepting,
		Serving:      status.Serving,
		GTMReachable: status.Accepting && m.facts.check.State == check.Good,
		Starts:       status.Starts,
		Timeline:     status.Timeline,
		Volumes:      m.volumes(),
	}
	if status.Catalog != nil {
		p.HoldsCatalog, p.Generation, p.Drifts = true, status.Catalog.WantGeneration, status.Catalog.DriftSeen
	}
	m.measureOperations(&p, &status)
	return p
}

// counts are what an instance counts of operations, since the instance manager began.
type counts struct {
	joinsMade, joinsFailed int
	joinTook               time.Duration
	// joinKind is how it was asked to join last.
	joinKind      instanceapi.JoinKind
	endedSessions int
}

// measureOperations adds what is done while nodes come and go. The caller holds mu.
func (m *Manager) measureOperations(p *metrics.Present, status *instanceapi.Status) {
	switch m.o.Launch.Role {
	case antdb.RoleGTM:
		p.Lock = &metrics.Lock{}
		p.Lock.Held, p.Lock.HeldFor, p.Lock.Losses = m.lock.Held()
	case antdb.RoleCoordinator:
		p.Drain = &metrics.Drain{Draining: m.facts.draining, Sessions: m.drain.status.Sessions, Ended: m.counts.endedSessions}
	case antdb.RoleDatanode:
	}
	if m.o.Launch.Join {
		p.Join = &metrics.Join{
			Kind: string(cmp.Or(m.counts.joinKind, joinKinds[m.o.Launch.Role][0])), Running: m.known.join.Phase == instanceapi.JoinRunning,
			Made: m.counts.joinsMade, Failed: m.counts.joinsFailed, Took: m.counts.joinTook,
		}
	}
	if v := status.Move; v != nil {
		p.Move = &metrics.Move{
			Running:    v.Phase == instanceapi.MoveRunning,
			TablesDone: v.TablesDone, TablesLeft: v.TablesTotal - v.TablesDone,
			RowsDone: v.RowsDone, RowsLeft: v.RowsTotal - v.RowsDone,
			BytesDone: v.BytesDone, BytesLeft: v.BytesTotal - v.BytesDone,
			LongestPause: time.Duration(v.LongestPauseMillis) * time.Millisecond,
			Retries:      v.Retries,
			Pauses:       m.mover.Pauses(),
		}
	}
}

// Numbers counts on the server.
func (s metricsSource) Numbers(ctx context.Context) (metrics.Numbers, error) {
	db, err := s.m.open(ctx, dbadmin.Maintenance, readLimit)
	if err != nil {
		return metrics.Numbers{}, err
	}
	defer db.Close()
	counted, err := db.Numbers(ctx, s.m.o.Launch.Role == antdb.RoleDatanode)
	if err != nil {
		return metrics.Numbers{}, err
	}
	n := metrics.Numbers{
		WALPosition: counted.Position.Bytes,
		Connections: counted.Connections,
		Prepared:    counted.Prepared,
	}
	for _, d := range counted.Databases {
		n.Databases = append(n.Databases, metrics.Database(d))
	}
	return n, nil
}

// volumes tells how full the volumes are.
func (m *Manager) volumes() map[string]metrics.Volume {
	folders := map[string]string{naming.VolumeData: m.o.Paths.Volume}
	if m.o.Launch.WALVolume {
		folders[naming.VolumeWAL] = m.o.Paths.WALVolume
	}
	all := map[string]metrics.Volume{}
	for name, folder := range folders {
		var fs unix.Statfs_t
		if unix.Statfs(folder, &fs) == nil {
			size := fs.Bsize
			all[name] = metrics.Volume{
				Used:     size * int64(fs.Blocks-fs.Bfree),
				Capacity: size * int64(fs.Blocks),
			}
		}
	}
	return all
}
