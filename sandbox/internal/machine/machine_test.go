// SPDX-License-Identifier: Apache-2.0

package machine_test

import (
	"path/filepath"
	"strings"
	"testing"

	"os"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/machine"
)

func TestASpecIsReadAsItWasWritten(t *testing.T) {
	want := machine.Spec{
		Name: "node1", Stamp: "s", Cgroups: []string{"/c"}, Network: []string{"link set lo up"},
		Sysctl: map[string]string{"a.b": "1"}, Binds: []machine.Bind{{From: "/f", To: "/t"}}, Share: true,
		Daemons: []machine.Daemon{{Name: "d", Command: []string{"/d", "x y"}, Log: "/l", After: "unix:/s"}},
	}
	text, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), machine.SpecFile)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := machine.Read(path)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestAHostIsNotStartedByHand(t *testing.T) {
	if err := machine.Main([]string{"antdb-sandbox-host"}); err == nil || !strings.Contains(err.Error(), "state directory") {
		t.Errorf("error %v, want one that says what is missing", err)
	}
}
