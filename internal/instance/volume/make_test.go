// SPDX-License-Identifier: Apache-2.0

package volume_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/instance/engine"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/instance/volume"
)

// initializer makes data directories of a few files, and fails where a test says.
type initializer struct{ failInit, failAdopt, failControl error }

func (i initializer) InitDB(_ context.Context, data, wal, _ string) error {
	if err := errors.Join(os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "postgresql.conf"), nil, 0o600)); err != nil {
		return err
	}
	if i.failInit != nil {
		return i.failInit
	}
	err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("11\n"), 0o600)
	if wal != "" {
		err = errors.Join(err, os.Mkdir(wal, 0o700), os.Symlink(wal, filepath.Join(data, "pg_wal")))
	}
	return err
}

func (i initializer) Adopt(_ context.Context, data, verifier string) error {
	return errors.Join(i.failAdopt, os.WriteFile(filepath.Join(data, "adopted"), []byte(verifier), 0o600))
}

func (i initializer) Control(context.Context, string) (engine.Control, error) {
	return engine.Control{SystemIdentifier: "7", Timeline: 1}, i.failControl
}

// place is a pair of volumes with a maker for them.
func place(t *testing.T, i initializer) (pod.Launch, pod.Paths, volume.Maker) {
	t.Helper()
	p := pod.Paths{Volume: t.TempDir(), WALVolume: t.TempDir()}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return pod.Launch{Identity: self(), WALVolume: true}, p, volume.Maker{
		Engine: i, Self: self(), Data: p.Data(), WAL: p.WAL(), PasswordFile: password,
		Settings: "/conf/antdb.conf", Log: slog.New(slog.DiscardHandler),
	}
}

func decide(t *testing.T, l pod.Launch, p pod.Paths) volume.Step {
	t.Helper()
	f, err := volume.Observe(l, p, 11)
	if err != nil {
		t.Fatal(err)
	}
	return volume.Decide(f)
}

func TestWhatIsMadeIsRecognised(t *testing.T) {
	l, p, m := place(t, initializer{})
	step, ok := decide(t, l, p).(volume.Make)
	if !ok {
		t.Fatalf("empty volumes: %#v", decide(t, l, p))
	}
	if err := m.Make(context.Background(), step); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(volume.Step(volume.Run{}), decide(t, l, p)); d != "" {
		t.Errorf("step afterwards (-want +got):\n%s", d)
	}
	text, err := os.ReadFile(filepath.Join(p.Data(), "postgresql.conf"))
	if err != nil || string(text) != "include_if_exists = '/conf/antdb.conf'\n" {
		t.Errorf("postgresql.conf %q (%v)", text, err)
	}
}

func TestAFailureAnywhereLeavesSomethingThatIsMadeAgain(t *testing.T) {
	for name, i := range map[string]initializer{
		"initdb":         {failInit: errors.New("no space left")},
		"pg_controldata": {failControl: errors.New("killed")},
	} {
		t.Run(name, func(t *testing.T) {
			l, p, m := place(t, i)
			if err := m.Make(context.Background(), volume.Make{}); err == nil {
				t.Fatal("got no error")
			}
			step, ok := decide(t, l, p).(volume.Make)
			if !ok || len(step.Remove) == 0 {
				t.Fatalf("step %#v, want to make it again", decide(t, l, p))
			}
			m.Engine = initializer{}
			if err := m.Make(context.Background(), step); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(volume.Step(volume.Run{}), decide(t, l, p)); d != "" {
				t.Errorf("step afterwards (-want +got):\n%s", d)
			}
		})
	}
}

func TestAnEmptyPasswordIsRefusedBeforeAnythingIsMade(t *testing.T) {
	_, p, m := place(t, initializer{})
	if err := os.WriteFile(m.PasswordFile, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := m.Make(context.Background(), volume.Make{})
	if err == nil || !strings.Contains(err.Error(), "must not be empty") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(pod.HalfMade(p.Data())); !os.IsNotExist(err) {
		t.Errorf("something was made: %v", err)
	}
}

func TestAVolumeTakesOneManagerAtATime(t *testing.T) {
	folder := t.TempDir()
	release, err := volume.Lock(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := volume.Lock(folder); err == nil || !strings.Contains(err.Error(), "another instance manager") {
		t.Errorf("a second one: %v", err)
	}
	release()
	again, err := volume.Lock(folder)
	if err != nil {
		t.Fatalf("after it was released: %v", err)
	}
	again()
}
