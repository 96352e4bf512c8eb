// SPDX-License-Identifier: Apache-2.0

// Package archtest_test keeps the direction of imports: words, pure core, adapters, shells, mains. A room may import
// rooms below it only; the pure ones import nothing that acts.
package archtest_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/antdb-operator/antdb-operator/"

// levels of the house, lowest first. Rooms on one level may import leftwards only where listed in order.
var levels = [][]string{
	{"api/v1alpha1", "internal/antdb", "internal/naming"},
	{"internal/pgconf", "internal/topology", "internal/scram", "internal/roles", "internal/instanceapi", "internal/division", "internal/redistribute", "internal/spec", "internal/operation", "internal/render", "internal/plan"},
	{"internal/kube", "internal/pki", "internal/dbadmin", "internal/instanceapi/instanceclient", "internal/metrics"},
	{"internal/controller", "internal/instance", "internal/cli"},
	{"cmd"},
}

// pure rooms import no client, clock, operating system, network or logger.
var pure = []string{
	"internal/antdb", "internal/naming", "internal/topology", "internal/scram", "internal/roles", "internal/instanceapi", "internal/division", "internal/redistribute", "internal/spec", "internal/pgconf",
	"internal/operation", "internal/render", "internal/plan",
}

// acting are imports that a pure room must not have.
var acting = []string{
	"context", "os", "os/exec", "net", "net/http", "time", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand",
	"database/sql", "github.com/go-logr/logr", "k8s.io/client-go/kubernetes", "sigs.k8s.io/controller-runtime", "github.com/jackc/pgx/v5",
}

type pkg struct {
	ImportPath string   `json:"ImportPath"`
	Imports    []string `json:"Imports"`
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"api/...", module+"internal/...", module+"cmd/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// room finds the level and the place of an import path; the longest name that fits wins.
func room(path string) (name string, level, place int) {
	rest, ours := strings.CutPrefix(path, module)
	if !ours {
		return "", -1, -1
	}
	for l, rooms := range levels {
		for p, r := range rooms {
			if (rest == r || strings.HasPrefix(rest, r+"/")) && len(r) > len(name) {
				name, level, place = r, l, p
			}
		}
	}
	if name == "" {
		return rest, -1, -1
	}
	return name, level, place
}

func TestEveryPackageHasARoom(t *testing.T) {
	for _, p := range packages(t) {
		if name, level, _ := room(p.ImportPath); level < 0 && name != "internal/testkit" && !strings.HasPrefix(name, "internal/testkit/") && name != "internal/archtest" {
			t.Errorf("%s has no room: put it into one, or add it to the levels", name)
		}
	}
}

func TestImportsPointDownwards(t *testing.T) {
	for _, p := range packages(t) {
		from, level, place := room(p.ImportPath)
		if level < 0 {
			continue
		}
		for _, i := range p.Imports {
			to, below, left := room(i)
			switch {
			case below < 0 || to == from:
			case below > level:
				t.Errorf("%s imports %s, which is above it", from, to)
			case below == level && (level > 1 || level == 1 && left > place || level == 0 && to != "internal/antdb"):
				t.Errorf("%s imports %s beside it", from, to)
			}
		}
	}
}

func TestPureRoomsDoNotAct(t *testing.T) {
	for _, p := range packages(t) {
		if from, _, _ := room(p.ImportPath); slices.Contains(pure, from) {
			for _, i := range p.Imports {
				if slices.Contains(acting, i) {
					t.Errorf("%s imports %s", from, i)
				}
			}
		}
	}
}

func TestOnlyDbadminSpeaksToTheDatabase(t *testing.T) {
	for _, p := range packages(t) {
		from, _, _ := room(p.ImportPath)
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "github.com/jackc/pgx/") && from != "internal/dbadmin" {
				t.Errorf("%s imports %s: only internal/dbadmin opens connections", p.ImportPath, i)
			}
		}
	}
}
