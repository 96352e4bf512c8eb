// SPDX-License-Identifier: Apache-2.0

// Package move carries out the moving of rows between datanodes, table by table, each in a pause of the cluster.
//
// What has to be moved it reads from the catalogs, each time anew: it remembers nothing that a crash could make wrong.
// Which table goes where is up to package redistribute.
package move

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instance/rescue"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/metrics"
	"github.com/antdb-operator/antdb-operator/internal/redistribute"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Session is a connection to one database of gc.
type Session interface {
	Databases(context.Context) ([]string, error)
	Tables(context.Context) ([]redistribute.Table, error)
	SizesOn(ctx context.Context, datanode string) ([]redistribute.Size, error)
	Paused(ctx context.Context, wait time.Duration, lock string, statements []string, commit func() error) error
	rescue.Transaction
	Close()
}

// Mover carries out one move at a time.
type Mover struct {
	// Open connects to a database of gc. It fails while statements do not come back.
	Open func(ctx context.Context, database string) (Session, error)
	// Ways are how other nodes are reached while the cluster is paused, and Datanodes those that gc knows.
	Ways      rescue.Ways
	Datanodes func() []topology.Node
	// Changed is called, with nothing locked, when a move begins or has ended.
	Changed func()
	Now     func() time.Time
	// Sleep waits, and says whether it was not ended by ctx.
	Sleep func(ctx context.Context, d time.Duration) bool
	Log   *slog.Logger

	mu     sync.Mutex
	status instanceapi.MoveStatus
	pauses metrics.Histogram
	cancel context.CancelFunc // of the waiting between tables; nil while nothing runs
}

// BusyError says that another move runs.
type BusyError struct{ Token string }

func (e *BusyError) Error() string { return "move " + e.Token + " is under way; cancel it first" }

// Status tells of the move that was asked for last; nil if none was.
func (m *Mover) Status() *instanceapi.MoveStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.status.Token == "" {
		return nil
	}
	s := m.status
	return &s
}

// Pauses are those of all moves.
func (m *Mover) Pauses() metrics.Histogram {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pauses
}

// Ask begins a move, or cancels the one that runs. It never waits. What has ended is not begun again under its token,
// but for a plan that shall be carried out.
func (m *Mover) Ask(life context.Context, order instanceapi.Move) error {
	if err := wish(order).Check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cancel != nil && m.status.Token != order.Token {
		return &BusyError{m.status.Token}
	}
	switch again := m.status.Token == order.Token; {
	case again && m.cancel != nil:
		if order.Cancel {
			m.cancel()
		}
		return nil
	case again && (m.status.Phase != instanceapi.MovePlanned || order.PlanOnly):
		return nil
	case order.Cancel:
		m.status = instanceapi.MoveStatus{Token: order.Token, Phase: instanceapi.MoveCancelled, Message: "cancelled before it began"}
		go m.Changed()
		return nil
	}
	m.status = instanceapi.MoveStatus{Token: order.Token, Phase: instanceapi.MoveRunning, Message: "reading the catalogs"}
	var wanted context.Context
	wanted, m.cancel = context.WithCancel(life)
	go m.run(&work{Mover: m, order: order, wanted: wanted, attempts: map[string]int{}, unclear: map[string]int{}, notBefore: map[string]time.Time{}, failed: map[string]string{}}, life)
	return nil
}

func (m *Mover) run(w *work, life context.Context) {
	m.Changed()
	m.Log.Info("move begins", "token", w.order.Token, "onto", w.order.Onto, "off", w.order.Off, "planOnly", w.order.PlanOnly)
	phase, message := w.carryOut(life)
	w.leave()
	m.mu.Lock()
	m.cancel()
	m.cancel = nil
	m.status.Phase, m.status.Message, m.status.SecondsLeft = phase, message, 0
	if phase == instanceapi.MovePlanned {
		m.status.SecondsLeft = redistribute.SecondsLeft(m.status.TablesTotal, m.status.BytesTotal, 0, 0)
	}
	m.Log.Info("move ended", "token", w.order.Token, "phase", phase, "message", message, "tables", m.status.TablesDone,
		"bytes", m.status.BytesDone, "longestPauseMillis", m.status.LongestPauseMillis, "retries", m.status.Retries)
	m.mu.Unlock()
	m.Changed()
}

func wish(o instanceapi.Move) redistribute.Wish {
	return redistribute.Wish{Onto: o.Onto, From: o.From, Off: o.Off, All: o.All}
}

// note changes the status.
func (m *Mover) note(change func(*instanceapi.MoveStatus)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.status)
}
