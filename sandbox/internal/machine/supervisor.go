// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	firstPause = 200 * time.Millisecond
	longest    = 10 * time.Second
	settled    = 30 * time.Second // after this long a daemon's next end counts as its first again
	logLimit   = 32 << 20
)

// supervisor starts daemons and learns of their end. One place waits for all children: PID 1 also gets
// processes it never started, and two waiters would steal each other's children.
type supervisor struct {
	mu      sync.Mutex // held over fork and registration, so that no child ends unregistered
	waiting map[int]chan syscall.WaitStatus
}

func newSupervisor() *supervisor { return &supervisor{waiting: map[int]chan syscall.WaitStatus{}} }

// reap collects every child that ends.
func (s *supervisor) reap(ctx context.Context) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	for {
		s.collect()
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *supervisor) collect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if c, ok := s.waiting[pid]; ok {
			delete(s.waiting, pid)
			c <- status
		}
	}
}

// keep runs a daemon for ever, pausing longer and longer while it keeps ending soon.
func (s *supervisor) keep(ctx context.Context, d Daemon) {
	for pause := firstPause; ctx.Err() == nil; {
		if d.After != "" {
			await(ctx, d.After)
		}
		began := time.Now()
		s.once(d)
		if time.Since(began) > settled {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// once runs a daemon until it ends, and writes start and end into its log.
func (s *supervisor) once(d Daemon) {
	log, err := openLog(d.Log)
	if err != nil {
		return // the disk is full or gone; the next round may find it again
	}
	defer func() { _ = log.Close() }()
	note(log, "starting %s", d.Name)
	ended, err := s.start(d, log)
	if err != nil {
		note(log, "%s does not start: %s", d.Name, err)
		return
	}
	status := <-ended
	if status.Signaled() {
		note(log, "%s ended by signal %s", d.Name, status.Signal())
		return
	}
	note(log, "%s ended with code %d", d.Name, status.ExitStatus())
}

func (s *supervisor) start(d Daemon, log *os.File) (<-chan syscall.WaitStatus, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	s.mu.Lock()
	defer s.mu.Unlock()
	pid, err := syscall.ForkExec(d.Command[0], d.Command, &syscall.ProcAttr{
		Env:   []string{"PATH=" + Path, "GOGC=" + collect},
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	s.waiting[pid] = ended
	return ended, nil
}

// collect lets the heaps of the daemons, which are small beside the machine, grow to four times what is used before garbage
// is collected: while a cluster is made, collecting takes a fifth of the daemons' processor time otherwise.
const collect = "300"

// Path is where the programs of a host find others.
const Path = "/usr/sbin:/usr/bin:/sbin:/bin"

// openLog opens a daemon's log; a long one is put aside first, so that a daemon in trouble cannot fill the disk.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		_ = os.Rename(path, path+".old")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
}

func note(log *os.File, format string, args ...any) {
	_, _ = fmt.Fprintf(log, "--- %s %s\n", time.Now().UTC().Format(time.RFC3339), fmt.Sprintf(format, args...))
}

// await waits until somebody answers at the address.
func await(ctx context.Context, address string) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !answers(ctx, address) {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// answers tries once. A host that is cut off gets no answer at all, hence the limits.
func answers(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if strings.HasPrefix(address, "https:") {
		return healthy(ctx, address)
	}
	network, where, _ := strings.Cut(address, ":")
	conn, err := (&net.Dialer{}).DialContext(ctx, network, where)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// healthy asks a server of the sandbox for a page that means it is ready. Who answers does not matter here,
// so its certificate is not checked.
func healthy(ctx context.Context, url string) bool {
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
