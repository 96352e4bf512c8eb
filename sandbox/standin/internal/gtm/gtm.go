// SPDX-License-Identifier: Apache-2.0

// Package gtm imitates what an operator feels of AntDB's transaction manager: nodes register with gc by name, a node
// without gc holds its statements back, and a restarted gc holds back everybody's until all registered nodes are
// there. It refuses to know SQL: it opens and closes gates.
package gtm

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// Bytes that gc sends on a registration stream.
const (
	waiting   = 'W' // gc still waits for registered nodes
	serving   = 'O' // gc gives out snapshots
	heartbeat = 'H'
)

// RetryGrid is how often a node tries to reach gc.
const RetryGrid = 3 * time.Second

const heartbeatEvery = 10 * time.Second

// Gate is open while statements may run.
type Gate struct {
	mu   sync.Mutex
	open bool
	ch   chan struct{}
}

// NewGate makes a gate, open or closed.
func NewGate(open bool) *Gate {
	g := &Gate{ch: make(chan struct{})}
	g.Set(open)
	return g
}

// Opened is closed as soon as the gate is open.
func (g *Gate) Opened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ch
}

// Set opens or closes the gate.
func (g *Gate) Set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case open && !g.open:
		close(g.ch)
	case !open && g.open:
		g.ch = make(chan struct{})
	}
	g.open = open
}

// Host is gc's side.
type Host struct {
	gate *Gate

	mu       sync.Mutex
	expected bool
	missing  map[string]bool
	attached map[string]*stream
	seen     map[string]bool
}

// stream is one registered node.
type stream struct {
	conn *wire.Conn
	gone chan struct{}
}

// NewHost makes gc's side over gc's own gate.
func NewHost(gate *Gate) *Host {
	return &Host{gate: gate, attached: map[string]*stream{}, seen: map[string]bool{}}
}

// Expect names the nodes that must register before gc serves, or the time after which it serves all the same.
func (h *Host) Expect(ctx context.Context, names []string, patience time.Duration) {
	h.mu.Lock()
	h.expected, h.missing = true, map[string]bool{}
	for _, n := range names {
		if !h.seen[n] {
			h.missing[n] = true
		}
	}
	h.openIfComplete()
	h.mu.Unlock()
	go func() {
		select {
		case <-ctx.Done():
		case <-h.gate.Opened():
		case <-time.After(patience):
			h.mu.Lock()
			clear(h.missing)
			h.openIfComplete()
			h.mu.Unlock()
		}
	}()
}

func (h *Host) openIfComplete() {
	if h.expected && len(h.missing) == 0 {
		h.gate.Set(true)
	}
}

// Serve holds one registration stream until it ends. A second process of the same name takes the registration over:
// the first loses it, comes back on its retry grid, and both starve each other.
func (h *Host) Serve(conn *wire.Conn, name string) {
	s := &stream{conn: conn, gone: make(chan struct{})}
	h.mu.Lock()
	if old := h.attached[name]; old != nil {
		_ = old.conn.Close()
	}
	h.attached[name] = s
	h.seen[name] = true
	delete(h.missing, name)
	h.openIfComplete()
	h.mu.Unlock()
	go func() {
		defer close(s.gone)
		for {
			if _, err := conn.Byte(); err != nil {
				return
			}
		}
	}()
	h.tell(s)
	_ = conn.Close()
	h.mu.Lock()
	if h.attached[name] == s {
		delete(h.attached, name)
	}
	h.mu.Unlock()
}

// tell sends gc's state and heartbeats.
func (h *Host) tell(s *stream) {
	opened := h.gate.Opened()
	state := byte(waiting)
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-opened:
			state, opened = serving, nil
		default:
		}
		if _, err := s.conn.Conn.Write([]byte{state}); err != nil {
			return
		}
		select {
		case <-s.gone:
			return
		case <-opened:
		case <-tick.C:
			if state == serving {
				state = heartbeat
			}
		}
	}
}

// Receiver is the side of every other node.
type Receiver struct {
	Gate *Gate
	Name string
	// NeedsSnapshots is true on coordinators: being attached is not enough for them, gc must serve.
	NeedsSnapshots bool
	// Address is asked before every attempt; an empty one means that gc is not configured.
	Address func() (address string, patience time.Duration)
	// Changed wakes the receiver after a reload.
	Changed <-chan struct{}
}

// Run keeps the node registered until the context ends.
func (r *Receiver) Run(ctx context.Context) {
	for ctx.Err() == nil {
		address, patience := r.Address()
		if address != "" {
			r.attach(ctx, address, patience)
		}
		r.Gate.Set(false)
		select {
		case <-ctx.Done():
		case <-r.Changed:
		case <-time.After(RetryGrid):
		}
	}
}

// attach registers once and follows gc's state until the stream ends or the address changes.
func (r *Receiver) attach(ctx context.Context, address string, patience time.Duration) {
	// An address that has just gone away answers nothing; the next try is due soon anyway.
	d := net.Dialer{Timeout: RetryGrid}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	conn := wire.NewConn(c)
	states := make(chan byte)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer conn.Close()
	if conn.SendStartup(wire.RegisterCode, wire.EncodeParams(map[string]string{"node": r.Name})) != nil {
		return
	}
	go func() {
		defer cancel()
		for {
			if conn.SetReadDeadline(time.Now().Add(patience)) != nil {
				return
			}
			b, err := conn.Byte()
			if err != nil {
				return
			}
			select {
			case states <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-states:
			r.Gate.Set(b != waiting || !r.NeedsSnapshots)
		case <-r.Changed:
			if now, _ := r.Address(); now != address {
				return
			}
		}
	}
}
