// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/bootstrap"
	"github.com/antdb-operator/antdb-operator/internal/instance/check"
	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instance/engine"
	"github.com/antdb-operator/antdb-operator/internal/instance/publish"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// known is what an instance tells of itself besides the verdict.
type known struct {
	version      string
	control      engine.Control
	lsn          string
	tokens       tokens
	bootstrap    instanceapi.BootstrapState
	stale        []string
	roles        wantedRoles
	schemaDigest string
	digestAt     time.Time
	fillPause    bootstrap.Patience
	// restartFor and escapeFor are the tokens of what is under way.
	restartFor, escapeFor string
	reload                *instanceapi.ReloadStatus
	join                  instanceapi.JoinStatus
	stalePrepared         []string
	slots                 []string
	news                  publish.News
}

// tokens are remembered on the volume, so that what was done for one is not done again.
type tokens struct {
	Restarted string `json:"restarted,omitempty"`
	Escaped   string `json:"escaped,omitempty"`
	// Kept is the token of the join whose data is part of the cluster for good.
	Kept string `json:"kept,omitempty"`
}

func (m *Manager) statePath(name string) string { return filepath.Join(m.o.Paths.State(), name) }

func (m *Manager) saveTokens(t tokens) error {
	return durable.WriteJSON(m.statePath("tokens.json"), t)
}

// refresh changes facts and tells the world what follows from them.
func (m *Manager) refresh(change func(*facts)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if change != nil {
		change(&m.facts)
	}
	m.tell()
}

// tell publishes what is new. The caller holds mu.
func (m *Manager) tell() {
	s := m.present()
	news := publish.News{Accepting: s.Accepting, Serving: s.Serving, Reason: s.Reason, Message: s.Message, Report: report(s)}
	if news == m.known.news {
		return
	}
	if s.Serving != m.known.news.Serving || s.Reason != m.known.news.Reason {
		m.log.Info("state changed", "state", s.State, "serving", s.Serving, "reason", s.Reason, "message", s.Message)
	}
	m.known.news = news
	m.publisher.Tell(news)
}

// report is a hash over what the operator acts upon. What moves by itself, with every statement of a user or with every
// table of a move shall wake nobody: it is asked for while somebody wants to know it.
func report(s instanceapi.Status) string {
	s.LSN, s.SchemaDigest, s.StalePrepared, s.Volume = "", "", nil, nil
	if s.Drain != nil {
		s.Drain = &instanceapi.DrainStatus{Token: s.Drain.Token, Done: s.Drain.Done}
	}
	if s.Split != nil {
		s.Split = &instanceapi.SplitStatus{Token: s.Split.Token, Phase: s.Split.Phase}
	}
	if s.Clean != nil {
		s.Clean = &instanceapi.CleanStatus{Token: s.Clean.Token, Phase: s.Clean.Phase}
	}
	if s.Move != nil {
		s.Move = &instanceapi.MoveStatus{Token: s.Move.Token, Phase: s.Move.Phase}
	}
	text, err := json.Marshal(s)
	if err != nil { // strings, numbers and booleans always marshal
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:5])
}

