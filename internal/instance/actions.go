// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// letIn follows the addresses of the cluster.
func (m *Manager) letIn(addresses []netip.Addr) {
	if err := m.config.SetPeers(addresses); err != nil {
		m.log.Error("peers not let in, trying again later", "error", err)
	}
	m.refresh(nil)
}

// PutTopology takes the wanted node catalog and applies it, or remembers it while the server is coming up.
func (m *Manager) PutTopology(ctx context.Context, t instanceapi.Topology) (instanceapi.TopologyResult, error) {
	if !m.o.Launch.Role.HoldsCatalog() {
		return instanceapi.TopologyResult{}, serve.Never("%s is a datanode: only gc and coordinators hold the node catalog", m.o.Launch.Node)
	}
	if len(t.Nodes) == 0 {
		return instanceapi.TopologyResult{}, serve.Never("a topology without nodes is not taken: it would drop every node")
	}
	m.mu.Lock()
	state, ours := m.present().State, m.facts.volumeOurs
	m.mu.Unlock()
	if !ours {
		if err := m.volumeReady(); err != nil {
			return instanceapi.TopologyResult{}, err
		}
	}
	if err := m.catalog.Give(t); err != nil {
		return instanceapi.TopologyResult{}, err
	}
	defer m.refresh(nil)
	if state == instanceapi.StateInitializing || state == instanceapi.StateStarting {
		return instanceapi.TopologyResult{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*writeLimit)
	defer cancel()
	db, done, err := m.talk(ctx)
	if err != nil {
		return instanceapi.TopologyResult{}, err
	}
	defer done()
	ran, err := m.catalog.Repair(ctx, db)
	if err == nil {
		m.catalog.Answer(t.CompareFor, ran)
	}
	return instanceapi.TopologyResult{Hash: m.catalog.Status().Have, Ran: ran}, err
}

// volumeReady refuses what needs the volume while that is not ready.
func (m *Manager) volumeReady() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.facts.refused != "":
		return serve.NotYet("the volume of %s is refused: %s", m.o.Launch.Instance, m.facts.refused)
	case !m.facts.volumeReady:
		return serve.NotYet("%s is not ready: %s", m.o.Launch.Instance, m.facts.preparing)
	}
	return nil
}

// PutConfig takes a configuration and gives it to the server.
func (m *Manager) PutConfig(ctx context.Context, c instanceapi.Config) (instanceapi.ConfigResult, error) {
	if err := m.volumeReady(); err != nil {
		return instanceapi.ConfigResult{}, err
	}
	if c.GTMHost == "" {
		return instanceapi.ConfigResult{}, serve.Never("a configuration without gtmHost is not taken: the server could not find gc")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*writeLimit)
	defer cancel()
	defer m.refresh(nil)
	if m.config.Known() {
		result, err := m.config.Apply(ctx, c)
		if result.Changed {
			m.startNow()
		}
		return result, err
	}
	if err := m.config.Begin(ctx, c); err != nil {
		return instanceapi.ConfigResult{}, err
	}
	m.configuredOnce.Do(func() { close(m.configured) })
	return instanceapi.ConfigResult{ConfigStatus: m.config.Status(), Changed: true}, nil
}

// startNow starts a server that is down and waits for its next attempt: what it lacked may have come.
func (m *Manager) startNow() {
	m.mu.Lock()
	down := m.facts.server.Phase == supervise.Stopped && m.facts.server.Starts > 0
	m.mu.Unlock()
	if down {
		go m.carryOut("start", func(_ context.Context, c supervise.Control) error {
			c.Start(supervise.Normal)
			return nil
		})
	}
}

