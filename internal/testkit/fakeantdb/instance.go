// SPDX-License-Identifier: Apache-2.0

package fakeantdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/roles"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Rejected is a value that no server takes, and restarts are the parameters that need a restart.
const Rejected = "lots"

var restarts = []string{"max_connections", "shared_buffers"}

// Instance is the instance API of whoever is at an address.
type Instance struct {
	world   *World
	address string
}

// Dial gives a client for the instance at host:port.
func (w *World) Dial(address string, _ http.RoundTripper) *Instance {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return &Instance{world: w, address: host}
}

// on runs do with the process at the address.
func (i *Instance) on(ctx context.Context, order bool, do func(*World, *process) error) error {
	i.world.mu.Lock()
	defer i.world.mu.Unlock()
	p := i.world.processes[i.address]
	if p == nil || p.unreachable > 0 {
		return errors.New("no route to host " + i.address)
	}
	if order {
		i.world.orders++
	}
	return errors.Join(ctx.Err(), do(i.world, p))
}

// Status tells how the instance is; on the way it repairs its catalog.
func (i *Instance) Status(ctx context.Context) (s instanceapi.Status, err error) {
	return s, i.on(ctx, false, func(w *World, p *process) error {
		s = w.status(p)
		return nil
	})
}

func (w *World) status(p *process) instanceapi.Status {
	s := instanceapi.Status{
		Cluster: "demo", Node: p.Node, Instance: p.Instance, Role: p.Role, Primary: true, State: p.phase, Accepting: p.up(),
		Starts: p.starts, Timeline: 1, Bootstrap: p.boot, RestartingFor: p.restarting, Reload: p.reload, EscapedFor: p.disk.escaped,
		Config: p.config(), Roles: w.rolesStatus(p),
	}
	if p.restarting != p.disk.restarted {
		s.RestartedFor = p.disk.restarted
	}
	if p.up() && !w.answers(p) {
		s.State, s.Message = instanceapi.StateWaiting, "statements do not come back"
	}
	if w.answers(p) {
		s.SchemaDigest = fmt.Sprintf("schema %d", p.disk.schema)
	}
	if p.Role.HoldsCatalog() {
		s.Catalog = w.catalog(p)
	}
	w.scalingStatus(p, &s)
	if s.Serving = w.serves(p); !s.Serving && s.Message == "" {
		s.Message = "does not serve"
	}
	return s
}

func (w *World) catalog(p *process) *instanceapi.CatalogStatus {
	c := &instanceapi.CatalogStatus{}
	if p.disk.given != nil {
		c.WantGeneration, c.WantHash = p.disk.given.Generation, p.disk.given.Hash()
	}
	if w.answers(p) {
		if p.disk.given != nil {
			if err := w.judged(p); err != nil {
				c.Error = err.Error()
			}
		}
		c.Have = topology.Topology{Nodes: p.disk.rows}.Hash()
		if p.disk.given != nil {
			c.Have = p.disk.given.Holds(p.disk.rows)
		}
	}
	c.Drift, c.DriftSeen = p.drift, p.driftSeen
	c.ComparedFor, c.Repaired = p.comparedFor, p.repaired
	return c
}

func (p *process) repair() error {
	known := p.disk.given.Known(p.disk.rows)
	differences := topology.Differences(known, p.disk.given.Nodes)
	if len(differences) > 0 && p.equal {
		p.drift, p.driftSeen = differences, p.driftSeen+1
	}
	if _, err := topology.Diff(p.Node, known, p.disk.given.Nodes); err != nil {
		return err
	}
	pending := slices.DeleteFunc(slices.Clone(p.disk.rows), func(n topology.Node) bool { return slices.Contains(known, n) })
	p.disk.rows, p.equal = slices.Concat(p.disk.given.Nodes, pending), true
	return nil
}

// judged repairs a catalog, after the world has judged what is dropped.
func (w *World) judged(p *process) error {
	w.judgeDrops(p)
	return p.repair()
}

func (p *process) config() instanceapi.ConfigStatus {
	c := instanceapi.ConfigStatus{Hash: p.disk.config.Hash()}
	if r := p.disk.rejected; r != nil {
		c.RejectedHash, c.Rejected = r.Hash(), []instanceapi.Rejected{{Name: "work_mem", Value: Rejected, Message: "invalid value"}}
	}
	for _, name := range restarts {
		if p.up() && p.disk.config.Parameters[name] != p.disk.running[name] {
			c.PendingRestart = append(c.PendingRestart, name)
		}
	}
	return c
}

// PutTopology takes the wanted catalog and applies it.
func (i *Instance) PutTopology(ctx context.Context, t instanceapi.Topology) (r instanceapi.TopologyResult, err error) {
	return r, i.on(ctx, true, func(w *World, p *process) error {
		if !p.Role.HoldsCatalog() {
			w.violate("datanode %s is handed a topology", p.Node)
			return errors.New("only gc and coordinators hold the node catalog")
		}
		p.disk.given, p.equal = &t, false
		if p.phase == instanceapi.StateInitializing || p.phase == instanceapi.StateStarting {
			return nil
		}
		if !w.answers(p) {
			return fmt.Errorf("%w: no SQL on %s", instanceapi.ErrNotYet, p.Node)
		}
		differences := topology.Differences(t.Known(p.disk.rows), t.Nodes)
		if err := w.judged(p); err != nil || t.CompareFor == "" || t.CompareFor == p.comparedFor {
			return err
		}
		p.comparedFor, p.repaired = t.CompareFor, differences
		return nil
	})
}

