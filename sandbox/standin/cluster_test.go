// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/engine"
)

// The tests run one cluster of 1 gtm_coord, 2 coordinators and 3 datanodes as processes on loopback ports. Every test
// leaves it whole. When run as root the processes belong to the user postgres: PostgreSQL refuses root.

var (
	bin    string // the engine's home/bin
	whole  *cluster
	roles  = map[string]string{"gc": "gtm_coord", "cn1": "coordinator", "cn2": "coordinator", "dn1": "datanode", "dn2": "datanode", "dn3": "datanode"}
	names  = []string{"gc", "cn1", "cn2", "dn1", "dn2", "dn3"}
	nodeID = map[string]string{
		"gc": "196570402", "cn1": "-1178713634", "cn2": "-1923125220", "dn1": "-560021589", "dn2": "352366662", "dn3": "-700122826",
	}
)

const password = "secret"

// programs are the names under which the tests' own binary is called as the stand-in.
var programs = []string{"initdb", "postgres", "pg_ctl", "pg_basebackup", "pg_rewind", "pg_dumpall"}

func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); slices.Contains(programs, name) {
		os.Exit(engine.Main(name, os.Args[1:]))
	}
	code := 1
	defer func() { os.Exit(code) }()
	dir, err := os.MkdirTemp("", "standin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer os.RemoveAll(dir)
	if whole, err = newCluster(dir); err != nil {
		fmt.Fprintln(os.Stderr, "start cluster:", err)
		return
	}
	defer whole.shutDown()
	code = m.Run()
}

type cluster struct {
	dir  string
	port map[string]int

	mu   sync.Mutex
	proc map[string]*process
}

// process is one running server; done is closed when it has ended.
type process struct {
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
}