// present is the status as it is known, without asking the server. The caller holds mu.
func (m *Manager) present() instanceapi.Status {
	f := m.facts
	f.configured = m.config.Known()
	f.joining = m.o.Launch.Join && m.known.join.Phase != instanceapi.JoinKept
	if f.role.HoldsCatalog() {
		c := m.catalog.Status()
		f.given, f.equal, f.catalogError = m.catalog.Given(), m.catalog.Equal(), c.Error
	}
	v := judge(f)
	s := instanceapi.Status{
		Cluster:          m.o.Launch.Cluster,
		Node:             m.o.Launch.Node,
		Instance:         m.o.Launch.Instance,
		Role:             m.o.Launch.Role,
		Primary:          m.primary(),
		State:            v.state,
		Accepting:        f.accepting(),
		Serving:          v.serving,
		Reason:           v.reason,
		Message:          v.message,
		Version:          m.known.version,
		SystemIdentifier: m.known.control.SystemIdentifier,
		Timeline:         m.known.control.Timeline,
		LSN:              m.known.lsn,
		Starts:           f.server.Starts,
		LastExit:         f.server.LastExit,
		RestartedFor:     m.known.tokens.Restarted,
		RestartingFor:    m.known.restartFor,
		Reload:           m.known.reload,
		EscapedFor:       m.known.tokens.Escaped,
		Config:           m.config.Status(),
		Bootstrap:        m.known.bootstrap,
		StaleCredentials: m.known.stale,
		Roles:            m.known.roles.status(),
		SchemaDigest:     m.known.schemaDigest,
		StalePrepared:    m.known.stalePrepared,
		Volume:           m.dataVolume(),
		Move:             m.mover.Status(),
		Slots:            m.known.slots,
	}
	m.presentScaling(&s)
	if f.role.HoldsCatalog() {
		c := m.catalog.Status()
		s.Catalog = &c
	}
	if !m.peers.Synced() && s.Message == "" {
		s.Message = "the API server has not told the addresses of the other pods yet, so they are not let in"
	}
	return s
}

// primary tells that the server does not follow another one.
func (m *Manager) primary() bool {
	for _, name := range []string{"standby.signal", "recovery.conf"} {
		if _, err := os.Stat(filepath.Join(m.o.Paths.Data(), name)); err == nil {
			return false
		}
	}
	return true
}

// accepting tells that the server takes connections from everybody, not only for a repair.
func (f facts) accepting() bool {
	return f.server.Phase == supervise.Accepting && f.server.Mode == supervise.Normal && !f.shuttingDown
}

// unanswered tells that statements do not come back.
func (f facts) unanswered() bool {
	return f.check.State == check.Late || f.check.State == check.Failed
}

// serverChanged follows the supervisor.
func (m *Manager) serverChanged(now supervise.Snapshot) {
	if now.Phase == supervise.Accepting && now.Mode == supervise.Normal {
		m.cameUp()
	} else {
		m.catalog.Doubt()
		go m.spare.drop()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.facts.server
	m.facts.server, m.facts.preparing = now, ""
	if now.LastExit != was.LastExit {
		m.facts.restarting = ""
	}
	if m.facts.accepting() {
		m.facts.restarting = ""
		if m.known.restartFor != "" {
			m.known.tokens.Restarted, m.known.restartFor = m.known.restartFor, ""
		}
		if m.stopCheck == nil {
			m.startCheck()
		}
	} else if m.stopCheck != nil {
		m.stopCheck()
		m.stopCheck, m.facts.check = nil, check.Report{State: check.Unknown}
	}
	m.tell()
}

func (m *Manager) cameUp() {
	if err := m.config.CameUp(); err != nil {
		m.log.Error("good configuration not remembered", "error", err)
	}
}

// startCheck begins to ask the server whether SQL runs. The caller holds mu.
func (m *Manager) startCheck() {
	ctx, cancel := context.WithCancel(m.life)
	m.stopCheck = cancel
	loop := &check.Loop{
		Dial: func(ctx context.Context) (check.Asker, error) {
			c, err := m.server.OpenCheck(ctx)
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		Every:    m.o.Timing.CheckEvery,
		Deadline: m.o.Timing.CheckDeadline,
		Changed: func(r check.Report) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if ctx.Err() != nil { // of a life that is over
				return
			}
			m.facts.check = r
			if r.State == check.Good {
				m.wake()
			}
			m.tell()
		},
	}
	if m.o.Launch.Role == antdb.RoleGTM {
		loop.Nudge = m.supervisor.Reload
	}
	go loop.Run(ctx)
}

// wake makes what looks after the server look now.
func (m *Manager) wake() {
	select {
	case m.tend <- struct{}{}:
	default:
	}
}
