// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLifeOfASandbox goes once through everything that happens to a sandbox, in one order, because each
// start costs seconds and there can be only one at a time.
func TestLifeOfASandbox(t *testing.T) {
	s := build(t)
	other := s.with(filepath.Join(t.TempDir(), "other"))
	before := takePicture(t)
	t.Cleanup(func() {
		for _, each := range []sandbox{s, other} {
			if out, err := each.run("down", "--purge"); err != nil {
				t.Errorf("take down: %v\n%s", err, out)
			}
		}
	})
	for _, step := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"a warm start", func(t *testing.T) { startsWarm(t, s) }},
		{"a second up changes nothing", func(t *testing.T) { upTwice(t, s) }},
		{"two at once wait for each other", func(t *testing.T) { upAtOnce(t, s) }},
		{"a pod gets its volume, which grows and goes", func(t *testing.T) { volumes(t, s) }},
		{"a live sandbox of another state is named and refused", func(t *testing.T) { foreign(t, s, other) }},
		{"a daemon that ends is started again", func(t *testing.T) { daemonReturns(t, s) }},
		{"a host is lost and returns", func(t *testing.T) { powerCycle(t, s) }},
		{"a host is cut off and joins again", func(*testing.T) { cutAndJoin(s) }},
		{"up repairs a sandbox that was killed", func(t *testing.T) { repairs(t, s) }},
		{"up goes on after an up that was killed", func(t *testing.T) { interrupted(t, s) }},
		{"hosts come and go", func(t *testing.T) { resize(t, s) }},
		{"up cleans what a dead sandbox of another state left", func(t *testing.T) { takesOver(t, s, other) }},
		{"down leaves nothing", func(t *testing.T) { leavesNothing(t, s, other, before) }},
	} {
		passed := t.Run(step.name, func(t *testing.T) {
			s.t, other.t = t, t
			step.test(t)
		})
		s.t, other.t = t, t
		if !passed {
			t.FailNow() // the next step would only tell of this one's failure
		}
	}
}

func startsWarm(t *testing.T, s sandbox) {
	s.must("up") // installs packages on a fresh machine
	s.must("down", "--purge")
	begin := time.Now()
	out := s.must("up", "--hosts", "2")
	t.Logf("up took %s\n%s", time.Since(begin), out) // how long is for a person to judge: machines differ
	s.must("status")
	for _, name := range []string{"kubectl", "etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(s.state, "bin", name)); err != nil {
			t.Errorf("program %s: %v", name, err)
		}
	}
	hosts, err := s.kubectl("", "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[*].spec.nodeName}")
	if names := strings.Fields(hosts); err != nil || len(names) != 2 || names[0] == names[1] {
		t.Errorf("DNS runs on %q (%v), want two replicas on two hosts", hosts, err)
	}
}

func upTwice(t *testing.T, s sandbox) {
	pids := firstProcesses(t, s.state)
	out := s.must("up")
	if !strings.Contains(out, "0 of 3 hosts started") {
		t.Errorf("the second up started hosts:\n%s", out)
	}
	if diff := cmp.Diff(pids, firstProcesses(t, s.state)); diff != "" {
		t.Errorf("hosts changed (-before +after):\n%s", diff)
	}
}

func upAtOnce(t *testing.T, s sandbox) {
	pids := firstProcesses(t, s.state)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if out, err := s.run("up"); err != nil {
				t.Errorf("up: %v\n%s", err, out)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff(pids, firstProcesses(t, s.state)); diff != "" {
		t.Errorf("hosts changed (-before +after):\n%s", diff)
	}
}

func volumes(t *testing.T, s sandbox) {
	for _, class := range []string{"local", "local-fixed"} {
		if out, err := s.kubectl(volumePod(class, class, "node2"), "apply", "-f", "-"); err != nil {
			t.Fatalf("apply: %v\n%s", err, out)
		}
	}
	s.eventually("pod with a volume", 30*time.Second, "True", podReady("local")...)
	s.eventually("pod with a fixed volume", 30*time.Second, "True", podReady("local-fixed")...)
	volume, err := s.kubectl("", "get", "pvc", "local", "-o", "jsonpath={.spec.volumeName}")
	if err != nil {
		t.Fatal(volume)
	}
	dir := filepath.Join(s.state, "volumes", "node2", volume)
	if err := os.WriteFile(filepath.Join(dir, "kept"), []byte("x"), 0o644); err != nil {
		t.Fatalf("the volume's files are not where they belong: %v", err)
	}
	const grow = `{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}`
	if out, err := s.kubectl("", "patch", "pvc", "local", "-p", grow); err != nil {
		t.Fatalf("grow: %v\n%s", err, out)
	}
	s.eventually("claim has grown", 10*time.Second, "2Gi", "get", "pvc", "local", "-o", "jsonpath={.status.capacity.storage}{.status.conditions}")
	s.eventually("volume has grown", 10*time.Second, "2Gi", "get", "pv", volume, "-o", "jsonpath={.spec.capacity.storage}")
	if out, err := s.kubectl("", "patch", "pvc", "local-fixed", "-p", grow); err == nil || !strings.Contains(out, "forbidden") {
		t.Errorf("a class without expansion let a claim grow: %v\n%s", err, out)
	}
	if out, err := s.kubectl("", "delete", "pod/local-fixed", "pvc/local-fixed"); err != nil {
		t.Fatalf("delete: %v\n%s", err, out)
	}
	s.eventually("volume is gone", 20*time.Second, volume, "get", "pv", "-o", "jsonpath={.items[*].metadata.name}")
	if left, err := os.ReadDir(filepath.Join(s.state, "volumes", "node2")); err != nil || len(left) != 1 {
		t.Errorf("volumes of node2: %v, %v; want the one that is still claimed", left, err)
	}
}

func foreign(t *testing.T, s, other sandbox) {
	other.refuses([]string{"another sandbox is up", s.state}, "up")
	other.refuses([]string{"not up", s.state}, "status")
	other.refuses([]string{"no host switched on"}, "load", imageTar(t, other))
	other.refuses([]string{s.state}, "host", "kill", "node1")
	if out := other.must("down"); !strings.Contains(out, s.state) {
		t.Errorf("down does not name the sandbox it leaves alone:\n%s", out)
	}
	s.must("status")
}

func daemonReturns(t *testing.T, s sandbox) {
	log := filepath.Join(s.state, "hosts", "node1", "log", "kubelet.log")
	killDaemon(t, "kubelet", "node1")
	deadline := time.Now().Add(20 * time.Second)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		text, err := os.ReadFile(log)
		if err == nil && strings.Count(string(text), "starting kubelet\n") > 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("kubelet was not started again: %v\n%s", err, text)
		}
		<-ticker.C
	}
	s.eventually("node1 is Ready", 20*time.Second, "True", nodeReady("node1")...)
}

