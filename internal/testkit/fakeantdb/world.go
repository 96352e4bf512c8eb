// SPDX-License-Identifier: Apache-2.0

// Package fakeantdb behaves as the instances of one AntDB cluster do, step by step and in memory: initdb takes its
// time, a gc that starts while a registered node is missing stops every statement, DDL needs every registered
// coordinator, some parameters need a restart and some are refused.
//
// It judges what the operator asks of it: whoever takes a server away at the wrong moment is written down in
// Violations. It knows the contract of the instance API and nothing of Kubernetes.
package fakeantdb

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/roles"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// World is all servers of a cluster and what is on their volumes.
type World struct {
	// InitdbSteps is how long initdb takes.
	InitdbSteps int
	// Unloadable tells what goes wrong when the server of a node is to read its files anew.
	Unloadable map[string]string
	// WaitSteps is how long gc waits at most for registered nodes: snap_restart_timeout.
	WaitSteps int

	mu         sync.Mutex
	volumes    map[string]*volume
	processes  map[string]*process // by address
	nodes      map[string]bool
	journal    map[string]bool
	ran        map[string]int
	restarts   map[string][]string // tokens of restarts that were carried out, by node
	orders     int
	violations []string
	roles      map[string]roles.Held
	scaling
	splitting
}

// volume is what outlives a pod.
type volume struct {
	initialized bool
	rows        []topology.Node
	given       *instanceapi.Topology
	config      *instanceapi.Config
	rejected    *instanceapi.Config
	running     map[string]string // parameters that the server was started with
	restarted   string
	escaped     string
	schema      int
	join        instanceapi.JoinStatus
	joined      *instanceapi.Join
	slots       []string
	follows     string // the datanode that a copy follows; empty for a primary
}

// process is the instance manager of one pod and its server.
type process struct {
	Launch
	disk        *volume
	left        int // steps until the server is up
	phase       instanceapi.State
	unreachable int // steps for which the operator cannot reach it
	waits       bool
	waited      int
	starts      int
	restarting  string // the token of a restart under way
	reload      *instanceapi.ReloadStatus
	drift       []string
	driftSeen   int
	comparedFor string
	repaired    []string
	equal       bool // the catalog was right once, so that a difference is drift
	boot        instanceapi.BootstrapState
	todo        []string // statements of the bootstrap that are left
	roles       instanceapi.Roles
	refused     string // why the roles could not be made
	lock        *instanceapi.LockStatus
	lease       int // steps for which the lock outlives the last request
	move        *instanceapi.MoveStatus
	moving      instanceapi.Move
	drain       *instanceapi.DrainStatus
	close       bool // a copy holds all that its source does
	split       *instanceapi.SplitStatus
	splitting   instanceapi.Split
	promoted    bool // the copies have become primaries, and nothing is divided yet
	clean       *instanceapi.CleanStatus
}

// Launch is how a pod starts an instance.
type Launch struct {
	Address, Instance, Node string
	Role                    antdb.Role
	// Volume names the volume; Config is the first configuration.
	Volume string
	Config instanceapi.Config
	// Join says that the node is added to a running cluster.
	Join bool
}

// New makes a world without servers.
func New() *World {
	return &World{
		InitdbSteps: 2, WaitSteps: 60, volumes: map[string]*volume{}, processes: map[string]*process{}, nodes: map[string]bool{},
		journal: map[string]bool{}, ran: map[string]int{}, restarts: map[string][]string{}, roles: map[string]roles.Held{}, scaling: newScaling(),
	}
}

// Start starts the instance of a pod.
func (w *World) Start(l Launch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	disk := w.volumes[l.Volume]
	if disk == nil {
		disk = &volume{}
		w.volumes[l.Volume] = disk
	}
	for _, p := range w.processes {
		if p.disk == disk {
			w.violate("%s is started on the volume of %s, which still runs", l.Address, p.Address)
		}
		if p.Node == l.Node {
			w.violate("two servers are called %s", l.Node)
		}
	}
	p := &process{Launch: l, disk: disk, phase: instanceapi.StateStarting, left: 1}
	if !disk.initialized {
		p.phase, p.left = instanceapi.StateInitializing, w.InitdbSteps
	}
	if l.Join && disk.join.Phase == instanceapi.JoinNone {
		disk.join.Phase = instanceapi.JoinWaiting
	}
	if disk.config == nil {
		disk.config = &l.Config
	}
	w.nodes[l.Node] = true
	w.processes[l.Address] = p
}

// Stop ends the instance at an address, as the end of its pod does.
func (w *World) Stop(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.processes, address)
}

// Accepting tells whether the server at an address accepts connections.
func (w *World) Accepting(address string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.processes[address]
	return p != nil && p.up()
}

// Serving tells whether SQL runs on the server at an address and its catalog is right.
func (w *World) Serving(address string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.serves(w.processes[address])
}

