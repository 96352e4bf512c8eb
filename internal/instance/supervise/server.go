// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lastWords is how long the messages of a dead server may take to arrive.
const lastWords = 200 * time.Millisecond

// running is one life of the server.
type running struct {
	cmd      *exec.Cmd
	exit     chan error
	heard    chan struct{}
	watch    *pidWatch
	mode     Mode
	began    time.Time
	previous pidFile
	accepted bool
	// hangUpLater says that a reload waits until the server can take it: the signal ends one that has not yet
	// installed its handlers.
	hangUpLater bool
	knowsSignal bool
}

// start starts the server; a failure is treated like a crash.
func (s *Supervisor) start(m Mode) {
	s.retry = nil
	err := s.clearLeftovers(m)
	if err == nil {
		err = s.o.Prepare(m)
	}
	if err == nil {
		err = s.removeStaleLocks()
	}
	if err == nil {
		err = s.launch(m)
	}
	if err != nil {
		s.o.Log.Error("server not started", "error", err)
		s.set(func(n *Snapshot) { n.LastExit = err.Error() })
		s.backOff()
	}
}

func (s *Supervisor) launch(m Mode) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	s.o.Output.Forget()
	p := &running{
		cmd:      s.o.Command(m),
		exit:     make(chan error, 1),
		heard:    make(chan struct{}),
		mode:     m,
		began:    time.Now(),
		previous: readPidFile(s.o.Data),
		watch:    watchPidFile(s.o.Data, s.o.Log),
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	wait, err := s.o.Children.Start(p.cmd)
	_ = writer.Close()
	if err != nil {
		_ = reader.Close()
		p.watch.close()
		return fmt.Errorf("start server: %w", err)
	}
	go func() {
		defer close(p.heard)
		defer func() { _ = reader.Close() }()
		s.listen(reader)
	}()
	go func() { p.exit <- wait() }()
	s.process = p
	s.o.Log.Info("server started", "pid", p.cmd.Process.Pid, "mode", m)
	s.set(func(n *Snapshot) {
		n.Phase, n.Mode = Starting, m
		n.Starts++
	})
	return nil
}

func (s *Supervisor) listen(messages io.Reader) {
	if err := s.o.Output.Forward(messages); err != nil {
		s.o.Log.Warn("messages of the server are lost", "error", err)
	}
}

// look reads how far the server is.
func (s *Supervisor) look() {
	p := s.process
	file := readPidFile(s.o.Data)
	if file.status == "" || file.sameServer(p.previous) {
		return
	}
	p.knowsSignal = true
	if p.hangUpLater {
		s.hangUp()
	}
	phase := Starting
	switch file.status {
	case statusReady:
		phase = Accepting
		p.accepted = true
	case "stopping":
		phase = Stopping
	}
	if phase != s.snapshot.Phase {
		s.o.Log.Info("server is "+string(phase), "status", file.status, "after", time.Since(p.began).Round(time.Millisecond).String())
		s.set(func(n *Snapshot) { n.Phase = phase })
	}
}

// hangUp tells the server to read its configuration again. One that starts later reads it anyway.
func (s *Supervisor) hangUp() {
	p := s.process
	if p == nil {
		return
	}
	if p.hangUpLater = !p.knowsSignal; p.hangUpLater {
		return
	}
	if err := p.cmd.Process.Signal(unix.SIGHUP); err != nil {
		s.o.Log.Warn("server did not take the signal to reload", "error", err)
	}
}

// crashed deals with a server that ended without being asked.
func (s *Supervisor) crashed(err error) {
	p := s.process
	s.remember(err)
	var exit *exec.ExitError
	gaveUp := errors.As(err, &exit) && exit.Exited()
	if !p.accepted && s.o.FailedStart(s.snapshot.LastExit, gaveUp) {
		s.start(Normal)
		return
	}
	if p.accepted && time.Since(p.began) >= s.o.Timing.Steady {
		s.failures = 0
	}
	s.backOff()
}

// remember records an end that nobody asked for.
func (s *Supervisor) remember(err error) {
	message := s.gone(err)
	if fatal := s.o.Output.Fatal(); fatal != "" {
		message += ": " + fatal
	}
	s.o.Log.Error("server ended by itself", "how", message)
	s.set(func(n *Snapshot) { n.Phase, n.LastExit = Stopped, message })
}

// gone forgets the process and tells how it ended.
func (s *Supervisor) gone(err error) string {
	p := s.process
	s.process = nil
	p.watch.close()
	select {
	case <-p.heard:
	case <-time.After(lastWords):
	}
	if err != nil {
		return err.Error()
	}
	return "exit status 0"
}

func (s *Supervisor) backOff() {
	delay := s.o.Timing.LastBackoff
	if shift := s.failures; shift < 16 {
		delay = min(delay, s.o.Timing.FirstBackoff<<shift)
	}
	s.failures++
	s.o.Log.Info("server is started again later", "in", delay.String())
	s.retry = time.After(delay)
}

// stop climbs the ladder until the server is gone.
func (s *Supervisor) stop(ladder []Rung) {
	if s.process == nil {
		return
	}
	s.set(func(n *Snapshot) { n.Phase = Stopping })
	began := time.Now()
	for _, rung := range ladder {
		s.o.Log.Info("stopping the server", "signal", unix.SignalName(rung.Signal))
		// An error means that it has ended; the exit tells.
		_ = s.process.cmd.Process.Signal(rung.Signal)
		var patience <-chan time.Time
		if rung.Patience > 0 {
			patience = time.After(rung.Patience)
		}
		select {
		case err := <-s.process.exit:
			how := s.gone(err)
			s.o.Log.Info("server stopped", "how", how, "after", time.Since(began).Round(time.Millisecond).String())
			s.set(func(n *Snapshot) { n.Phase = Stopped })
			return
		case <-patience:
		}
	}
}

// byHand is the argument with which somebody repairs a data directory in a shell. It is not taken for a leftover: while it
// runs, its lock keeps the server from starting.
const byHand = "--single"

// clearLeftovers waits until no process of a dead server is left, and helps those that stay: they hold the shared memory
// that the next server needs, and may still write to its files. A process that waits for another node does not notice by
// itself that its server died. What even a kill does not end is an error: no server is started beside it.
func (s *Supervisor) clearLeftovers(m Mode) error {
	program := s.o.Command(m).Path
	if resolved, err := filepath.EvalSymlinks(program); err == nil {
		program = resolved
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	began := time.Now()
	for round := 0; ; round++ {
		pids, waited := s.o.Children.Leftovers(s.o.Data, program, byHand), time.Since(began)
		if len(pids) == 0 {
			return nil
		}
		if waited > 2*s.o.Timing.Leftovers {
			return fmt.Errorf("processes %v of a server that died are still there, and cannot be ended", pids)
		}
		signal := unix.SIGQUIT
		if waited > s.o.Timing.Leftovers {
			signal = unix.SIGKILL
		}
		if round > 0 { // at first they may leave by themselves
			s.o.Log.Info("ending processes that a dead server left", "pids", pids, "signal", unix.SignalName(signal))
			for _, pid := range pids {
				_ = unix.Kill(pid, signal)
			}
		}
		<-again.C
	}
}
