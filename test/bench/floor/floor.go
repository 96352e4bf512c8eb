// SPDX-License-Identifier: Apache-2.0

// Package floor makes a cluster the way a person would by hand on one bare machine: six servers as six processes. How
// long that takes is the floor under everything that Kubernetes and the operator add. What such a person does to six
// servers that run elsewhere is here too.
//
// It knows the engine's command lines and nothing of Kubernetes.
package floor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Floor is an installed engine and a place for data.
type Floor struct {
	// Home is the engine's folder with bin in it, Scratch a folder for data directories.
	Home, Scratch string
	// User runs the servers, which refuse to run as root.
	User string
}

// Phases of one run.
type Phases struct {
	InitDB, Start, Sync, Use time.Duration
}

// Total is what a user waits.
func (p Phases) Total() time.Duration { return p.InitDB + p.Start + p.Sync + p.Use }

// Server is one of the six.
type Server struct {
	// Name is the node's name; Kind is what pg_ctl calls its role.
	Name, Kind string
	// Host and Port are where other nodes find it, Address is where this program does.
	Host, Address string
	Port          int

	data string
}

// Kinds of servers.
const (
	GTM         = "gtm_coord"
	Coordinator = "coordinator"
	Datanode    = "datanode"
)

// Six are the servers to make, gc first, without hosts and ports.
func Six() []Server {
	return []Server{
		{Name: "gc", Kind: GTM}, {Name: "cn1", Kind: Coordinator}, {Name: "cn2", Kind: Coordinator},
		{Name: "dn1", Kind: Datanode}, {Name: "dn2", Kind: Datanode}, {Name: "dn3", Kind: Datanode},
	}
}

// Run makes one gtm_coord, two coordinators and three datanodes, everything in parallel that can be, uses them once,
// and removes them.
func (f Floor) Run(ctx context.Context) (p Phases, err error) {
	dir, err := os.MkdirTemp(f.Scratch, "floor-")
	if err != nil {
		return p, fmt.Errorf("make floor: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	owner, err := f.credential()
	if err != nil {
		return p, err
	}
	if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
		return p, fmt.Errorf("make floor: %w", err)
	}
	servers, err := plan(dir)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, f.each(context.WithoutCancel(ctx), servers, owner, f.stop)) }()
	for _, phase := range []struct {
		took *time.Duration
		do   func() error
	}{
		{&p.InitDB, func() error { return f.each(ctx, servers, owner, f.initialize) }},
		{&p.Start, func() error { return f.each(ctx, servers, owner, f.start) }},
		{&p.Sync, func() error { return Synchronize(ctx, servers) }},
		{&p.Use, func() error { return Use(ctx, servers) }},
	} {
		begin := time.Now()
		if err := phase.do(); err != nil {
			return p, fmt.Errorf("make floor: %w", err)
		}
		*phase.took = time.Since(begin)
	}
	return p, nil
}

// plan gives every server a name, a port and a data directory.
func plan(dir string) ([]Server, error) {
	servers := Six()
	for i := range servers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = l.Close() }() // all are held until all are found
		address, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("find a free port: %s is no TCP address", l.Addr())
		}
		s := &servers[i]
		s.Host, s.Address, s.Port, s.data = "127.0.0.1", "127.0.0.1", address.Port, filepath.Join(dir, s.Name)
	}
	return servers, nil
}

