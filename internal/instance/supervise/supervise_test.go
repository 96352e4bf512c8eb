// SPDX-License-Identifier: Apache-2.0

package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/antdb-operator/antdb-operator/internal/instance/enginetest"
	"github.com/antdb-operator/antdb-operator/internal/instance/process"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
)

func TestMain(m *testing.M) {
	enginetest.Main()
	goleak.VerifyTestMain(m)
}

const patience = 10 * time.Second

// rig supervises a fake server.
type rig struct {
	t       *testing.T
	control enginetest.Control
	*supervise.Supervisor
	data, sockets string
	children      *process.Children
	stop          func()

	mu     sync.Mutex
	last   supervise.Snapshot
	failed []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, 300*time.Millisecond)
}

// newRigWith makes a rig in which what a dead server left behind may take some time to leave.
func newRigWith(t *testing.T, leftovers time.Duration) *rig {
	t.Helper()
	base := t.TempDir()
	r := &rig{
		t: t, control: enginetest.Install(t), data: filepath.Join(base, "d"), sockets: filepath.Join(base, "s"),
		children: &process.Children{}, stop: func() {},
	}
	if err := os.Mkdir(r.sockets, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.children.Run(exec.Command("initdb", "-D", r.data, "--nodename", "dn1")); err != nil {
		t.Fatal(err)
	}
	r.write("postgresql.conf", fmt.Sprintf("port = '5432'\nunix_socket_directories = '%s'\n", r.sockets))
	r.Supervisor = supervise.New(supervise.Options{
		Data: r.data, Sockets: r.sockets, Children: r.children, Output: supervise.NewOutput(slog.New(slog.DiscardHandler)),
		Log:     slog.New(slog.DiscardHandler),
		Command: func(m supervise.Mode) *exec.Cmd { return exec.Command("postgres", "--"+string(m), "-D", r.data) },
		Prepare: func(supervise.Mode) error { return nil },
		FailedStart: func(message string, gaveUp bool) bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.failed = append(r.failed, fmt.Sprintf("%s (gave up: %v)", message, gaveUp))
			return false
		},
		StopLadder: func() []supervise.Rung { return supervise.Fast(200 * time.Millisecond) },
		Changed: func(s supervise.Snapshot) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.last = s
		},
		Timing: supervise.Timing{
			FirstBackoff: 10 * time.Millisecond, LastBackoff: 40 * time.Millisecond, Steady: time.Minute, Leftovers: leftovers,
		},
	})
	return r
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.data, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// run supervises and starts the server.
func (r *rig) run() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { r.Run(ctx) })
	reap, endReaper := context.WithCancel(context.Background())
	reaped := make(chan error, 1)
	go func() { reaped <- r.children.Adopt(reap) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			all.Wait()
			endReaper()
			if err := <-reaped; err != nil {
				r.t.Error(err)
			}
		})
	}
	r.t.Cleanup(r.stop)
	if err := r.Start(ctx); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) await(what string, good func(supervise.Snapshot) bool) supervise.Snapshot {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; <-time.After(2 * time.Millisecond) {
		r.mu.Lock()
		s, failed := r.last, r.failed
		r.mu.Unlock()
		if good(s) {
			return s
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain until %s: %+v, failed starts %q, events %q", what, s, failed, r.control.Events())
		}
	}
}

func (r *rig) awaitAccepting() supervise.Snapshot {
	r.t.Helper()
	return r.await("it accepts", func(s supervise.Snapshot) bool { return s.Phase == supervise.Accepting })
}

func TestAServerIsStartedWatchedAndStopped(t *testing.T) {
	r := newRig(t)
	r.run()
	if s := r.awaitAccepting(); s.Starts != 1 || s.LastExit != "" {
		t.Errorf("snapshot %+v", s)
	}
	if err := r.Start(context.Background()); err != nil { // it runs already
		t.Fatal(err)
	}
	r.stop()
	if d := cmp.Diff([]string{"signal interrupt"}, r.control.Signals()); d != "" {
		t.Errorf("signals (-want +got):\n%s", d)
	}
	if err := r.Start(context.Background()); !errors.Is(err, supervise.ErrStopping) {
		t.Errorf("after the end: %v", err)
	}
}

