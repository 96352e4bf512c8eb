// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/join"
	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
	"github.com/antdb-operator/antdb-operator/internal/instance/volume"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// firstJoinRetry is the pause before a source that could not be reached is tried again.
const firstJoinRetry = time.Second

// joinKinds are how nodes of a role join.
var joinKinds = map[antdb.Role][]instanceapi.JoinKind{
	antdb.RoleCoordinator: {instanceapi.JoinCopy},
	antdb.RoleDatanode:    {instanceapi.JoinSchema, instanceapi.JoinClone},
}

// Join makes the data of a node that is added, or keeps what was made. It never waits: the status tells how far it is.
func (m *Manager) Join(_ context.Context, j instanceapi.Join) error {
	if !m.o.Launch.Join || !slices.Contains(joinKinds[m.o.Launch.Role], j.Kind) {
		return serve.Never("%s, which is a %s, does not join by %q", m.o.Launch.Node, m.o.Launch.Role, j.Kind)
	}
	if j.Token == "" || j.From == "" && !j.Keep {
		return serve.Never("a join needs a token and the host of the node to copy from")
	}
	if j.Kind == instanceapi.JoinClone && !j.Keep && (j.Slot == "" || j.Mark == "") {
		return serve.Never("a clone needs a slot and the name of a restore point")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if j.Keep {
		return m.keep(j.Token)
	}
	if m.known.join.Token == j.Token { // obeyed already
		return nil
	}
	if err := m.mayJoin(); err != nil {
		return err
	}
	again := m.known.join.Phase == instanceapi.JoinMade || m.joinAgain
	m.known.join, m.counts.joinKind = instanceapi.JoinStatus{Token: j.Token, Phase: instanceapi.JoinRunning}, j.Kind
	m.tell()
	if !again {
		m.toJoin <- j
		return nil
	}
	go m.carryOut("join", func(ctx context.Context, c supervise.Control) error { return m.rejoin(ctx, c, j) })
	return nil
}

// mayJoin refuses to make data where there is some that must stay, or while something else goes on. The caller holds mu.
func (m *Manager) mayJoin() error {
	now := m.known.join
	switch {
	case m.facts.refused != "":
		return serve.NotYet("the volume of %s is refused: %s", m.o.Launch.Instance, m.facts.refused)
	case now.Phase == instanceapi.JoinNone:
		return serve.NotYet("%s has not looked at its volume yet", m.o.Launch.Instance)
	case now.Phase == instanceapi.JoinKept:
		return serve.Never("%s is part of the cluster: its data is not thrown away", m.o.Launch.Node)
	case now.Phase == instanceapi.JoinRunning:
		return serve.NotYet("%s is busy with another join: %s", m.o.Launch.Instance, now.Step)
	case now.Phase == instanceapi.JoinMade && !m.facts.volumeReady:
		return serve.NotYet("%s is about to start with what another join made", m.o.Launch.Instance)
	}
	return nil
}

// keep notes that what was made with a token is part of the cluster for good. The caller holds mu.
func (m *Manager) keep(token string) error {
	now := m.known.join
	if now.Token == token && now.Phase == instanceapi.JoinKept {
		return nil
	}
	if now.Token != token || now.Phase != instanceapi.JoinMade {
		return serve.NotYet("%s has made nothing for the token %q", m.o.Launch.Instance, token)
	}
	t := m.known.tokens
	t.Kept = token
	if err := m.saveTokens(t); err != nil {
		return fmt.Errorf("remember that the data is kept: %w", err)
	}
	m.known.tokens, m.known.join.Phase = t, instanceapi.JoinKept
	m.tell()
	return nil
}

// joinedBefore recognizes what an earlier container made with a token. Data that no join made is never thrown away.
func (m *Manager) joinedBefore(token string) {
	if !m.o.Launch.Join {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known.join = instanceapi.JoinStatus{Token: token, Phase: instanceapi.JoinMade}
	if token == "" || token == m.known.tokens.Kept {
		m.known.join.Phase = instanceapi.JoinKept
	}
}

// joinWhenAsked waits for somebody to say where the data comes from, until it is made.
func (m *Manager) joinWhenAsked(ctx context.Context, major int) error {
	const waiting = "the node is added to a running cluster and waits for the operator to say which node to copy"
	m.mu.Lock()
	m.known.join = instanceapi.JoinStatus{Phase: instanceapi.JoinWaiting}
	m.mu.Unlock()
	for {
		m.refresh(func(f *facts) { f.preparing, f.refused, f.volumeOurs = waiting, "", true })
		select {
		case <-ctx.Done():
			return ctx.Err()
		case j := <-m.toJoin:
			if err := m.makeJoined(ctx, major, j); err == nil {
				return nil
			}
		}
	}
}

// rejoin throws away what another join made and makes it anew.
func (m *Manager) rejoin(ctx context.Context, c supervise.Control, j instanceapi.Join) error {
	m.log.Warn("throwing away what another join made", "token", j.Token)
	c.Stop(m.stopLadder())
	m.mu.Lock()
	started := m.facts.server.Starts > 0
	m.joinAgain, m.facts.volumeReady = true, false
	m.mu.Unlock()
	_, major, err := m.engine.Version(ctx)
	if err == nil {
		err = volume.Discard(m.o.Paths.Data())
	}
	if err != nil {
		m.joinEnded(err)
		return err
	}
	if err := m.makeJoined(ctx, major, j); err != nil {
		return err
	}
	if err := m.noteControl(ctx); err != nil {
		return err
	}
	m.refresh(func(f *facts) { f.volumeReady, f.preparing = true, "" })
	if started {
		c.Start(supervise.Normal)
	}
	return nil
}

// makeJoined makes the data and reports how that ended.
func (m *Manager) makeJoined(ctx context.Context, major int, j instanceapi.Join) (err error) {
	m.log.Info("joining", "kind", j.Kind, "from", j.From, "token", j.Token)
	began := time.Now()
	defer func() { m.countJoin(time.Since(began), err); m.joinEnded(err) }()
	found, err := volume.Observe(m.o.Launch, m.o.Paths, major)
	if err != nil {
		return err
	}
	step, empty := volume.Decide(found).(volume.Make)
	if !empty {
		return fmt.Errorf("the volume of %s is not empty", m.o.Launch.Instance)
	}
	maker := m.maker()
	maker.Join = j.Token
	filler := join.Filler{
		Engine: m.engine, From: j.From, Init: maker.Init, Sockets: m.o.Paths.Sockets, Children: m.children,
		Output: supervise.NewOutput(m.o.ServerLog), Step: m.joinStep, Pause: firstJoinRetry, Log: m.log, Major: major,
		Following: pgconf.Recovery{Primary: j.From, ApplicationName: m.o.Launch.Node, Slot: j.Slot, Mark: j.Mark, Action: "promote"},
	}
	switch j.Kind {
	case instanceapi.JoinCopy:
		maker.Fill = filler.Copy
	case instanceapi.JoinClone:
		maker.Fill = filler.Clone
	case instanceapi.JoinSchema:
		maker.Fill = filler.Schema
	}
	return maker.Make(ctx, step)
}

// countJoin counts a join that has ended.
func (m *Manager) countJoin(took time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.joinTook = took
	if err != nil {
		m.counts.joinsFailed++
		return
	}
	m.counts.joinsMade++
}

func (m *Manager) joinStep(step string) {
	m.mu.Lock()
	m.known.join.Step = step
	m.mu.Unlock()
	m.refresh(func(f *facts) { f.preparing = step })
}

func (m *Manager) joinEnded(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known.join.Phase = instanceapi.JoinMade
	if err != nil {
		m.log.Error("join failed", "step", m.known.join.Step, "error", err)
		m.known.join.Phase, m.known.join.Error = instanceapi.JoinFailed, err.Error()
		m.facts.preparing = "the node could not join: " + err.Error()
	} else {
		m.known.join.Step = ""
	}
	m.tell()
}