// Restart restarts the server. The same token is obeyed once.
func (m *Manager) Restart(_ context.Context, r instanceapi.Restart) error {
	if r.Token == "" {
		return serve.Never("a restart needs a token")
	}
	if err := m.mayRestart(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Token == m.known.tokens.Restarted || r.Token == m.known.restartFor {
		return nil
	}
	if m.facts.restarting != "" {
		return serve.NotYet("%s is busy: %s", m.o.Launch.Node, m.facts.restarting)
	}
	m.known.restartFor = r.Token
	m.facts.restarting = "the server is restarted: " + r.Reason
	m.tell()
	go m.carryOut("restart", func(ctx context.Context, c supervise.Control) error {
		m.log.Info("restarting the server", "reason", r.Reason, "token", r.Token)
		c.Stop(m.stopLadder())
		defer c.Start(supervise.Normal)
		return m.remember(func(t *tokens) { t.Restarted = r.Token })
	})
	return nil
}

// Reload writes the files of the server anew and makes it read them. The same token is obeyed once, whatever became of it.
func (m *Manager) Reload(ctx context.Context, r instanceapi.Reload) error {
	if r.Token == "" {
		return serve.Never("a reload needs a token")
	}
	if err := m.volumeReady(); err != nil {
		return err
	}
	if !m.config.Known() {
		return serve.NotYet("%s has no configuration yet", m.o.Launch.Instance)
	}
	m.mu.Lock()
	done := m.known.reload != nil && m.known.reload.Token == r.Token
	m.mu.Unlock()
	if done {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	m.log.Info("reloading as asked", "token", r.Token)
	answer := &instanceapi.ReloadStatus{Token: r.Token}
	if err := m.reload(ctx); err != nil {
		answer.Error = err.Error()
	}
	m.mu.Lock()
	m.known.reload = answer
	m.mu.Unlock()
	m.refresh(nil)
	return nil
}

// reload makes a server that runs read its files and, where it holds a catalog, make its pool of connections anew. One that
// does not run reads the files when it starts.
func (m *Manager) reload(ctx context.Context) error {
	problems, err := m.config.Renew(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	accepting, role := m.facts.accepting(), m.facts.role
	m.mu.Unlock()
	if !accepting {
		return nil
	}
	db, err := m.open(ctx, dbadmin.Maintenance, readLimit)
	if err != nil {
		return fmt.Errorf("the server was told to read its files, and cannot be asked what came of it: %w", err)
	}
	defer db.Close()
	if role.HoldsCatalog() {
		err = db.Exec(ctx, topology.ReloadPool)
	}
	for _, p := range problems {
		err = errors.Join(err, fmt.Errorf("the server objects to %s = %s: %s", p.Name, p.Value, p.Message))
	}
	return err
}

// onlyGC refuses what only gc does.
func (m *Manager) onlyGC(why string) error {
	if m.o.Launch.Role != antdb.RoleGTM {
		return serve.Never("%s is not gc: %s", m.o.Launch.Node, why)
	}
	return nil
}

// mayRestart refuses to restart what was never started.
func (m *Manager) mayRestart() error {
	if err := m.volumeReady(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.facts.server.Starts == 0 {
		return serve.NotYet("the server of %s has not been started yet", m.o.Launch.Instance)
	}
	return nil
}

// carryOut runs a procedure on the server to its end, whoever asked for it.
func (m *Manager) carryOut(what string, do func(context.Context, supervise.Control) error) {
	if err := m.supervisor.Do(m.life, do); err != nil {
		m.log.Error(what+" did not go through", "error", err)
	}
}

// remember notes on the volume what was done. What the operator is told changes later, when the server is up again.
func (m *Manager) remember(change func(*tokens)) error {
	m.mu.Lock()
	t := m.known.tokens
	m.mu.Unlock()
	change(&t)
	if err := m.saveTokens(t); err != nil {
		return fmt.Errorf("remember token: %w", err)
	}
	return nil
}

// Escape makes gc forget coordinators that it waits for.
func (m *Manager) Escape(_ context.Context, e instanceapi.Escape) error {
	if err := m.onlyGC("only gc waits for nodes"); err != nil {
		return err
	}
	if e.Token == "" || len(e.Drop) == 0 || len(e.Topology.Nodes) == 0 {
		return serve.Never("an escape needs a token, the nodes to drop, and the topology that is left")
	}
	if err := m.mayRestart(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Token == m.known.tokens.Escaped || e.Token == m.known.escapeFor {
		return nil
	}
	if m.facts.restarting != "" {
		return serve.NotYet("%s is busy: %s", m.o.Launch.Node, m.facts.restarting)
	}
	m.known.escapeFor, m.facts.escapeError = e.Token, ""
	m.facts.restarting = "gc is made to forget nodes that it waits for"
	m.tell()
	go m.carryOut("escape", func(ctx context.Context, c supervise.Control) error { return m.escape(ctx, c, e) })
	return nil
}