func TestAServerThatDoesNotComeUpIsTriedAgainMoreAndMoreSlowly(t *testing.T) {
	r := newRig(t)
	r.control.On(enginetest.FailStart)
	r.run()
	s := r.await("four starts failed", func(s supervise.Snapshot) bool { return s.Starts >= 4 && s.Phase == supervise.Stopped })
	if want := `exit status 1: could not access file "nosuch": No such file or directory`; s.LastExit != want {
		t.Errorf("last exit %q, want %q", s.LastExit, want)
	}
	r.mu.Lock()
	first := r.failed[0]
	r.mu.Unlock()
	if !strings.HasSuffix(first, "(gave up: true)") {
		t.Errorf("failed start %q", first)
	}
	r.control.Off(enginetest.FailStart)
	r.awaitAccepting()
}

func TestAServerThatIsKilledWhileItStartsDidNotGiveUp(t *testing.T) {
	r := newRig(t)
	r.control.On(enginetest.HangStart)
	r.run()
	if err := syscall.Kill(r.child(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.await("it ended", func(s supervise.Snapshot) bool { return s.LastExit != "" })
	r.control.Off(enginetest.HangStart)
	r.awaitAccepting()
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := cmp.Diff([]string{"signal: killed (gave up: false)"}, r.failed); d != "" {
		t.Errorf("failed starts (-want +got):\n%s", d)
	}
}

// child is the process of the server, which has not written its own file yet.
func (r *rig) child() int {
	r.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(2 * time.Millisecond) {
		entries, _ := filepath.Glob("/proc/[0-9]*")
		for _, e := range entries {
			pid, _ := strconv.Atoi(filepath.Base(e))
			if process.RunsIn(pid, r.data) {
				return pid
			}
		}
	}
	r.t.Fatal("no server process")
	return 0
}

// Before it has installed its handlers, the signal to reload would end a server.
func TestAReloadWaitsUntilTheServerCanTakeIt(t *testing.T) {
	r := newRig(t)
	r.control.On(enginetest.HangStart)
	r.run()
	r.child()
	r.Reload()
	if err := r.Do(context.Background(), func(context.Context, supervise.Control) error { return nil }); err != nil {
		t.Fatal(err)
	}
	<-time.After(20 * time.Millisecond) // the signal would have arrived by now
	r.control.Off(enginetest.HangStart)
	r.awaitAccepting()
	for deadline := time.Now().Add(patience); len(r.control.Events("signal")) == 0; <-time.After(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server never was told to reload")
		}
	}
	if d := cmp.Diff([]string{"signal hangup"}, r.control.Events("signal")); d != "" {
		t.Errorf("signals (-want +got):\n%s", d)
	}
	if s := r.awaitAccepting(); s.Starts != 1 {
		t.Errorf("%d starts", s.Starts)
	}
}

// In a new container the number of a dead server often belongs to something else that is alive.
func TestLocksOfAServerThatIsGoneDoNotKeepTheNextFromStarting(t *testing.T) {
	r := newRig(t)
	alive := strconv.Itoa(os.Getpid()) + "\n"
	r.write("postmaster.pid", alive+r.data+"\n1\n5432\n"+r.sockets+"\n*\n 1 1\nready   \n")
	socketLock := filepath.Join(r.sockets, "deep", ".s.PGSQL.5432.lock")
	if err := errors.Join(os.Mkdir(filepath.Dir(socketLock), 0o700), os.WriteFile(socketLock, []byte(alive), 0o600)); err != nil {
		t.Fatal(err)
	}
	r.run()
	if s := r.awaitAccepting(); s.Starts != 1 {
		t.Errorf("%d starts, want 1", s.Starts)
	}
	if _, err := os.Stat(socketLock); !os.IsNotExist(err) {
		t.Errorf("the lock of the socket is still there: %v", err)
	}
}

func TestWhatADeadServerLeftBehindIsEndedBeforeTheNextOneStarts(t *testing.T) {
	r := newRig(t)
	r.run()
	r.awaitAccepting()
	left := r.leave()
	text, err := os.ReadFile(filepath.Join(r.data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	server, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(server, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.await("it was started again", func(s supervise.Snapshot) bool { return s.Starts == 2 && s.Phase == supervise.Accepting })
	if process.RunsIn(left, r.data) {
		t.Errorf("process %d of the dead server is still there", left)
	}
}

// leave leaves a process of a server that outlives it and does not notice.
func (r *rig) leave() int {
	r.t.Helper()
	out, _, err := r.children.Run(exec.Command("sh", "-c", "{ cd "+r.data+" && trap '' QUIT && exec sleep 60; } >/dev/null 2>&1 & echo $!"))
	if err != nil {
		r.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		r.t.Fatal(err)
	}
	return pid
}

// A server that outlived its instance manager is nobody's orphan here: another process inherited it.
func TestAServerThatSomebodyElseInheritedIsEndedToo(t *testing.T) {
	r := newRig(t)
	other := exec.Command("sh", "-c", "postgres --normal -D "+r.data+" & wait")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- other.Wait() }()
	pidFile := filepath.Join(r.data, "postmaster.pid")
	for deadline := time.Now().Add(patience); ; <-time.After(2 * time.Millisecond) {
		if text, err := os.ReadFile(pidFile); err == nil && strings.Contains(string(text), "ready") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the other server does not come up")
		}
	}
	r.run()
	r.awaitAccepting()
	if err := <-ended; err != nil {
		t.Errorf("the other server: %v", err)
	}
	if d := cmp.Diff([]string{"signal quit"}, r.control.Signals()); d != "" {
		t.Errorf("signals (-want +got):\n%s", d)
	}
}

// What keeps the shared memory of a dead server may still write to its files, so that no lock of it is removed either.
func TestNoServerIsStartedBesideWhatADeadOneLeftBehind(t *testing.T) {
	r := newRigWith(t, time.Nanosecond) // too little to end it
	left := r.leave()
	r.write("postmaster.pid", "1\n"+r.data+"\n1\n5432\n"+r.sockets+"\n*\n 1 1\nready   \n")
	r.run()
	s := r.await("it says what is in the way", func(s supervise.Snapshot) bool { return strings.Contains(s.LastExit, strconv.Itoa(left)) })
	if s.Starts > 0 || s.Phase != supervise.Stopped {
		t.Errorf("started all the same: %+v", s)
	}
	if _, err := os.Stat(filepath.Join(r.data, "postmaster.pid")); err != nil {
		t.Errorf("the lock was removed: %v", err)
	}
	if err := syscall.Kill(left, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.awaitAccepting()
}

func TestAProcedureHasTheServerToItself(t *testing.T) {
	r := newRig(t)
	r.run()
	r.awaitAccepting()
	err := r.Do(context.Background(), func(ctx context.Context, c supervise.Control) error {
		c.Stop(supervise.Immediate())
		c.Start(supervise.Restore)
		if err := c.AwaitAccepting(ctx); err != nil {
			return err
		}
		c.Stop(supervise.Fast(time.Second))
		c.Start(supervise.Normal)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := r.await("it runs as before", func(s supervise.Snapshot) bool { return s.Phase == supervise.Accepting && s.Mode == supervise.Normal })
	if s.Starts != 3 || s.LastExit != "" {
		t.Errorf("snapshot %+v", s)
	}
	if d := cmp.Diff([]string{"signal quit", "signal interrupt"}, r.control.Signals()); d != "" {
		t.Errorf("signals (-want +got):\n%s", d)
	}
}

func TestAProcedureLearnsThatItsServerDidNotComeUp(t *testing.T) {
	r := newRig(t)
	r.run()
	r.awaitAccepting()
	r.control.On(enginetest.FailStart)
	err := r.Do(context.Background(), func(ctx context.Context, c supervise.Control) error {
		c.Stop(supervise.Immediate())
		defer c.Start(supervise.Normal)
		c.Start(supervise.Restore)
		err := c.AwaitAccepting(ctx)
		r.control.Off(enginetest.FailStart)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "could not access file") {
		t.Errorf("got %v", err)
	}
	r.awaitAccepting()
}
