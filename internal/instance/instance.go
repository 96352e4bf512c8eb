// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/cache"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/catalog"
	"github.com/antdb-operator/antdb-operator/internal/instance/configure"
	"github.com/antdb-operator/antdb-operator/internal/instance/ddllock"
	"github.com/antdb-operator/antdb-operator/internal/instance/engine"
	"github.com/antdb-operator/antdb-operator/internal/instance/move"
	"github.com/antdb-operator/antdb-operator/internal/instance/peers"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/instance/process"
	"github.com/antdb-operator/antdb-operator/internal/instance/publish"
	"github.com/antdb-operator/antdb-operator/internal/instance/split"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Pods is the part of Kubernetes that an instance needs.
type Pods interface {
	OfCluster(cluster string) cache.ListerWatcher
	publish.Patcher
}

// Options are what an instance manager needs.
type Options struct {
	Launch pod.Launch
	Paths  pod.Paths
	Pods   Pods
	// Own are the pod's own addresses.
	Own []netip.Addr
	// API and Metrics are the addresses to listen on.
	API, Metrics string
	// Port is where the server listens; it names the unix socket.
	Port uint16
	// Memory is how many bytes the server may use; 0 if that is not known.
	Memory uint64
	// Log is for the manager and ServerLog for what the server writes.
	Log, ServerLog *slog.Logger
	Timing         Timing
}

// Timing holds the durations of an instance.
type Timing struct {
	// CheckEvery is the pause between two checks that SQL runs, and CheckDeadline when an answer is late.
	CheckEvery, CheckDeadline time.Duration
	// Tend is how often everything is looked at that no event tells of.
	Tend time.Duration
	// AwaitGTM is how long the first start waits for gc.
	AwaitGTM time.Duration
	// Stale is how old a stream from gc must be, when gc accepts connections elsewhere, to come from the gc of before.
	Stale time.Duration
	// Stuck is how long gc may not read from its nodes, while it answers no statement, before its server is restarted.
	Stuck time.Duration
	// FastStop is how long a stop stays orderly, and WaitingStop the same on a gc that waits for its nodes.
	FastStop, WaitingStop time.Duration
	// Linger is how long the pod lives on after its server, so that late connection attempts are refused and not lost.
	Linger time.Duration
	// Farewell is how long the last news to Kubernetes may hold up the end of the pod.
	Farewell  time.Duration
	Supervise supervise.Timing
}

// DefaultTiming is the timing in a pod.
func DefaultTiming() Timing {
	return Timing{
		CheckEvery:    2 * time.Second,
		CheckDeadline: 3 * time.Second,
		Tend:          time.Minute,
		AwaitGTM:      5 * time.Second,
		Stale:         5 * time.Second,
		Stuck:         10 * time.Second,
		FastStop:      4 * time.Second,
		WaitingStop:   time.Second,
		Linger:        time.Second,
		Farewell:      500 * time.Millisecond,
		Supervise:     supervise.DefaultTiming(),
	}
}

// Manager manages one instance.
type Manager struct {
	o          Options
	log        *slog.Logger
	children   *process.Children
	engine     engine.Engine
	config     *configure.Keeper
	catalog    *catalog.Keeper
	peers      *peers.Set
	publisher  *publish.Publisher
	mover      *move.Mover
	splitter   *split.Splitter
	supervisor *supervise.Supervisor
	server     dbadmin.Server
	spare      spare

	// configured is closed when there is a configuration, and tend wakes what looks after the server.
	configured     chan struct{}
	configuredOnce sync.Once
	tend           chan struct{}
	// life ends when the instance manager does, after the server has stopped.
	life context.Context
	end  context.CancelFunc
	// toJoin brings what a node that is added is asked to become before its first start.
	toJoin chan instanceapi.Join
	// lock keeps DDL out of the cluster, on gc.
	lock *ddllock.Keeper
	// unlock gives the volume up; it belongs to the goroutine that prepares the first start.
	unlock func()
	// writingDown is set while a copy writes down what it holds in memory, and writtenDown is when it did that last.
	writingDown atomic.Bool
	writtenDown time.Time
	// asking is set while the server is being asked for what the status tells.
	asking atomic.Bool

	// feedMu is held while slots are made and dropped, rolesMu while roles are made or compared.
	feedMu, rolesMu sync.Mutex

	mu    sync.Mutex // guards what follows
	facts facts
	known known
	// joinAgain says that the data was thrown away after the first start, so that it is made anew beside the supervisor.
	joinAgain bool
	drain     draining
	feed      feeding
	counts    counts
	// stopCheck ends the check of the server's present life.
	stopCheck context.CancelFunc
}

