// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/conf"
)

// controller is one call of pg_ctl.
type controller struct {
	home             Home
	verb             string
	dataDir, logFile string
	roleFlags        []string
	options          []string
	mode             string
	wait             bool
	patience         time.Duration
}

// pgCtl is pg_ctl with AntDB's -Z and -R. What only looks at the data directory is left to PostgreSQL's.
func (h Home) pgCtl(args []string) int {
	c := controller{home: h, mode: "fast", wait: true, patience: time.Minute}
	zone, _, rest := takeOption(args, "-Z")
	restore, _, rest := takeOption(rest, "-R")
	c.verb = firstVerb(rest)
	if !slices.Contains([]string{"start", "stop", "restart", "reload"}, c.verb) {
		return h.become("pg_ctl", rest)
	}
	var opts, timeout string
	var found bool
	c.dataDir, _, rest = takeOption(rest, "-D", "--pgdata")
	c.logFile, _, rest = takeOption(rest, "-l", "--log")
	opts, _, rest = takeOption(rest, "-o", "--options")
	c.options = strings.Fields(opts)
	if m, ok, r := takeOption(rest, "-m", "--mode"); ok {
		c.mode, rest = m, r
	}
	if timeout, found, rest = takeOption(rest, "-t", "--timeout"); found {
		if n, err := strconv.Atoi(timeout); err == nil {
			c.patience = time.Duration(n) * time.Second
		}
	}
	c.wait = !slices.Contains(rest, "-W") && !slices.Contains(rest, "--no-wait")
	if c.dataDir == "" {
		c.dataDir = os.Getenv("PGDATA")
	}
	if err := c.flags(zone, restore); err != nil {
		return complain("pg_ctl", err)
	}
	if err := c.do(); err != nil {
		return complain("pg_ctl", err)
	}
	return 0
}

func firstVerb(args []string) string {
	for _, a := range args {
		if slices.Contains([]string{"start", "stop", "restart", "reload", "status", "promote", "logrotate", "kill", "init", "initdb"}, a) {
			return a
		}
	}
	return ""
}

// flags turns -Z and -R into what postgres takes.
func (c *controller) flags(zone, restore string) error {
	if c.verb != "start" && c.verb != "restart" {
		return nil
	}
	switch zone {
	case "gtm_coord", "coordinator", "datanode":
		c.roleFlags = []string{"--" + zone}
	case "restoremode":
		if restore != "coordinator" && restore != "datanode" {
			return errors.New("-Z restoremode needs -R coordinator or -R datanode")
		}
		c.roleFlags = []string{"--restoremode", "--" + restore}
	default:
		return errors.New("-Z must be gtm_coord, coordinator, datanode or restoremode")
	}
	return nil
}

func (c *controller) do() error {
	switch c.verb {
	case "start":
		return c.start()
	case "reload":
		pid, err := c.frontPid()
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGHUP)
	case "stop":
		return c.stop()
	}
	if err := c.stop(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return c.start()
}

// frontPid is the process that the signals are for: the parent of the server in the lock file.
func (c *controller) frontPid() (int, error) {
	pid, err := postmasterPid(c.dataDir)
	if err != nil {
		return 0, fmt.Errorf("PID file of %q: is server running? %w", c.dataDir, err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read process of server: %w", err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return strconv.Atoi(fields[1])
}

func (c *controller) stop() error {
	pid, err := c.frontPid()
	if err != nil {
		return err
	}
	sig, ok := map[string]syscall.Signal{
		"fast": syscall.SIGINT, "f": syscall.SIGINT, "smart": syscall.SIGTERM, "s": syscall.SIGTERM, "immediate": syscall.SIGQUIT, "i": syscall.SIGQUIT,
	}[c.mode]
	if !ok {
		return fmt.Errorf("unrecognized shutdown mode %q: use smart, fast or immediate", c.mode)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := syscall.Kill(pid, sig); err != nil || !c.wait {
		return err
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(c.patience.Milliseconds()))
	if err != nil || n == 0 {
		return errors.New("server does not shut down")
	}
	fmt.Println("server stopped")
	return nil
}

func (c *controller) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, slices.Concat(c.roleFlags, []string{"-D", c.dataDir}, c.options)...)
	cmd.Args[0] = "postgres"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if c.logFile != "" {
		f, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.Stdout, cmd.Stderr = f, f
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if !c.wait {
		return nil
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	tick, late := time.NewTicker(50*time.Millisecond), time.After(c.patience)
	defer tick.Stop()
	for {
		select {
		case <-exited:
			return errors.New("could not start server: examine the log output")
		case <-late:
			return errors.New("server did not start in time")
		case <-tick.C:
			if c.ready() {
				fmt.Println("server started")
				return nil
			}
		}
	}
}

// ready reads the state that the server keeps in its lock file.
func (c *controller) ready() bool {
	text, err := os.ReadFile(filepath.Join(c.dataDir, "postmaster.pid"))
	lines := strings.Split(string(text), "\n")
	return err == nil && len(lines) > 7 && (strings.HasPrefix(lines[7], "ready") || strings.HasPrefix(lines[7], "standby"))
}

// rewind is PostgreSQL's, led to a configuration that the server it runs can read.
func (h Home) rewind(args []string) int {
	dir, found, _ := takeOption(args, "-D", "--target-pgdata")
	if !found {
		return h.become("pg_rewind", args)
	}
	c, err := conf.Load(dir, nil, nil)
	if err != nil {
		return complain("pg_rewind", err)
	}
	tmp, err := os.MkdirTemp("", "antdb-standin-")
	if err != nil {
		return complain("pg_rewind", err)
	}
	defer os.RemoveAll(tmp)
	main, err := c.Mirror(tmp, "[]")
	if err != nil {
		return complain("pg_rewind", err)
	}
	if err := h.run(os.Environ(), "pg_rewind", append(args, "--config-file="+main)...); err != nil {
		return complain("pg_rewind", err)
	}
	return 0
}