// asServer makes a command run as the user that owns the servers.
func asServer(cmd *exec.Cmd) *exec.Cmd {
	if os.Getuid() != 0 {
		return cmd
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		panic("tests as root need the user postgres: " + err.Error())
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return cmd
}

func run(name string, args ...string) (string, error) {
	cmd := asServer(exec.Command(filepath.Join(bin, name), args...))
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func newCluster(dir string) (*cluster, error) {
	c := &cluster{dir: dir, port: map[string]int{}, proc: map[string]*process{}}
	if err := install(dir); err != nil {
		return nil, err
	}
	for _, n := range names {
		p, err := freePort()
		if err != nil {
			return nil, err
		}
		c.port[n] = p
	}
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, n := range names {
		wg.Go(func() {
			if errs[i] = c.create(n, n); errs[i] == nil {
				errs[i] = c.launch(n)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, n := range names[:3] {
		for _, sql := range append(c.sync(n), "SELECT pgxc_pool_reload()") {
			if out, err := c.try(n, sql); err != nil {
				return nil, fmt.Errorf("%s: %s", sql, out)
			}
		}
	}
	return c, nil
}

// install makes the engine's home. The stand-in is this very binary: to build another one took seconds of two processors.
func install(dir string) error {
	bin = filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(bin, "standin"), self, 0o755)
	}
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	for _, p := range programs {
		if err := os.Symlink("standin", filepath.Join(bin, p)); err != nil {
			return err
		}
	}
	for _, p := range []string{"psql", "pg_isready", "pgbench"} {
		if err := os.Symlink("/usr/lib/postgresql/15/bin/"+p, filepath.Join(bin, p)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte(password+"\n"), 0o644); err != nil {
		return err
	}
	return errors.Join(os.Mkdir(filepath.Join(dir, "run"), 0o777), os.Chmod(filepath.Join(dir, "run"), 0o777), os.Chmod(dir, 0o777))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (c *cluster) data(node string) string { return filepath.Join(c.dir, node) }

// create runs initdb and writes the configuration. Nothing is synced to disk: servers are killed here, and the machine is
// not, so that what was written is there all the same.
func (c *cluster) create(node, name string) error {
	if _, err := run("initdb", "-D", c.data(node), "--nodename", name, "-U", "postgres", "--pwfile="+filepath.Join(c.dir, "pw"),
		"--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"); err != nil {
		return err
	}
	return c.configure(node)
}

func (c *cluster) configure(node string) error {
	conf := fmt.Sprintf("include_if_exists '%s'\nlisten_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = '%s'\n"+
		"agtm_host = '127.0.0.1'\nagtm_port = %d\nmax_prepared_transactions = 100\nfsync = off\n",
		c.extra(node), c.port[node], filepath.Join(c.dir, "run"), c.port["gc"])
	f, err := os.OpenFile(filepath.Join(c.data(node), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(conf)
	hba := "local all all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n" +
		"host all all 127.0.0.2/32 scram-sha-256\nhost all all 127.0.0.3/32 reject\nhost all all 127.0.0.4/32 password\n"
	return errors.Join(err, f.Close(), os.WriteFile(filepath.Join(c.data(node), "pg_hba.conf"), []byte(hba), 0o600))
}

// extra is a file of settings that a test may write.
func (c *cluster) extra(node string) string { return filepath.Join(c.dir, node+".conf") }

// launch starts a server and waits until it accepts connections.
func (c *cluster) launch(node string, args ...string) error {
	role := roles[node]
	if role == "" {
		role = "datanode"
	}
	return c.launchAs(node, append([]string{"--" + role}, args...)...)
}

func (c *cluster) launchAs(node string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(c.dir, node+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	cmd := asServer(exec.Command(filepath.Join(bin, "postgres"), append(args, "-D", c.data(node))...))
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		_ = log.Close()
		close(p.done)
	}()
	c.mu.Lock()
	c.proc[node] = p
	c.mu.Unlock()
	deadline := time.After(20 * time.Second)
	for {
		if _, err := run("pg_isready", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port[node])); err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %s", node, c.tail(node))
		case <-deadline:
			return fmt.Errorf("%s does not accept connections: %s", node, c.tail(node))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *cluster) tail(node string) string {
	b, _ := os.ReadFile(filepath.Join(c.dir, node+".log"))
	return string(b[max(0, len(b)-2000):])
}

func (c *cluster) process(node string) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.proc[node]
}

// signal sends a signal to a server's front and, within the given time, waits for its end.
func (c *cluster) signal(node string, sig syscall.Signal, patience time.Duration) error {
	p := c.process(node)
	if err := p.cmd.Process.Signal(sig); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s still runs %s after signal %d", node, patience, sig)
	}
}

func (c *cluster) shutDown() {
	var wg sync.WaitGroup
	for n := range c.proc {
		wg.Go(func() { _ = c.signal(n, syscall.SIGQUIT, 10*time.Second) })
	}
	wg.Wait()
}

// sync are the statements that give a coordinator its catalog.
func (c *cluster) sync(self string) []string {
	var out []string
	for _, n := range names {
		verb, kind, more := "CREATE", "coordinator", ""
		if n == self {
			verb = "ALTER"
		}
		switch {
		case n == "gc":
			more = ", gtm=true"
		case n == "dn1":
			kind, more = "datanode", ", primary=true"
		case roles[n] == "datanode":
			kind = "datanode"
		}
		out = append(out, fmt.Sprintf("%s NODE %s WITH (type='%s', host='127.0.0.1', port=%d%s)", verb, n, kind, c.port[n], more))
	}
	return out
}

// try runs SQL through psql and returns what it printed, errors included.
func (c *cluster) try(node string, sql ...string) (string, error) {
	return c.tryIn(node, "postgres", sql...)
}

func (c *cluster) tryIn(node, database string, sql ...string) (string, error) {
	args := []string{"-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port[node]), "-U", "postgres", "-d", database}
	for _, s := range sql {
		args = append(args, "-c", s)
	}
	cmd := exec.Command(filepath.Join(bin, "psql"), args...)
	cmd.Dir = "/"
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

func (c *cluster) sql(t *testing.T, node string, sql ...string) string {
	t.Helper()
	out, err := c.try(node, sql...)
	if err != nil {
		t.Fatalf("%s on %s: %s", sql, node, out)
	}
	return out
}

// refused runs SQL that must fail with a text in its error.
func (c *cluster) refused(t *testing.T, node, want string, sql ...string) {
	t.Helper()
	out, err := c.try(node, sql...)
	if err == nil || !strings.Contains(out, want) {
		t.Fatalf("%s on %s: got %q, want an error with %q", sql, node, out, want)
	}
}

// drop removes tables after a test.
func (c *cluster) drop(t *testing.T, tables string) {
	t.Cleanup(func() { c.sql(t, "gc", "DROP TABLE IF EXISTS "+tables) })
}

func (c *cluster) url(node, options string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable&connect_timeout=5%s", c.port[node], options)
}

func (c *cluster) conn(t *testing.T, node string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.url(node, ""))
	if err != nil {
		t.Fatalf("connect to %s: %v", node, err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (c *cluster) start(t *testing.T, node string, args ...string) {
	t.Helper()
	if err := c.launch(node, args...); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) stop(t *testing.T, node string, sig syscall.Signal) {
	t.Helper()
	if err := c.signal(node, sig, 10*time.Second); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition and shows its last state when it does not come.
func eventually(t *testing.T, patience time.Duration, what string, check func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ok, state := check()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s; last: %s", what, patience, state)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// serves waits until a statement over all datanodes works on every coordinator.
func (c *cluster) serves(t *testing.T) {
	t.Helper()
	for _, n := range names[:3] {
		eventually(t, 15*time.Second, n+" serves", func() (bool, string) {
			out, err := c.try(n, "BEGIN", "CREATE TABLE probe (a int)", "ROLLBACK")
			return err == nil, out
		})
	}
}