func (f Floor) credential() (*syscall.Credential, error) {
	u, err := user.Lookup(f.User)
	if err != nil {
		return nil, fmt.Errorf("find user %s to run servers as: %w", f.User, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", f.User, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", f.User, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// each does the same to all servers at once. servers[0] is gc.
func (f Floor) each(ctx context.Context, servers []Server, owner *syscall.Credential, do func(context.Context, Server, Server, *syscall.Credential) error) error {
	var all errgroup.Group
	for _, s := range servers {
		all.Go(func() error { return do(ctx, s, servers[0], owner) })
	}
	return all.Wait()
}

// initialize is what the operator's instances do, with the same options.
func (f Floor) initialize(ctx context.Context, s, gc Server, owner *syscall.Credential) error {
	err := f.program(ctx, owner, "initdb", "-D", s.data, "--nodename", s.Name, "-U", "postgres", "-A", "trust",
		"--encoding=UTF8", "--locale=C", "--data-checksums")
	if err != nil {
		return err
	}
	conf, err := os.OpenFile(filepath.Join(s.data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(conf, "port = %d\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\n"+
		"agtm_host = '127.0.0.1'\nagtm_port = %d\nmax_prepared_transactions = 100\n", s.Port, filepath.Dir(s.data), gc.Port)
	return errors.Join(err, conf.Close())
}

func (f Floor) start(ctx context.Context, s, _ Server, owner *syscall.Credential) error {
	return f.program(ctx, owner, "pg_ctl", "-Z", s.Kind, "-D", s.data, "-l", s.data+".log", "-w", "start")
}

func (f Floor) stop(ctx context.Context, s, _ Server, owner *syscall.Credential) error {
	if _, err := os.Stat(filepath.Join(s.data, "postmaster.pid")); err != nil {
		return nil // it never ran
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return f.program(ctx, owner, "pg_ctl", "-D", s.data, "-m", "immediate", "-w", "stop")
}

func (f Floor) program(ctx context.Context, owner *syscall.Credential, name string, args ...string) error {
	bin := filepath.Join(f.Home, "bin")
	cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "LD_LIBRARY_PATH=" + filepath.Join(f.Home, "lib"), "PGSSLMODE=disable"}
	// pg_ctl leaves the server behind, which would hold a pipe open: a file is enough to tell what went wrong.
	out, err := os.CreateTemp("", "floor-out-")
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(out.Close(), os.Remove(out.Name())) }()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(said)))
	}
	return nil
}

// Synchronize makes gc and the coordinators know all six, at once.
func Synchronize(ctx context.Context, servers []Server) error {
	var all errgroup.Group
	for _, s := range servers {
		if s.Kind != Datanode {
			all.Go(func() error { return session(ctx, s, catalog(s, servers)) })
		}
	}
	return all.Wait()
}

// catalog are the statements that tell one server of all.
func catalog(self Server, servers []Server) []string {
	var out []string
	for _, s := range servers {
		verb, options := "create", ""
		if s.Name == self.Name {
			verb = "alter"
		}
		kind := Coordinator
		switch s.Kind {
		case Datanode:
			kind, options = Datanode, fmt.Sprintf(", primary = %t", s.Name == "dn1")
		case GTM:
			options = ", gtm = true"
		}
		out = append(out, fmt.Sprintf("%s node %s with (type = '%s', host = '%s', port = %d%s)", verb, s.Name, kind, s.Host, s.Port, options))
	}
	return append(out, "select pgxc_pool_reload()")
}

// Use proves that the cluster works as a cluster that is Ready does: a table made on gc, counted through gc and every
// coordinator.
func Use(ctx context.Context, servers []Server) error {
	err := session(ctx, servers[0], []string{
		"create table floor (id int, name text)",
		"insert into floor select id, md5(id::text) from generate_series(1, 1000) id",
	})
	if err != nil {
		return err
	}
	for _, s := range servers {
		if s.Kind == Datanode {
			continue
		}
		if err := session(ctx, s, []string{"select count(*) from floor"}); err != nil {
			return err
		}
	}
	return nil
}

func session(ctx context.Context, s Server, statements []string) (err error) {
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres sslmode=disable", s.Address, s.Port))
	if err != nil {
		return err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.Name, err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for _, text := range statements {
		if _, err := conn.Exec(ctx, text); err != nil {
			return fmt.Errorf("%s: %s: %w", s.Name, text, err)
		}
	}
	return nil
}
