// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// supervise runs daemons until the test ends. This test process then waits for its children as PID 1 does.
func supervise(t *testing.T, daemons ...Daemon) {
	t.Helper()
	s := newSupervisor()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.reap(ctx)
	}()
	for _, d := range daemons {
		go s.keep(ctx, d)
	}
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// eventually reads the log until it has what is wanted.
func eventually(t *testing.T, log string, want func(text string) bool) string {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		text, err := os.ReadFile(log)
		if err == nil && want(string(text)) {
			return string(text)
		}
		if time.Now().After(deadline) {
			t.Fatalf("log %s after 10 s (%v):\n%s", log, err, text)
		}
		<-ticker.C
	}
}

func TestADaemonThatEndsIsStartedAgainEachTimeLater(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log", "x.log")
	begin := time.Now()
	supervise(t, Daemon{Name: "x", Command: []string{"/bin/sh", "-c", "echo hello; exit 3"}, Log: log})
	text := eventually(t, log, func(text string) bool { return strings.Count(text, "hello") >= 3 })
	if !strings.Contains(text, "x ended with code 3") {
		t.Errorf("the log does not tell how it ended:\n%s", text)
	}
	if took := time.Since(begin); took < firstPause+2*firstPause {
		t.Errorf("three starts in %s: the pauses do not grow", took)
	}
}

func TestALogTellsOfASignalAndOfAProgramThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	killed, absent := filepath.Join(dir, "killed.log"), filepath.Join(dir, "absent.log")
	supervise(t,
		Daemon{Name: "killed", Command: []string{"/bin/sh", "-c", "kill -9 $$"}, Log: killed},
		Daemon{Name: "absent", Command: []string{"/nowhere/absent"}, Log: absent})
	eventually(t, killed, func(text string) bool { return strings.Contains(text, "killed ended by signal killed") })
	eventually(t, absent, func(text string) bool { return strings.Contains(text, "absent does not start: no such file") })
}

func TestADaemonWaitsForWhatItNeeds(t *testing.T) {
	dir := t.TempDir()
	socket, log := filepath.Join(dir, "s"), filepath.Join(dir, "x.log")
	supervise(t, Daemon{Name: "x", Command: []string{"/bin/sh", "-c", "test -S " + socket + " && echo found"}, Log: log, After: "unix:" + socket})
	if answers(t.Context(), "unix:"+socket) {
		t.Fatal("a socket that is not there answers")
	}
	if _, err := os.Stat(log); err == nil {
		t.Fatal("the daemon did not wait")
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	eventually(t, log, func(text string) bool { return strings.Contains(text, "found") })
}

func TestAPageAnswersWhenItIsFound(t *testing.T) {
	ready := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-ready:
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer server.Close()
	if answers(t.Context(), server.URL) {
		t.Error("a server that refuses counts as ready")
	}
	close(ready)
	if !answers(t.Context(), server.URL) {
		t.Error("a ready server does not count")
	}
}

func TestALongLogIsPutAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, logLimit+1); err != nil {
		t.Fatal(err)
	}
	f, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("the log goes on with %d bytes (%v)", info.Size(), err)
	}
	if _, err := os.Stat(path + ".old"); err != nil {
		t.Errorf("the old log is lost: %v", err)
	}
}