// Step lets time pass.
func (w *World) Step() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, address := range slices.Sorted(maps.Keys(w.processes)) {
		p := w.processes[address]
		p.unreachable = max(0, p.unreachable-1)
		if !w.joinStep(p) {
			p.step()
		}
		w.lockStep(p)
		w.moveStep(p)
		w.followStep(p)
		w.splitStep(p)
		w.cleanStep(p)
		p.drainStep()
	}
	if gc := w.node(antdb.GTMNode); gc != nil && gc.waits {
		gc.waited++
		gc.waits = gc.up() && len(w.missing(gc)) > 0 && gc.waited < w.WaitSteps
	}
	for _, address := range slices.Sorted(maps.Keys(w.processes)) {
		w.bootstrapStep(w.processes[address])
	}
}

func (p *process) step() {
	if p.up() {
		return
	}
	if p.left--; p.left > 0 {
		return
	}
	if p.phase == instanceapi.StateInitializing {
		p.disk.initialized, p.phase, p.left = true, instanceapi.StateStarting, 1
		p.disk.rows = []topology.Node{{Name: p.Node, Type: antdb.TypeCoordinator, Host: "localhost", Port: antdb.Port}}
		return
	}
	p.phase, p.starts, p.restarting = instanceapi.StateRunning, p.starts+1, ""
	p.disk.running = maps.Clone(p.disk.config.Parameters)
	p.waits, p.waited = p.Role == antdb.RoleGTM, 0
}

func (p *process) up() bool { return p.phase == instanceapi.StateRunning }

// missing are the nodes in gc's catalog without a running server.
func (w *World) missing(gc *process) []string {
	var out []string
	for _, row := range gc.disk.rows {
		if p := w.node(row.Name); p == nil || !p.up() {
			out = append(out, row.Name)
		}
	}
	return out
}

// node is the process of a node; nil if there is none.
func (w *World) node(name string) *process {
	for _, p := range w.processes {
		if p.Node == name {
			return p
		}
	}
	return nil
}

// answers tells whether SQL runs on a server: it needs a snapshot from gc.
func (w *World) answers(p *process) bool {
	gc := w.node(antdb.GTMNode)
	return p.up() && gc != nil && gc.up() && !gc.waits
}

func (w *World) serves(p *process) bool {
	if p == nil || !w.answers(p) || p.drain != nil || p.Join && p.disk.join.Phase != instanceapi.JoinKept {
		return false
	}
	return !p.Role.HoldsCatalog() || p.disk.given != nil && p.disk.given.Holds(p.disk.rows) == p.disk.given.Hash()
}

func (w *World) violate(format string, args ...any) {
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}

// Disturb is told that somebody takes the server of a node away by choice, and judges it.
func (w *World) Disturb(instance, how string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disturb(instance, how)
}

func (w *World) disturb(instance, how string) {
	var p *process
	for _, x := range w.processes {
		if x.Instance == instance {
			p = x
		}
	}
	if p == nil || !p.up() || w.outside(p.Node) {
		return // nobody is disturbed
	}
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		if !w.outside(name) && name != p.Node && !w.serves(w.node(name)) {
			w.violate("%s of %s while %s does not serve", how, p.Node, name)
		}
	}
	if p.Role == antdb.RoleGTM && len(w.missing(p)) > 0 {
		w.violate("%s of gc while %v are missing: it would stop the whole cluster", how, w.missing(p))
	}
}

// bootstrapStep runs one statement.
func (w *World) bootstrapStep(p *process) {
	if p.boot.Phase != instanceapi.BootstrapRunning && p.boot.Phase != instanceapi.BootstrapFailed {
		return
	}
	if len(p.todo) == 0 {
		p.boot = instanceapi.BootstrapState{Phase: instanceapi.BootstrapDone}
		return
	}
	statement := p.todo[0]
	if why := w.ddl(p); why != "" {
		p.boot = instanceapi.BootstrapState{Phase: instanceapi.BootstrapFailed, Step: statement, Error: why}
		return
	}
	p.boot = instanceapi.BootstrapState{Phase: instanceapi.BootstrapRunning, Step: statement}
	w.ran[statement]++
	w.journal[statement] = true
	p.todo = p.todo[1:]
}

// ddl runs DDL through a coordinator: it reaches every registered node, or none.
func (w *World) ddl(through *process) (refusal string) {
	if !w.answers(through) {
		return "no answer"
	}
	if gc := w.node(antdb.GTMNode); gc.lock != nil && gc.lock.State == instanceapi.LockHeld {
		return "cannot execute DDL in a locked cluster"
	}
	var reached []*process
	for _, row := range through.disk.rows {
		p := w.node(row.Name)
		if p == nil || !p.up() {
			return "reconnect three thimes , could not connect to server " + row.Name
		}
		if p.Role.HoldsCatalog() && len(p.disk.rows) < 2 {
			return "No Datanode defined in cluster"
		}
		reached = append(reached, p)
	}
	for _, p := range reached {
		p.disk.schema++
	}
	w.created(through)
	return ""
}