// New puts an instance manager together.
func New(o Options) *Manager {
	m := &Manager{
		o:          o,
		log:        o.Log,
		children:   &process.Children{},
		server:     dbadmin.Server{Sockets: o.Paths.Sockets, Port: o.Port},
		configured: make(chan struct{}),
		tend:       make(chan struct{}, 1),
		toJoin:     make(chan instanceapi.Join, 1),
		facts:      facts{role: o.Launch.Role, preparing: "getting ready to start"},
		known:      known{fillPause: fillPause()},
		feed:       feeding{until: time.Now().Add(feedLease)},
	}
	m.life, m.end = context.WithCancel(context.Background())
	m.engine = engine.Engine{Children: m.children, Role: o.Launch.Role, Node: o.Launch.Node}
	m.peers = &peers.Set{Own: o.Own, Changed: m.letIn, GTMMoved: m.gtmMoved}
	m.config = newConfigKeeper(m)
	m.catalog = &catalog.Keeper{Self: o.Launch.Node, Path: m.statePath("topology.json"), Log: o.Log}
	m.mover = newMover(m)
	m.splitter = newSplitter(m)
	m.lock = m.newLock()
	m.publisher = &publish.Publisher{
		Pods: o.Pods, Pod: o.Launch.Instance, Now: time.Now, Log: o.Log,
		FirstBackoff: 200 * time.Millisecond, LastBackoff: 10 * time.Second, Gap: time.Second,
	}
	if !o.Launch.Join { // the operator waits for each step of a join
		m.publisher.Delay = 5 * time.Second
		_, err := os.Lstat(o.Paths.Data())
		m.publisher.New = errors.Is(err, fs.ErrNotExist)
	}
	m.supervisor = supervise.New(supervise.Options{
		Data:        o.Paths.Data(),
		Sockets:     o.Paths.Sockets,
		Command:     m.command,
		Prepare:     m.beforeStart,
		FailedStart: m.failedStart,
		StopLadder:  m.stopLadder,
		Changed:     m.serverChanged,
		Children:    m.children,
		Output:      supervise.NewOutput(o.ServerLog),
		Log:         o.Log,
		Timing:      o.Timing.Supervise,
	})
	return m
}

// Run manages the instance until ctx ends, then stops the server in order and returns.
func (m *Manager) Run(ctx context.Context) error {
	defer m.end()
	all, life := errgroup.WithContext(m.life)
	all.Go(func() error { return m.children.Adopt(life) })
	all.Go(func() error { return m.serveAPI(life) })
	all.Go(func() error { return m.serveMetrics(life) })
	all.Go(func() error { m.publisher.Run(life); return nil })
	all.Go(func() error { m.peers.Follow(life, m.o.Pods.OfCluster(m.o.Launch.Cluster), m.log); return nil })
	all.Go(func() error { m.look(life); return nil })
	all.Go(func() error { m.watchSecrets(life); return nil })
	all.Go(func() error { m.watchSender(life); return nil })
	all.Go(func() error {
		defer m.end()
		return m.runServer(ctx, life)
	})
	err := all.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// runServer runs the server from its first start to its last stop. An end of life, which is the failure of something
// else, stops it too.
func (m *Manager) runServer(ctx, life context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(life, stop)()
	var both errgroup.Group
	both.Go(func() error {
		m.supervisor.Run(ctx)
		return nil
	})
	both.Go(func() error {
		if m.prepare(ctx) {
			return m.supervisor.Start(ctx)
		}
		return nil
	})
	<-ctx.Done()
	began := time.Now()
	m.log.Info("shutting down")
	m.refresh(func(f *facts) { f.shuttingDown = true })
	m.lock.Close()
	m.stopDraining()
	err := both.Wait()
	if m.unlock != nil {
		m.unlock()
	}
	m.linger(began)
	if errors.Is(err, supervise.ErrStopping) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// linger keeps the pod's network alive for a moment: a connection attempt to an address that is gone hangs for more
// than a minute, one to a closed port fails at once. On gc it would only cost its nodes another retry.
func (m *Manager) linger(began time.Time) {
	if m.o.Launch.Role != antdb.RoleGTM {
		<-time.After(m.o.Timing.Linger)
	}
	ctx, cancel := context.WithDeadline(context.Background(), began.Add(m.o.Timing.Farewell))
	defer cancel()
	m.publisher.Flush(ctx)
}
