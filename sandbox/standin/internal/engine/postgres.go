// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/conf"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/front"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/gtm"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/hba"
)

// node is one running server: the front in this process and PostgreSQL in a child.
type node struct {
	home    Home
	inv     invocation
	conf    *conf.Config
	dir     string // private: sockets, the child's copy of the configuration, the lock
	log     *log.Logger
	gate    *gtm.Gate
	host    *gtm.Host
	server  *front.Server
	changed chan struct{}
	child   *exec.Cmd
	lock    *os.File
}

// postgres starts a node and stays until it ends.
func (h Home) postgres(args []string) int {
	inv, err := parseArgs(args)
	if err != nil {
		return fatal(err)
	}
	if inv.single && inv.role == "" && !inv.localXID {
		return h.become("postgres", args)
	}
	if inv.single {
		return h.alone(inv)
	}
	if inv.role == "" && inv.restore {
		inv.role = front.Coordinator
	}
	if inv.role == "" {
		return fatal(errors.New("must start as either a Coordinator (--coordinator) or Datanode (--datanode)"))
	}
	if inv.dataDir == "" {
		return fatal(errors.New("postgres does not know where to find the server configuration file: use -D or PGDATA"))
	}
	if inv.dataDir, err = filepath.Abs(inv.dataDir); err != nil {
		return fatal(err)
	}
	inv.settings["adb_node_type"] = string(inv.role)
	c, err := conf.Load(inv.dataDir, inv.settings, nil)
	if err != nil {
		return fatal(err)
	}
	n := &node{home: h, inv: inv, conf: c, log: log.New(stamped{}, "", 0), changed: make(chan struct{}, 1)}
	if inv.show != "" {
		return n.show()
	}
	if err := n.prepare(); err != nil {
		return fatal(err)
	}
	code, err := n.run()
	if err != nil {
		return fatal(err)
	}
	return code
}

func fatal(err error) int {
	log.New(stamped{}, "", 0).Printf("FATAL:  %v", err)
	return 1
}

// stamped writes log lines as PostgreSQL's default prefix does.
type stamped struct{}

func (stamped) Write(b []byte) (int, error) {
	return fmt.Fprintf(os.Stderr, "%s [%d] %s", time.Now().UTC().Format("2006-01-02 15:04:05.000 UTC"), os.Getpid(), b)
}

// show answers postgres -C.
func (n *node) show() int {
	if _, ok := conf.Lookup(n.inv.show); ok {
		fmt.Println(n.conf.Get(n.inv.show, ""))
		return 0
	}
	dir, err := os.MkdirTemp("", "antdb-standin-")
	if err != nil {
		return fatal(err)
	}
	defer os.RemoveAll(dir)
	main, err := n.conf.Mirror(dir, "[]")
	if err != nil {
		return fatal(err)
	}
	if v := n.inv.settings[n.inv.show]; v != "" {
		fmt.Println(v)
		return 0
	}
	if err := n.home.run(nil, "postgres", "-D", n.inv.dataDir, "-c", "config_file="+main, "-C", n.inv.show); err != nil {
		return 1
	}
	return 0
}

func (n *node) port() int { return n.conf.Int("port", 5432) }

