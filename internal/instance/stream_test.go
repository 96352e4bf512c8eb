// SPDX-License-Identifier: Apache-2.0

package instance_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// gcAt is gc's pod while its server accepts connections.
func gcAt(ip string) *corev1.Pod {
	p := aPod("demo-gc-1", ip)
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.Labels[naming.LabelRole], p.Labels[naming.LabelAccepting] = string(antdb.RoleGTM), "true"
	return p
}

func TestAStreamFromAGCThatIsGoneIsEnded(t *testing.T) {
	r := newRig(t, antdb.RoleDatanode, "dn1")
	r.k.pods = append(r.k.pods, *gcAt("192.0.2.7"))
	r.start()
	r.awaitServing()
	r.eventually("the pods are watched", func() bool { r.k.mu.Lock(); defer r.k.mu.Unlock(); return r.k.events != nil })
	stream := exec.Command("/bin/bash", "-c", `exec -a "postgres: snapshot receiver process   " sleep 60`)
	stream.Dir = r.paths.Data()
	if err := stream.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = stream.Wait() }()
	t.Cleanup(func() { _ = stream.Process.Kill(); <-ended })

	r.k.events.Modify(gcAt("192.0.2.7"))
	r.k.events.Modify(gcAt("192.0.2.8")) // the stream is young: it may lead there already
	r.eventually("the new address is let in", func() bool {
		return strings.Contains(r.read(filepath.Join(r.paths.State(), "pg_hba.conf")), "192.0.2.8/32 trust")
	})
	select {
	case <-ended:
		t.Fatal("a young stream was ended")
	case <-time.After(stale + stale/2): // the kernel tells when a process began to a hundredth of a second only
	}
	r.k.events.Modify(gcAt("192.0.2.9"))
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the stream from the gc that is gone was not ended")
	}
}
