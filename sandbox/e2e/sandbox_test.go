// SPDX-License-Identifier: Apache-2.0

// Package e2e_test runs the sandbox for real, on this machine, as root, and looks at what it does to the
// machine. It runs only with SANDBOX_E2E=1, because it takes the machine's one place for a sandbox.
package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sandbox is the built program with one state directory.
type sandbox struct {
	t       *testing.T
	program string
	source  string
	state   string
}

// build builds the program and makes sure the cache is warm, so that times below are those of a warm start.
func build(t *testing.T) sandbox {
	t.Helper()
	if os.Getenv("SANDBOX_E2E") != "1" {
		t.Skip("set SANDBOX_E2E=1 to run the sandbox on this machine")
	}
	source, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "sandbox")
	if out, err := exec.CommandContext(t.Context(), "go", "-C", source, "build", "-o", program, "./cmd/sandbox").CombinedOutput(); err != nil {
		t.Fatalf("build sandbox: %v\n%s", err, out)
	}
	s := sandbox{t: t, program: program, source: source, state: filepath.Join(t.TempDir(), "state")}
	s.must("build")
	return s
}

// with is the same program with another state.
func (s sandbox) with(state string) sandbox {
	s.state = state
	return s
}

func (s sandbox) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, s.program, append([]string{"--state", s.state, "--source", s.source}, args...)...)
}

// run runs a verb and returns what it printed.
func (s sandbox) run(args ...string) (string, error) {
	s.t.Helper()
	limit := 4 * time.Minute
	if args[0] == "build" {
		limit = 30 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := s.command(ctx, args...).CombinedOutput()
	s.t.Logf("sandbox %s:\n%s", strings.Join(args, " "), out)
	return string(out), err
}

func (s sandbox) must(args ...string) string {
	s.t.Helper()
	out, err := s.run(args...)
	if err != nil {
		s.t.Fatalf("sandbox %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// refuses wants a verb to fail and to say all of the given words.
func (s sandbox) refuses(words []string, args ...string) {
	s.t.Helper()
	out, err := s.run(args...)
	wantRefusal(s.t, out, err, words)
}

func wantRefusal(t *testing.T, out string, err error, words []string) {
	t.Helper()
	if err == nil {
		t.Fatalf("it was not refused:\n%s", out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Fatalf("the refusal does not say %q:\n%s", w, out)
		}
	}
}

// kubectl runs the sandbox's own kubectl.
func (s sandbox) kubectl(input string, args ...string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.state, "bin", "kubectl"),
		append([]string{"--kubeconfig", filepath.Join(s.state, "kubeconfig"), "--request-timeout=10s"}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// eventually asks kubectl until the answer is the wanted one.
func (s sandbox) eventually(what string, limit time.Duration, want string, args ...string) time.Duration {
	s.t.Helper()
	begin := time.Now()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	last := ""
	for time.Since(begin) < limit {
		if last, _ = s.kubectl("", args...); last == want {
			s.t.Logf("%s after %.1fs", what, time.Since(begin).Seconds())
			return time.Since(begin)
		}
		<-ticker.C
	}
	state, _ := s.kubectl("", "get", "pods,nodes,pvc,pv", "-A", "-o", "wide")
	s.t.Fatalf("%s: not after %s; kubectl %s says %q, want %q\n%s", what, limit, strings.Join(args, " "), last, want, state)
	return 0
}

// nodeReady are the arguments that ask for a node's Ready condition.
func nodeReady(name string) []string {
	return []string{"get", "node", name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`}
}

// podReady are the arguments that ask for a pod's Ready condition.
func podReady(name string) []string {
	return []string{"get", "pod", name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`}
}

// volumePod is a pod with a claim, on the image that every host has.
func volumePod(name, class, node string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %[1]s}
spec:
  storageClassName: %[2]s
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  nodeSelector: {kubernetes.io/hostname: %[3]s}
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: localhost/antdb-sandbox/pause:1
    imagePullPolicy: Never
    volumeMounts: [{name: d, mountPath: /data}]
  volumes: [{name: d, persistentVolumeClaim: {claimName: %[1]s}}]
`, name, class, node)
}
