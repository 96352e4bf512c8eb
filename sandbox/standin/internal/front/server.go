// SPDX-License-Identifier: Apache-2.0

// Package front stands before a PostgreSQL server and makes it one node of an AntDB cluster: it lets clients in by
// the true pg_hba.conf, holds statements back while the GTM is away, speaks AntDB's dialect, spreads DDL and commits
// over several nodes at once. It refuses to store anything: every row and every decision is in PostgreSQL behind it.
package front

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/conf"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/gtm"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/hba"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// Role is a node's type, as `show adb_node_type` gives it.
type Role string

// The roles.
const (
	GTM         Role = "gtm_coord"
	Coordinator Role = "coordinator"
	Datanode    Role = "datanode"
)

// Superuser is AntDB's hard-coded role for what nodes do among themselves.
const Superuser = "postgres"

// Options are what a front needs to know at its start.
type Options struct {
	Role    Role
	Restore bool // started in restoremode: everything is local
	Dir     string
	Data    string // the data directory
	Port    int
	Config  *conf.Config
	// Refresh rereads the configuration files and renews the server's copy of them.
	Refresh func(previous *conf.Config) *conf.Config
	// Apply is told when a configuration has come into force.
	Apply func(*conf.Config)
	Gate  *gtm.Gate
	Host  *gtm.Host // on gc
	Log   *log.Logger
	// NoTLS is PGSSLMODE=disable: other nodes are not asked for TLS.
	NoTLS bool
	// Start tells one life of the server from another, in the names of its transactions.
	Start int64
}

// Server is the front of one node.
type Server struct {
	Options
	conf    atomic.Pointer[conf.Config]
	rules   atomic.Pointer[[]hba.Rule]
	ctl     *control
	rxact   *resolver
	scripts *scripts
	serial  atomic.Int64
	pause   pauser

	reloading sync.Mutex

	mu       sync.Mutex
	sessions map[uint32]*session
	links    map[uint32]*link
}

// New makes a front. It reads pg_hba.conf: a bad one is fatal at the start.
func New(o Options) (*Server, error) {
	s := &Server{Options: o, sessions: map[uint32]*session{}, links: map[uint32]*link{}, scripts: newScripts(1000)}
	s.conf.Store(o.Config)
	s.ctl = &control{socket: s.childSocket()}
	s.rxact = newResolver(s)
	return s, s.loadRules()
}

// Dirs are the two private directories of a node's front: the server's own socket and the socket of its links.
func Dirs(dir string) (child, links string) {
	return filepath.Join(dir, "child"), filepath.Join(dir, "link")
}

func (s *Server) socketName() string { return ".s.PGSQL." + strconv.Itoa(s.Port) }

func (s *Server) childSocket() string {
	child, _ := Dirs(s.Dir)
	return filepath.Join(child, s.socketName())
}

// Name is the node's own name.
func (s *Server) Name() string { return s.conf.Load().Get("pgxc_node_name", "") }

func (s *Server) loadRules() error {
	path := s.conf.Load().Path("hba_file", "pg_hba.conf")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("could not open configuration file: %w", err)
	}
	rules, err := hba.Parse(string(text))
	if err != nil {
		return fmt.Errorf("%s %w", path, err)
	}
	s.rules.Store(&rules)
	return nil
}

// Reload applies the configuration files; the server behind the front must be signalled by the caller.
func (s *Server) Reload() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	c := s.Refresh(s.conf.Load())
	s.conf.Store(c)
	s.Apply(c)
	if err := s.loadRules(); err != nil {
		s.Log.Printf("LOG:  pg_hba.conf was not reloaded: %v", err)
	}
}

// Look renews the server's copy of the configuration files, for those who look at it, and applies nothing.
func (s *Server) Look() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.Refresh(s.conf.Load())
}

// Serve listens wherever the configuration says until the context ends.
func (s *Server) Serve(ctx context.Context) error {
	listeners, err := s.listen()
	if err != nil {
		return err
	}
	_, linkDir := Dirs(s.Dir)
	links, err := listenUnix(filepath.Join(linkDir, s.socketName()))
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, l := range listeners {
		wg.Go(func() { accept(l, func(c net.Conn) { s.login(ctx, c) }) })
	}
	wg.Go(func() { accept(links, func(c net.Conn) { s.serveLink(ctx, c) }) })
	wg.Go(func() { s.rxact.run(ctx) })
	<-ctx.Done()
	for _, l := range append(listeners, links) {
		_ = l.Close()
	}
	s.ctl.close()
	wg.Wait()
	return nil
}

func (s *Server) listen() ([]net.Listener, error) {
	c := s.conf.Load()
	var out []net.Listener
	for _, a := range list(c.Get("listen_addresses", "localhost")) {
		if a == "*" {
			a = ""
		}
		l, err := net.Listen("tcp", net.JoinHostPort(a, strconv.Itoa(s.Port)))
		if err != nil {
			return nil, fmt.Errorf("could not bind: %w", err)
		}
		out = append(out, l)
	}
	for _, d := range list(c.Get("unix_socket_directories", "/var/run/postgresql")) {
		l, err := listenUnix(filepath.Join(d, s.socketName()))
		if err != nil {
			return nil, err
		}
		if err := os.Chmod(filepath.Join(d, s.socketName()), 0o777); err != nil {
			return nil, fmt.Errorf("open socket to clients: %w", err)
		}
		out = append(out, l)
	}
	return out, nil
}

// listenUnix takes over the socket of a dead predecessor.
func listenUnix(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("could not create Unix-domain socket: %w", err)
	}
	return l, nil
}

func list(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
}

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// Quiesce closes the front's own connections to the server, which a smart shutdown would wait for.
func (s *Server) Quiesce() { s.ctl.close() }

// RegisteredNodes are the nodes that gc must wait for after a start: all in its catalog but itself.
func (s *Server) RegisteredNodes(ctx context.Context) ([]string, error) {
	rows, err := s.ctl.rows(ctx, `SELECT node_name FROM pg_catalog.pgxc_node
		WHERE node_type IN ('C', 'D') AND node_name <> pg_catalog.pgxc_node_str()`)
	var names []string
	for _, r := range rows {
		names = append(names, r[0])
	}
	return names, err
}

// InRecovery tells whether the server is a standby.
func (s *Server) InRecovery(ctx context.Context) (bool, error) {
	rows, err := s.ctl.rows(ctx, "SELECT pg_is_in_recovery()")
	return len(rows) == 1 && rows[0][0] == "t", err
}

// scripts remembers the parsed form of texts that come again.
type scripts struct {
	mu   sync.Mutex
	most int
	m    map[string]*dialect.Script
}

func newScripts(most int) *scripts { return &scripts{most: most, m: map[string]*dialect.Script{}} }

func (c *scripts) parse(text string) *dialect.Script {
	c.mu.Lock()
	p, ok := c.m[text]
	c.mu.Unlock()
	if ok {
		return p
	}
	p = dialect.Parse(text)
	if len(text) > 4096 {
		return p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m) >= c.most {
		clear(c.m) // texts that matter are back at once
	}
	c.m[text] = p
	return p
}

// dialChild opens a connection to the server behind the front.
func (s *Server) dialChild() (*wire.Conn, *wire.Error) {
	c, err := net.Dial("unix", s.childSocket())
	if err != nil {
		return nil, wire.Fatalf("57P03", "the database system is starting up")
	}
	return wire.NewConn(c), nil
}

// Config is the configuration in force.
func (s *Server) Config() *conf.Config { return s.conf.Load() }