// prepare makes the private directory and everything in it.
func (n *node) prepare() error {
	base := os.TempDir()
	if dirs := strings.FieldsFunc(n.conf.Get("unix_socket_directories", "/var/run/postgresql"), func(r rune) bool { return r == ',' || r == ' ' }); len(dirs) > 0 {
		base = dirs[0]
	}
	n.dir = filepath.Join(base, ".standin-"+strconv.Itoa(n.port()))
	child, links := front.Dirs(n.dir)
	if len(filepath.Join(child, ".s.PGSQL.65535")) > 107 {
		return fmt.Errorf("unix_socket_directories %q is too long a path for the stand-in: at most 70 bytes", base)
	}
	for _, d := range []string{n.dir, child, links} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("make private directory: %w", err)
		}
	}
	var err error
	if n.lock, err = os.OpenFile(filepath.Join(n.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	if err := syscall.Flock(int(n.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("lock file \"postmaster.pid\" already exists: is another server running in data directory %q?", n.inv.dataDir)
	}
	if err := os.WriteFile(filepath.Join(n.dir, "pg_hba.conf"), []byte("local all all trust\nlocal replication all trust\n"), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(n.dir, "pg_ident.conf"), nil, 0o600); err != nil {
		return err
	}
	n.awaitOrphan()
	return nil
}

// awaitOrphan waits for the server of a front that was killed: the kernel has told it to stop, and the data directory
// is free when it has.
func (n *node) awaitOrphan() {
	pid, err := postmasterPid(n.inv.dataDir)
	if err != nil {
		return
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(comm)) != "postgres" {
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10000)
}

// postmasterPid is the server's process id as its lock file has it.
func postmasterPid(dataDir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(strings.TrimSpace(line))
}

// refresh rereads the configuration and renews the child's copy. What cannot be read leaves everything as it was.
func (n *node) refresh(previous *conf.Config) *conf.Config {
	c, err := conf.Load(n.inv.dataDir, n.inv.settings, previous)
	if err == nil {
		_, err = c.Mirror(n.dir, hbaRules(c))
	}
	if err != nil {
		n.log.Printf("LOG:  configuration was not reloaded: %v", err)
		return previous
	}
	return c
}

// apply is told that a configuration is now in force.
func (n *node) apply(c *conf.Config) {
	for _, p := range c.Problems() {
		n.log.Printf("LOG:  %s", p)
	}
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// hbaRules is pg_hba.conf as it is on disk, for pg_hba_file_rules.
func hbaRules(c *conf.Config) string {
	path := c.Path("hba_file", "pg_hba.conf")
	text, err := os.ReadFile(path)
	rules := hba.Read(string(text))
	if err != nil {
		rules = []hba.Rule{{Error: fmt.Sprintf("could not open file %q", path)}}
	}
	if out, err := json.Marshal(rules); err == nil && rules != nil {
		return string(out)
	}
	return "[]"
}

// run starts the front and the child, and lives as long as the child.
func (n *node) run() (int, error) {
	gated := !n.inv.restore
	standby := exists(filepath.Join(n.inv.dataDir, "standby.signal"))
	n.gate = gtm.NewGate(!gated || n.inv.role == front.GTM && standby)
	if n.inv.role == front.GTM && gated {
		n.host = gtm.NewHost(n.gate)
	}
	var err error
	n.server, err = front.New(front.Options{
		Role: n.inv.role, Restore: n.inv.restore, Dir: n.dir, Data: n.inv.dataDir, Port: n.port(), Config: n.conf, Refresh: n.refresh, Apply: n.apply,
		Gate: n.gate, Host: n.host, Log: n.log, Start: time.Now().UnixMilli(),
		NoTLS: os.Getenv("PGSSLMODE") == "disable",
	})
	if err != nil {
		return 1, err
	}
	if exists(filepath.Join(n.inv.dataDir, "backup_label")) && !standby {
		if err := front.Recover(n.inv.dataDir, n.conf.Bool("adb_check_sync_nextid")); err != nil {
			return 1, err
		}
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	exited, err := n.start()
	if err != nil {
		return 1, err
	}
	served := make(chan error, 1)
	go func() { served <- n.server.Serve(ctx) }()
	switch {
	case n.host != nil && !standby:
		go n.expect(ctx)
	case n.inv.role != front.GTM && gated:
		r := &gtm.Receiver{
			Gate: n.gate, Name: n.server.Name(), NeedsSnapshots: n.inv.role == front.Coordinator, Address: n.gtmAddress, Changed: n.changed,
		}
		go r.Run(ctx)
	}
	return n.supervise(signals, exited, served)
}

// gtmAddress is where gc is, as the configuration has it now.
func (n *node) gtmAddress() (string, time.Duration) {
	c := n.server.Config()
	host := c.Get("agtm_host", "")
	if host == "" {
		return "", 0
	}
	return net.JoinHostPort(host, c.Get("agtm_port", "5432")), c.Millis("snap_receiver_timeout")
}

// expect tells gc's side whom to wait for, as soon as the catalog can be read.
func (n *node) expect(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if names, err := n.server.RegisteredNodes(ctx); err == nil {
			n.host.Expect(ctx, names, n.server.Config().Millis("snap_restart_timeout"))
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// start launches PostgreSQL. The kernel stops it, as an immediate shutdown does, if this process is killed.
func (n *node) start() (<-chan int, error) {
	main, err := n.conf.Mirror(n.dir, hbaRules(n.conf))
	if err != nil {
		return nil, err
	}
	childDir, linkDir := front.Dirs(n.dir)
	settings := maps.Clone(n.inv.settings)
	for _, own := range []string{"listen_addresses", "unix_socket_directories", "config_file", "hba_file", "ssl", "port"} {
		delete(settings, own)
	}
	args := []string{
		"-D", n.inv.dataDir, "-c", "config_file=" + main, "-c", "hba_file=" + filepath.Join(n.dir, "pg_hba.conf"),
		"-c", "ident_file=" + filepath.Join(n.dir, "pg_ident.conf"), "-c", "listen_addresses=", "-c", "unix_socket_directories=" + childDir,
		"-c", "unix_socket_permissions=0700", "-c", "ssl=off", "-c", "port=" + strconv.Itoa(n.port()), "-c", "postgres_fdw.application_name=%p",
	}
	args = append(append(args, n.conf.ChildArgs()...), n.inv.pass...)
	for name, value := range settings {
		if _, ok := conf.Lookup(name); !ok {
			args = append(args, "-c", name+"="+value)
		}
	}
	n.child = exec.Command(n.home.program("postgres"), args...)
	n.child.Stdout, n.child.Stderr = os.Stdout, os.Stderr
	n.child.Env = append(os.Environ(), "PGHOST="+linkDir, "PGPORT="+strconv.Itoa(n.port()), "PGSSLMODE=disable", "PGGSSENCMODE=disable",
		"PG_GRANDPARENT_PID="+strconv.Itoa(os.Getppid()))
	n.child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	started := make(chan error)
	exited := make(chan int, 1)
	go func() {
		runtime.LockOSThread() // the death signal is bound to the thread that forks
		err := n.child.Start()
		started <- err
		if err == nil {
			_ = n.child.Wait()
			exited <- n.child.ProcessState.ExitCode()
		}
	}()
	return exited, <-started
}

// supervise passes signals on until the child ends.
func (n *node) supervise(signals <-chan os.Signal, exited <-chan int, served <-chan error) (int, error) {
	var held <-chan struct{}
	for {
		select {
		case code := <-exited:
			return code, nil
		case err := <-served:
			_ = n.child.Process.Signal(syscall.SIGQUIT)
			<-exited
			return 1, err
		case <-held:
			held = nil
			_ = n.child.Process.Signal(syscall.SIGINT)
		case sig := <-signals:
			switch sig {
			case syscall.SIGHUP:
				n.server.Reload()
			case syscall.SIGTERM:
				n.server.Quiesce()
			case syscall.SIGINT:
				// A gc that waits for registered nodes does not finish a fast shutdown either.
				if opened := n.gate.Opened(); n.inv.role == front.GTM && !isClosed(opened) {
					held = opened
					continue
				}
			}
			_ = n.child.Process.Signal(sig)
		}
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
