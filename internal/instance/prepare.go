// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/configure"
	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
	"github.com/antdb-operator/antdb-operator/internal/instance/volume"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Pauses between attempts to get a volume ready, and between looks at one that was refused: somebody may put it right.
const (
	firstRetry   = time.Second
	lastRetry    = 30 * time.Second
	refusedRetry = 30 * time.Second
)

// errRefused says that the volume must not be touched; facts.refused tells why.
var errRefused = errors.New("volume refused")

// prepare gets everything ready for the first start. It returns false if the pod ends before.
func (m *Manager) prepare(ctx context.Context) bool {
	pause := firstRetry
	for {
		err := m.prepareVolume(ctx)
		if err == nil {
			break
		}
		wait := pause
		if errors.Is(err, errRefused) {
			wait = refusedRetry
		} else {
			m.log.Error("instance not prepared", "error", err)
			m.refresh(func(f *facts) { f.preparing = err.Error() })
			pause = min(2*pause, lastRetry)
		}
		if !sleep(ctx, wait) {
			return false
		}
	}
	m.mu.Lock()
	m.facts.volumeReady, m.facts.volumeOurs, m.facts.refused = true, true, ""
	m.mu.Unlock()
	if !m.awaitConfig(ctx) {
		return false
	}
	if m.o.Launch.Role != antdb.RoleGTM {
		awaitPort(ctx, net.JoinHostPort(m.config.GTMHost(), strconv.Itoa(antdb.Port)), m.o.Timing.AwaitGTM)
	}
	return ctx.Err() == nil
}

// sleep returns false if ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// prepareVolume brings back what is remembered and makes the data directory where there is none.
func (m *Manager) prepareVolume(ctx context.Context) error {
	if m.unlock == nil {
		unlock, err := volume.Lock(m.o.Paths.Volume)
		if err != nil {
			return err
		}
		m.unlock = unlock
	}
	if err := os.MkdirAll(m.o.Paths.State(), 0o700); err != nil {
		return fmt.Errorf("make folder for configuration: %w", err)
	}
	version, major, err := m.engine.Version(ctx)
	if err != nil {
		return err
	}
	if err := m.catalog.Load(); err != nil {
		return err
	}
	var t tokens
	if _, err := durable.ReadJSON(m.statePath("tokens.json"), &t); err != nil {
		return err
	}
	m.mu.Lock()
	m.known.version, m.known.tokens = version, t
	m.mu.Unlock()
	if err := m.ensureData(ctx, major); err != nil {
		return err
	}
	return m.noteControl(ctx)
}

// noteControl reads what the data directory says of itself.
func (m *Manager) noteControl(ctx context.Context) error {
	control, err := m.engine.Control(ctx, m.o.Paths.Data())
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.known.control = control
	m.mu.Unlock()
	return nil
}

func (m *Manager) ensureData(ctx context.Context, major int) error {
	found, err := volume.Observe(m.o.Launch, m.o.Paths, major)
	if err != nil {
		return err
	}
	switch step := volume.Decide(found).(type) {
	case volume.Refuse:
		m.log.Error("volume refused, nothing is touched", "why", step.Message)
		m.refresh(func(f *facts) { f.refused, f.volumeOurs = step.Message, false })
		return errRefused
	case volume.Make:
		if m.o.Launch.Join {
			return m.joinWhenAsked(ctx, major)
		}
		m.refresh(func(f *facts) { f.preparing, f.refused, f.volumeOurs = "making the data directory", "", true })
		return m.maker().Make(ctx, step)
	case volume.Run:
		m.joinedBefore(found.Data.Mark.Join)
	}
	return nil
}

func (m *Manager) maker() volume.Maker {
	wal := ""
	if m.o.Launch.WALVolume {
		wal = m.o.Paths.WAL()
	}
	return volume.Maker{
		Engine:       m.engine,
		Self:         m.o.Launch.Identity,
		Data:         m.o.Paths.Data(),
		WAL:          wal,
		Template:     m.o.Launch.Template,
		PasswordFile: filepath.Join(m.o.Paths.Superuser, "password"),
		Settings:     configure.SettingsPath(m.o.Paths.State()),
		Log:          m.log,
	}
}

// awaitConfig begins with the configuration that is there, or waits for one.
func (m *Manager) awaitConfig(ctx context.Context) bool {
	if err := m.config.SetPeers(m.peers.Addresses()); err != nil {
		m.log.Error("peers not let in, trying again later", "error", err)
	}
	file := filepath.Join(m.o.Paths.Config, naming.ConfigKey(m.o.Launch.Node))
	conf, ignored, err := configure.Read(file, m.o.Paths.State())
	if ignored != nil {
		m.log.Warn("configuration of the pod ignored", "error", ignored)
	}
	if err == nil && conf != nil {
		if err = m.config.Begin(ctx, *conf); err == nil {
			return true
		}
	}
	if err != nil {
		m.log.Error("no configuration to start with", "error", err)
	}
	m.refresh(func(f *facts) { f.preparing = "" })
	select {
	case <-m.configured:
		return true
	case <-ctx.Done():
		return false
	}
}

// oneDial is how long one attempt to connect may take. The first packet to a Service that Kubernetes is about to
// publish may be lost, and would be sent again after a second only.
const oneDial = 200 * time.Millisecond

// awaitPort waits until somebody listens. The engine asks gc only every three seconds, so that a server which starts
// a moment too early would lose that long.
func awaitPort(ctx context.Context, address string, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		dialer := net.Dialer{Timeout: oneDial}
		if conn, err := dialer.DialContext(ctx, "tcp", address); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// command builds the command line of the server.
func (m *Manager) command(mode supervise.Mode) *exec.Cmd {
	if mode == supervise.Restore {
		return m.engine.RestoreServer(m.o.Paths.Data())
	}
	return m.engine.Server(m.o.Paths.Data())
}

// beforeStart writes the configuration and gives the data directory the permissions that the server insists on; a
// volume's group may have been given access when it was mounted.
func (m *Manager) beforeStart(supervise.Mode) error {
	if err := m.config.Prepare(); err != nil {
		return err
	}
	if err := os.Chmod(m.o.Paths.Data(), 0o700); err != nil {
		return fmt.Errorf("close data directory to others: %w", err)
	}
	return nil
}

func (m *Manager) failedStart(message string, gaveUp bool) bool {
	again := m.config.FailedStart(message, gaveUp)
	m.refresh(nil)
	return again
}

// stopLadder is patient with a server that can finish in order, and not with a gc that waits for its nodes.
func (m *Manager) stopLadder() []supervise.Rung {
	m.mu.Lock()
	waiting := m.facts.role == antdb.RoleGTM && m.facts.unanswered()
	m.mu.Unlock()
	if waiting {
		return supervise.Fast(m.o.Timing.WaitingStop)
	}
	return supervise.Fast(m.o.Timing.FastStop)
}
