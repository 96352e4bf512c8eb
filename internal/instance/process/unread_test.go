// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instance/process"
)

func TestBytesThatNobodyReadsAreCounted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	await := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
			waiting, err := process.Unread(os.Getpid())
			if err != nil {
				t.Fatal(err)
			}
			if want == 0 && len(waiting) == 0 {
				return
			}
			for _, n := range waiting {
				if n == want {
					return
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("unread are %v, wanted %d", waiting, want)
			}
		}
	}
	await(0)
	if _, err := out.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	await(5)
	if _, err := io.ReadFull(in, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	await(0)
}