func powerCycle(t *testing.T, s sandbox) {
	before := restarts(t, s)
	s.must("host", "kill", "node2")
	s.must("host", "kill", "node2") // harmless
	s.refuses([]string{"node2", "off"}, "status")
	lost := s.eventually("node2 is lost", 40*time.Second, "Unknown", nodeReady("node2")...)
	if lost < 10*time.Second {
		t.Errorf("node2 was lost after %s: too fast for a grace period of 20 s", lost)
	}
	s.must("host", "start", "node2")
	if back := s.eventually("node2 is back", 30*time.Second, "True", nodeReady("node2")...); back > 15*time.Second {
		t.Errorf("node2 was back only after %s", back)
	}
	backAfter(t, s, before)
	s.must("status")
}

func cutAndJoin(s sandbox) {
	s.must("host", "cut", "node2")
	s.refuses([]string{"node2", "cut"}, "status")
	s.eventually("node2 is cut off", 40*time.Second, "Unknown", nodeReady("node2")...)
	s.must("host", "join", "node2")
	s.eventually("node2 is back", 20*time.Second, "True", nodeReady("node2")...)
	s.must("status")
}

func repairs(t *testing.T, s sandbox) {
	before := restarts(t, s)
	killAll(t, s.state)
	s.refuses([]string{"not up"}, "status")
	out := s.must("up")
	if !strings.Contains(out, "3 of 3 hosts started") {
		t.Errorf("up did not start all hosts:\n%s", out)
	}
	s.must("status")
	backAfter(t, s, before)
	volume, err := s.kubectl("", "get", "pvc", "local", "-o", "jsonpath={.spec.volumeName}")
	if err != nil {
		t.Fatal(volume)
	}
	if _, err := os.Stat(filepath.Join(s.state, "volumes", "node2", volume, "kept")); err != nil {
		t.Errorf("the volume lost its file: %v", err)
	}
}

// restarts is how often the pod's container has been started again.
func restarts(t *testing.T, s sandbox) int {
	t.Helper()
	out, err := s.kubectl("", "get", "pod", "local", "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
	n, parsed := strconv.Atoi(out)
	if err != nil || parsed != nil {
		t.Fatalf("restarts of the pod: %q, %v", out, err)
	}
	return n
}

// backAfter waits until the pod's container runs again. Its Ready condition alone may be from before.
func backAfter(t *testing.T, s sandbox, before int) {
	t.Helper()
	s.eventually("the pod is back", 60*time.Second, fmt.Sprintf("%d true", before+1), "get", "pod", "local", "-o",
		"jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}")
}

// interrupted kills up itself at several moments of a start; the next one must go on from there.
func interrupted(t *testing.T, s sandbox) {
	for _, after := range []time.Duration{30 * time.Millisecond, 120 * time.Millisecond, 400 * time.Millisecond, 3 * time.Second} {
		s.must("down")
		ctx, cancel := context.WithTimeout(t.Context(), after)
		out, err := s.command(ctx, "up").CombinedOutput() // killed at the end of ctx
		cancel()
		t.Logf("killed after %s (%v):\n%s", after, err, out)
	}
	s.must("up")
	s.must("status")
}

func resize(t *testing.T, s sandbox) {
	s.must("up", "--hosts", "3")
	s.eventually("node3 is Ready", 10*time.Second, "True", nodeReady("node3")...)
	if out := s.must("up", "--hosts", "2"); !strings.Contains(out, "node3 switched off") {
		t.Errorf("up does not say that it switched a host off:\n%s", out)
	}
	s.eventually("node3 is forgotten", 10*time.Second, "node1 node2", "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")
	s.must("status")
}

func takesOver(t *testing.T, s, other sandbox) {
	killAll(t, s.state)
	out := other.must("up", "--hosts", "1")
	if !strings.Contains(out, "removed what the dead sandbox of "+s.state+" left") {
		t.Errorf("up does not say what it cleaned:\n%s", out)
	}
	other.must("status")
	s.refuses([]string{"another sandbox is up", other.state}, "up")
}

func leavesNothing(t *testing.T, s, other sandbox, before picture) {
	other.must("down")
	if _, err := os.Stat(filepath.Join(other.state, "hosts")); err != nil {
		t.Errorf("down without purge removed the state: %v", err)
	}
	other.must("down", "--purge")
	s.must("down", "--purge")
	for _, state := range []string{s.state, other.state} {
		if _, err := os.Stat(state); !os.IsNotExist(err) {
			t.Errorf("state %s is still there (%v)", state, err)
		}
	}
	if diff := cmp.Diff(before, takePicture(t)); diff != "" {
		t.Errorf("the machine is not as it was (-before +after):\n%s", diff)
	}
}
