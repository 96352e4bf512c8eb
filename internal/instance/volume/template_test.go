// SPDX-License-Identifier: Apache-2.0

package volume_test

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/instance/engine"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/instance/volume"
	"github.com/antdb-operator/antdb-operator/internal/scram"
)

// controlBytes is where the checksum of a control file of these tests is.
const controlBytes = 296

// controlFile is a control file as initdb writes it: a system identifier, what a test does not look at, a nonce, the
// checksum, and zeros up to its full size.
func controlFile() []byte {
	content := make([]byte, 8192)
	for i := range controlBytes {
		content[i] = byte(i)
	}
	binary.NativeEndian.PutUint32(content[controlBytes:], crc32.Checksum(content[:controlBytes], crc32.MakeTable(crc32.Castagnoli)))
	return content
}

// template is a template made by the right initdb.
func template(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"initdb.options": strings.Join(engine.InitOptions(), " ") + "\n", "PG_VERSION": "11\n", "postgresql.conf": "",
		"global/pg_control": string(controlFile()), "base/1/1259": "rows", "pg_wal/archive_status/.keep": "",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o444)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// made is what came of making a data directory.
type made struct {
	pod.Paths
	next volume.Step
	log  string
}

func makeFrom(t *testing.T, ctx context.Context, template string, i initializer) (made, error) {
	t.Helper()
	l, p, m := place(t, i)
	var words strings.Builder
	m.Template, m.Log = template, slog.New(slog.NewTextHandler(&words, nil))
	err := m.Make(ctx, volume.Make{})
	return made{p, decide(t, l, p), words.String()}, err
}

func TestATemplateIsCopiedAndBecomesTheNodesOwn(t *testing.T) {
	from := template(t)
	controls := map[string]bool{string(controlFile()[:8]): true}
	for range 3 {
		got, err := makeFrom(t, t.Context(), from, initializer{failInit: errors.New("initdb was run")})
		if err != nil || strings.Contains(got.log, "WARN") {
			t.Fatalf("%v\n%s", err, got.log)
		}
		if got.next != volume.Step(volume.Run{}) {
			t.Errorf("step afterwards: %#v", got.next)
		}
		data := got.Data()
		verifier, err := os.ReadFile(filepath.Join(data, "adopted"))
		if err != nil || !scram.Matches(string(verifier), "postgres", "secret") {
			t.Errorf("adopted with %q (%v)", verifier, err)
		}
		rows, err := os.ReadFile(filepath.Join(data, "base/1/1259"))
		if err != nil || string(rows) != "rows" {
			t.Errorf("rows %q (%v)", rows, err)
		}
		if _, err := os.Stat(filepath.Join(got.WAL(), "archive_status")); err != nil {
			t.Errorf("the log's own volume: %v", err)
		}
		if _, err := os.Stat(filepath.Join(data, "initdb.options")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the options came along: %v", err)
		}
		if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("mode %v (%v)", info.Mode(), err)
		}
		control, err := os.ReadFile(filepath.Join(data, "global/pg_control"))
		if err != nil || len(control) != 8192 {
			t.Fatalf("control file of %d bytes (%v)", len(control), err)
		}
		if sum := crc32.Checksum(control[:controlBytes], crc32.MakeTable(crc32.Castagnoli)); sum != binary.NativeEndian.Uint32(control[controlBytes:]) {
			t.Error("the checksum of the control file is wrong")
		}
		if identifier := string(control[:8]); controls[identifier] {
			t.Error("the system identifier is another server's")
		} else {
			controls[identifier] = true
		}
		if nonce := string(control[controlBytes-32 : controlBytes]); nonce == string(controlFile()[controlBytes-32:controlBytes]) {
			t.Error("the nonce is the template's")
		}
		if string(control[8:controlBytes-32]) != string(controlFile()[8:controlBytes-32]) {
			t.Error("something else in the control file was changed")
		}
	}
}

func TestInitdbRunsWhereTheTemplateIsOfNoUse(t *testing.T) {
	broken := func(change func(dir string) error) string {
		dir := template(t)
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	overwrite := func(name, text string) func(dir string) error {
		return func(dir string) error {
			path := filepath.Join(dir, name)
			return errors.Join(os.Remove(path), os.WriteFile(path, []byte(text), 0o444))
		}
	}
	torn := controlFile()
	torn[100]++
	for name, c := range map[string]struct {
		template string
		engine   initializer
		says     string
	}{
		"the image has none":     {},
		"it is not there":        {template: "/nowhere", says: "no such file"},
		"other options":          {template: broken(overwrite("initdb.options", "--locale=de_DE")), says: "--locale=de_DE"},
		"torn control file":      {template: broken(overwrite("global/pg_control", string(torn))), says: "checksum is wrong"},
		"short control file":     {template: broken(overwrite("global/pg_control", "short")), says: "checksum is wrong"},
		"the engine refuses it":  {template: template(t), engine: initializer{failAdopt: errors.New("another version")}, says: "another version"},
		"it lacks its log's dir": {template: broken(func(dir string) error { return os.RemoveAll(filepath.Join(dir, "pg_wal")) }), says: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := makeFrom(t, t.Context(), c.template, c.engine)
			if err != nil {
				t.Fatal(err)
			}
			if got.next != volume.Step(volume.Run{}) {
				t.Errorf("step afterwards: %#v", got.next)
			}
			if _, err := os.Stat(filepath.Join(got.Data(), "base")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something of the template is left: %v", err)
			}
			if !strings.Contains(got.log, c.says) || strings.Contains(got.log, "WARN") != (c.says != "") {
				t.Errorf("the log should say %q:\n%s", c.says, got.log)
			}
		})
	}
}

func TestAPodThatStopsDoesNotBeginAgainWithInitdb(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := makeFrom(t, ctx, template(t), initializer{failAdopt: ctx.Err(), failInit: errors.New("initdb was run")})
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "initdb") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(got.Data()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a data directory: %v", err)
	}
}
