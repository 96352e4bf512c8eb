// SPDX-License-Identifier: Apache-2.0

package instance_test

import (
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/enginetest"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// sender runs in the place of gc's snapshot sender, with one connection of a node.
func sender(t *testing.T, data string) (node net.Conn, reads *os.File) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if node, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	conn, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	if reads, err = conn.File(); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close() // the file is a copy of it
	cmd := exec.Command("/bin/bash", "-c", `exec -a "postgres: snapshot sender process   " sleep 60`)
	cmd.Dir, cmd.ExtraFiles = data, []*os.File{reads}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = node.Close(); _ = reads.Close() })
	return node, reads
}

func TestAGCThatNoLongerReadsFromItsNodesIsRestarted(t *testing.T) {
	r := newRig(t, antdb.RoleGTM, "gc")
	r.start()
	starts := r.await("the server runs", func(s instanceapi.Status) bool { return s.Accepting }).Starts
	node, reads := sender(t, r.paths.Data())
	send := func() {
		t.Helper()
		if _, err := node.Write([]byte("START_REPLICATION")); err != nil {
			t.Fatal(err)
		}
	}

	// A gc that waits for a node that is not there reads from those that are.
	r.control.On(enginetest.HangSQL)
	r.await("no statement comes back", func(s instanceapi.Status) bool { return s.State == instanceapi.StateWaiting })
	for until := time.Now().Add(2 * stuck); time.Now().Before(until); <-time.After(stuck / 4) {
		send()
		if _, err := reads.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.await("it still waits", func(s instanceapi.Status) bool { return s.State == instanceapi.StateWaiting }); s.Starts != starts {
		t.Fatalf("gc was restarted while it read: %d starts, %d before", s.Starts, starts)
	}

	send() // and now nobody reads
	r.await("the server is started anew", func(s instanceapi.Status) bool { return s.Starts > starts })
}
