// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instance/process"
)

const patience = 10 * time.Second

// adopt reaps in the background.
func adopt(t *testing.T, c *process.Children) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Adopt(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("reaper ended with %v", err)
		}
	})
}

func eventually(t *testing.T, what string, good func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !good(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// orphan starts a process whose parent ends at once, and returns its number.
func orphan(t *testing.T, c *process.Children, folder, program string) int {
	t.Helper()
	cmd := exec.Command("sh", "-c", "{ cd "+folder+" && exec "+program+"; } >/dev/null 2>&1 & echo $!")
	out, _, err := c.Run(cmd)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestOrphansAreReapedAndNotTakenFromThoseWhoWait(t *testing.T) {
	c := &process.Children{}
	adopt(t, c)
	var all sync.WaitGroup
	for range 4 { // children of our own, ending all the time
		all.Go(func() {
			for range 10 {
				if _, _, err := c.Run(exec.Command("sh", "-c", "exit 3")); err == nil || !strings.Contains(err.Error(), "exit status 3") {
					t.Errorf("own child: %v, want its exit status", err)
				}
			}
		})
	}
	for range 5 {
		pid := orphan(t, c, "/", "true")
		eventually(t, "the orphan is gone from the process table", func() bool {
			_, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
			return os.IsNotExist(err)
		})
	}
	all.Wait()
}

func TestOrphansAreFoundByTheFolderTheyRunIn(t *testing.T) {
	c := &process.Children{}
	adopt(t, c)
	folder := t.TempDir()
	pid := orphan(t, c, folder, "sleep 60")
	eventually(t, "the orphan is found", func() bool {
		found := c.Leftovers(folder, "", "")
		return len(found) == 1 && found[0] == pid
	})
	if !process.RunsIn(pid, folder) || process.RunsIn(pid, "/") {
		t.Error("the folder is told wrongly")
	}
	if found := c.Leftovers(t.TempDir(), "", ""); len(found) > 0 {
		t.Errorf("in another folder: %v", found)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the orphan is gone", func() bool { return len(c.Leftovers(folder, "", "")) == 0 })
}

func TestProcessesOfTheProgramAreFoundWhoeverTheirParentIs(t *testing.T) {
	c := &process.Children{}
	folder := t.TempDir()
	sleep, err := exec.LookPath("sleep")
	if err == nil {
		sleep, err = filepath.EvalSymlinks(sleep)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The shell is our child and no leftover: it is somewhere else. The two below it are not our children.
	other := exec.Command("sh", "-c", "cd "+folder+"; sleep 60 & cat - & cd /; wait")
	in, err := other.StdinPipe()
	if err == nil {
		err = other.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the shell is somewhere else", func() bool {
		at, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(other.Process.Pid), "cwd"))
		return err == nil && at == "/"
	})
	var found []int
	eventually(t, "it is found", func() bool {
		found = c.Leftovers(folder, sleep, "61")
		return len(found) == 1
	})
	if none := c.Leftovers(folder, "/nothing", "61"); len(none) > 0 {
		t.Errorf("of another program: %v", none)
	}
	if none := c.Leftovers(folder, sleep, "60"); len(none) > 0 {
		t.Errorf("with an argument that spares it: %v", none)
	}
	p, err := os.FindProcess(found[0])
	if err == nil {
		err = errors.Join(p.Kill(), in.Close(), other.Wait())
	}
	if err != nil {
		t.Error(err)
	}
}

func TestAFailedProgramQuotesItsLastWords(t *testing.T) {
	c := &process.Children{}
	_, _, err := c.Run(exec.Command("sh", "-c", "echo first >&2; echo 'no space left' >&2; exit 1"))
	if err == nil || !strings.Contains(err.Error(), "no space left") || strings.Contains(err.Error(), "first") {
		t.Errorf("got %v", err)
	}
	if _, _, err := c.Run(exec.Command("there-is-no-such-program")); err == nil || !strings.Contains(err.Error(), "there-is-no-such-program") {
		t.Errorf("a program that is missing: %v", err)
	}
}