// PutConfig takes a configuration, or refuses it.
func (i *Instance) PutConfig(ctx context.Context, c instanceapi.Config) (r instanceapi.ConfigResult, err error) {
	return r, i.on(ctx, true, func(_ *World, p *process) error {
		switch {
		case !p.disk.initialized:
			return fmt.Errorf("%w: initdb runs on %s", instanceapi.ErrNotYet, p.Node)
		case c.Parameters["work_mem"] == Rejected:
			p.disk.rejected = &c
		default:
			p.disk.config, p.disk.rejected = &c, nil
		}
		return nil
	})
}

// Restart restarts the server; the same token is obeyed once.
func (i *Instance) Restart(ctx context.Context, r instanceapi.Restart) error {
	return i.on(ctx, true, func(w *World, p *process) error {
		switch {
		case p.starts == 0:
			return fmt.Errorf("%w: %s was not started yet", instanceapi.ErrNotYet, p.Node)
		case r.Token == p.disk.restarted:
			return nil
		}
		w.disturb(p.Instance, "restart")
		p.disk.restarted, p.restarting, p.phase, p.left = r.Token, r.Token, instanceapi.StateRestarting, 2
		w.restarts[p.Node] = append(slices.Clip(w.restarts[p.Node]), r.Token)
		return nil
	})
}

// Reload makes the server read its files anew.
func (i *Instance) Reload(ctx context.Context, r instanceapi.Reload) error {
	return i.on(ctx, true, func(w *World, p *process) error {
		if p.reload != nil && p.reload.Token == r.Token {
			return nil
		}
		p.reload = &instanceapi.ReloadStatus{Token: r.Token, Error: w.Unloadable[p.Node]}
		return nil
	})
}

// Bootstrap fills the cluster; what the journal holds is not done again.
func (i *Instance) Bootstrap(ctx context.Context, b instanceapi.Bootstrap) error {
	return i.on(ctx, true, func(w *World, p *process) error {
		if p.Role != antdb.RoleCoordinator {
			w.violate("%s is asked to bootstrap", p.Node)
		}
		if p.boot.Phase != instanceapi.BootstrapNone {
			return nil
		}
		p.boot = instanceapi.BootstrapState{Phase: instanceapi.BootstrapRunning, Step: "beginning"}
		for _, s := range append([]string{"role " + b.Owner, "database " + b.Database}, b.PostInitSQL...) {
			if !w.journal[s] {
				p.todo = append(p.todo, s)
			}
		}
		return nil
	})
}

// ApplyCredentials changes nothing here: this world has no passwords.
func (i *Instance) ApplyCredentials(ctx context.Context) error {
	return i.on(ctx, true, func(*World, *process) error { return nil })
}

// PutRoles makes roles as far as DDL runs.
func (i *Instance) PutRoles(ctx context.Context, want instanceapi.Roles) (s instanceapi.RolesStatus, err error) {
	return s, i.on(ctx, true, func(w *World, p *process) error {
		if p.Role != antdb.RoleCoordinator {
			w.violate("%s is handed roles", p.Node)
		}
		p.roles, p.refused = want, ""
		if len(roles.Diff(w.heldRoles(), want.Roles)) > 0 {
			if p.refused = w.ddl(p); p.refused == "" {
				w.makeRoles(want.Roles)
			}
		}
		if now := w.rolesStatus(p); now != nil {
			s = *now
		}
		return nil
	})
}

// Reach runs a statement on every other node.
func (i *Instance) Reach(ctx context.Context) (r instanceapi.Reach, err error) {
	return r, i.on(ctx, false, func(w *World, p *process) error {
		if !w.answers(p) {
			return errors.New("no answer")
		}
		r.Datanodes, r.Coordinators = map[string]string{}, map[string]string{}
		for _, row := range p.disk.rows {
			answers := r.Coordinators
			if row.Type == antdb.TypeDatanode {
				answers = r.Datanodes
			}
			answers[row.Name] = ""
			if n := w.node(row.Name); n == nil || !n.up() {
				answers[row.Name] = "could not connect"
			}
		}
		return nil
	})
}

// Escape makes gc forget coordinators that it waits for.
func (i *Instance) Escape(ctx context.Context, e instanceapi.Escape) error {
	return i.on(ctx, true, func(w *World, p *process) error {
		switch {
		case p.Role != antdb.RoleGTM:
			w.violate("%s is asked to let gc escape", p.Node)
			return errors.New("only gc waits for nodes")
		case e.Token == p.disk.escaped || !p.up():
			return nil
		case !p.waits:
			w.violate("gc is asked to forget %v while it waits for nobody", e.Drop)
		}
		for _, name := range e.Drop {
			if x := w.node(name); x != nil && x.up() {
				w.violate("gc is asked to forget %s, which runs", name)
			}
		}
		p.disk.rows = topology.Topology{Nodes: p.disk.rows}.Without(e.Drop...).Nodes
		p.disk.given, p.disk.escaped, p.equal = &e.Topology, e.Token, false
		p.phase, p.left = instanceapi.StateRestarting, 2
		return nil
	})
}
