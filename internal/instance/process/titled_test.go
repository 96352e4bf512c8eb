// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instance/process"
)

func TestProcessesAreFoundByTitleAndFolder(t *testing.T) {
	here, elsewhere := t.TempDir(), t.TempDir()
	start := func(folder, title string) int {
		t.Helper()
		cmd := exec.Command("/bin/bash", "-c", `exec -a "$1" sleep 60`, "bash", title)
		cmd.Dir = folder
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd.Process.Pid
	}
	wanted := start(here, "postgres: snapshot receiver process   ")
	start(here, "postgres: checkpointer")
	start(elsewhere, "postgres: snapshot receiver process   ")
	var found []process.Process
	var err error
	for deadline := time.Now().Add(patience); len(found) == 0 && time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		if found, err = process.Titled(here, "postgres: snapshot receiver"); err != nil {
			t.Fatal(err)
		}
	}
	if len(found) != 1 || found[0].PID != wanted {
		t.Fatalf("found %+v, wanted process %d of %d", found, wanted, os.Getpid())
	}
	if since := time.Since(found[0].Started); since < -time.Second || since > patience {
		t.Errorf("it was started %s ago", since)
	}
}
