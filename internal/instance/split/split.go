// SPDX-License-Identifier: Apache-2.0

// Package split divides datanodes with copies that follow them, on gc: in one pause of the cluster the copies become
// primaries at exactly the same state, and one transaction registers them everywhere and divides all tables.
//
// It remembers nothing that a crash could make wrong: whether datanodes are divided is read from gc's catalog, in which
// the new ones stand if and only if they are. What keeps them from being divided is up to package division.
package split

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/division"
	"github.com/antdb-operator/antdb-operator/internal/instance/rescue"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Session is a connection to one database of gc. dbadmin.Splitter tells what its methods do.
type Session interface {
	Catalog
	Able(context.Context) (able bool, unclean int, err error)
	Tablespaces(context.Context) ([]string, error)
	Sizes(ctx context.Context, datanode string) (map[string]int64, error)
	Workers(ctx context.Context, node string) (limit, busy int, err error)
	Feeding(ctx context.Context, datanode string) (senders, slots int, err error)
	UncleanDatabases(context.Context) ([]string, error)
	Unclean(context.Context) (int, error)

	Pause(context.Context) error
	Unpause(context.Context) error
	Busy(ctx context.Context, node string) ([]string, error)
	Behind(ctx context.Context, source, copied string) (lag int64, following bool, err error)
	Mark(ctx context.Context, source, name string) error
	Primary(ctx context.Context, datanode string) (bool, error)
	Transaction
}

// Catalog is what is read of the catalogs.
type Catalog interface {
	Databases(context.Context) ([]division.Database, error)
	Tables(context.Context) ([]division.Table, error)
	Nodes(context.Context) ([]string, error)
	Close()
}

// Transaction is what changes something.
type Transaction interface {
	Begin(context.Context) error
	Rollback(context.Context) error
	rescue.Transaction
	Register(ctx context.Context, n topology.Node) error
	Divide(ctx context.Context, pairs []instanceapi.Pair, coordinators []string) error
	Clean(context.Context) error
	Undecided(context.Context) ([]string, error)
}

// Splitter carries out one split, and one clean, at a time.
type Splitter struct {
	// Open connects to a database of gc. It fails while statements do not come back.
	Open func(ctx context.Context, database string) (Session, error)
	// Ways are how other nodes are reached while the cluster is held, and Datanodes those that gc knows.
	Ways      rescue.Ways
	Datanodes func() []topology.Node
	// Changed is called, with nothing locked, when something begins or has ended.
	Changed func()
	Now     func() time.Time
	// Sleep waits, and says whether it was not ended by ctx.
	Sleep func(ctx context.Context, d time.Duration) bool
	Log   *slog.Logger

	mu     sync.Mutex
	split  instanceapi.SplitStatus
	clean  instanceapi.CleanStatus
	cancel context.CancelFunc // of the waiting between tries; nil while no split runs
}

// BusyError says that another split runs.
type BusyError struct{ Token string }

func (e *BusyError) Error() string { return "split " + e.Token + " is under way; cancel it first" }

// Status tells of the split and of the clean that were asked for last; nil where none was.
func (s *Splitter) Status() (split *instanceapi.SplitStatus, clean *instanceapi.CleanStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.split.Token != "" {
		x := s.split
		split = &x
	}
	if s.clean.Token != "" {
		x := s.clean
		clean = &x
	}
	return split, clean
}

// Ask begins a split, or cancels the one that runs. It never waits. What has ended is not begun again under its token. One
// that is cancelled before it began still looks whether the datanodes are divided.
func (s *Splitter) Ask(life context.Context, order instanceapi.Split) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch again := s.split.Token == order.Token; {
	case s.cancel != nil && !again:
		return &BusyError{s.split.Token}
	case again:
		if s.cancel != nil && order.Cancel {
			s.cancel()
		}
		return nil
	}
	s.split = instanceapi.SplitStatus{Token: order.Token, Phase: instanceapi.SplitRunning, Message: "reading the catalogs"}
	var wanted context.Context
	wanted, s.cancel = context.WithCancel(life)
	if order.Cancel {
		s.cancel()
	}
	w := &work{Splitter: s, order: order, wanted: wanted}
	go s.run(life, w)
	return nil
}

func (s *Splitter) run(life context.Context, w *work) {
	s.Changed()
	s.Log.Info("split begins", "token", w.order.Token, "planOnly", w.order.PlanOnly)
	phase, message := w.carryOut(life)
	s.mu.Lock()
	s.cancel()
	s.cancel = nil
	s.split.Phase, s.split.Message = phase, message
	s.Log.Info("split ended", "token", w.order.Token, "phase", phase, "message", message,
		"longestPauseMillis", s.split.LongestPauseMillis, "retries", s.split.Retries)
	s.mu.Unlock()
	s.Changed()
}

// AskToClean begins to remove what lies twice. It never waits, and goes on until nothing is left.
func (s *Splitter) AskToClean(life context.Context, order instanceapi.Clean) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clean.Token == order.Token || s.clean.Phase == instanceapi.CleanRunning {
		return
	}
	s.clean = instanceapi.CleanStatus{Token: order.Token, Phase: instanceapi.CleanRunning, Message: "removing the rows that lie twice"}
	go s.cleanUp(life)
}

// Pauses between attempts.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = time.Minute
)

func pause(attempts int) time.Duration {
	return min(firstPause<<min(attempts-1, 10), lastPause)
}

// readLimit bounds what only reads.
const readLimit = time.Minute

// cleanUp cleans one database after the other. A clean that failed half-way goes on where it was.
func (s *Splitter) cleanUp(life context.Context) {
	before := -1
	for tries := 1; ; {
		left, err := s.cleanNext(life)
		if err == nil && left > 0 && left == before {
			err = fmt.Errorf("%d tables are left, as many as before", left)
		}
		before = left
		s.mu.Lock()
		s.clean.Left = left
		switch {
		case err != nil:
			s.clean.Message = "trying again to remove the rows that lie twice: " + err.Error()
		case left == 0:
			s.clean.Phase, s.clean.Message = instanceapi.CleanDone, "no row lies twice"
		}
		done := s.clean.Phase == instanceapi.CleanDone
		s.mu.Unlock()
		if done {
			s.Log.Info("nothing lies twice any more")
			s.Changed()
			return
		}
		if err == nil {
			tries = 1
			continue
		}
		s.Log.Warn("rows that lie twice not removed", "error", err)
		if !s.Sleep(life, pause(tries)) {
			return
		}
		tries++
	}
}

// cleanNext cleans one database, and tells how many tables were left before that.
func (s *Splitter) cleanNext(life context.Context) (left int, err error) {
	first, err := s.Open(life, maintenance)
	if err != nil {
		return left, err
	}
	defer first.Close()
	read, cancel := context.WithTimeout(life, readLimit)
	defer cancel()
	if left, err = first.Unclean(read); err != nil || left == 0 {
		return left, err
	}
	databases, err := first.UncleanDatabases(read)
	if err != nil {
		return left, err
	}
	if len(databases) == 0 { // of databases that were dropped: nothing is left to clean
		return 0, nil
	}
	session, err := s.Open(life, databases[0])
	if err != nil {
		return left, err
	}
	defer session.Close()
	return left, session.Clean(life)
}

// maintenance is the database that every server has.
const maintenance = "postgres"
