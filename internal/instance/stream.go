// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/engine"
	"github.com/antdb-operator/antdb-operator/internal/instance/process"
)

// gtmMoved looks whether the server still listens to a gc that is not there any more. Where the end of a gc did not reach
// the server, as when its host was cut off, the server's stream stays open until TCP gives it up, for up to a quarter of
// an hour; and the new gc hands out nothing before every node has connected to it. A stream that is ended is opened anew
// by the server itself, to the gc that is there (tried on AntDB 5.0.1).
func (m *Manager) gtmMoved(to netip.Addr) {
	if m.o.Launch.Role == antdb.RoleGTM {
		return
	}
	// A stream that was opened by a process this young may lead to the new gc: the process looks for gc every 3 s.
	oldest := time.Now().Add(-m.o.Timing.Stale)
	streams, err := process.Titled(m.o.Paths.Data(), engine.SnapshotReceiver)
	if err != nil {
		m.log.Error("stream from gc not looked for", "error", err)
		return
	}
	for _, s := range streams {
		if s.Started.After(oldest) {
			continue
		}
		m.log.Info("stream from a gc that is gone is ended", "pid", s.PID, "gc is at", to.String())
		if err := unix.Kill(s.PID, unix.SIGTERM); err != nil {
			m.log.Error("stream from gc not ended", "pid", s.PID, "error", err)
		}
	}
}
