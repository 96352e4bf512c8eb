// SPDX-License-Identifier: Apache-2.0

package recipe_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/image"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/recipe"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/rootfs"
)

func quiet(string, ...any) {}

func file(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func cook(t *testing.T, r recipe.Recipe) recipe.Result {
	t.Helper()
	made, err := r.Make(t.Context(), artifact.Cache{Dir: t.TempDir()}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// tool is an image of one program in a new directory, written at the given time.
func tool(t *testing.T, program string, at time.Time) recipe.Recipe {
	t.Helper()
	dir := t.TempDir()
	path := file(t, dir, "tool", program)
	tree := filepath.Join(dir, "tree")
	for _, f := range []string{file(t, dir, "tree/b", "b"), file(t, dir, "tree/a/c", "c"), file(t, dir, "tree/x.a", "no"), path} {
		if err := os.Chtimes(f, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return recipe.Recipe{
		Out: filepath.Join(dir, "out", "tool.tar"), Ref: "localhost/tool:1",
		Exclude: []string{"/opt/*.a"},
		Dirs:    []image.Add{{Source: tree, Target: "/opt"}},
		Adds:    []image.Add{{Source: path, Target: "/bin/tool", Mode: 0o755}},
		Config:  image.Config{Entrypoint: []string{"/bin/tool"}, User: "26:26", Env: []string{"A=b"}},
	}
}

func TestTheSameFilesGiveTheSameImage(t *testing.T) {
	a, b := tool(t, "one", time.Unix(1e9, 0)), tool(t, "one", time.Unix(2e9, 0))
	if diff := cmp.Diff(cook(t, a), cook(t, b)); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	texts := [2][]byte{}
	for i, r := range []recipe.Recipe{a, b} {
		var err error
		if texts[i], err = os.ReadFile(r.Out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(texts[0], texts[1]) {
		t.Error("the tars differ")
	}
}

func TestAChangedProgramChangesTheLastLayerOnly(t *testing.T) {
	var layers [2][]string
	for i, program := range []string{"one", "two"} {
		r := tool(t, program, time.Unix(1e9, 0))
		cook(t, r)
		layers[i] = digests(t, r.Out)
	}
	if len(layers[0]) != 2 || layers[0][0] != layers[1][0] || layers[0][1] == layers[1][1] {
		t.Errorf("layers %v and %v", layers[0], layers[1])
	}
}

// digests are those of the layers in a tar, compared with their content.
func digests(t *testing.T, path string) []string {
	t.Helper()
	img, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, l := range layers {
		want, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		content, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := v1.SHA256(content)
		if err != nil || got != want {
			t.Errorf("layer %s has the content of %s (%v)", want, got, err)
		}
		all = append(all, want.String())
		_ = content.Close()
	}
	return all
}

func TestTheTarIsAnOCILayoutAndADockerArchive(t *testing.T) {
	r := tool(t, "one", time.Unix(1e9, 0))
	cook(t, r)
	oci, err := image.Open(r.Out)
	if err != nil {
		t.Fatal(err)
	}
	docker, err := tarball.ImageFromPath(r.Out, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, img := range map[string]v1.Image{"OCI": oci, "Docker": docker} {
		if err := validate.Image(img, validate.Fast); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"/bin/tool"}, config.Config.Entrypoint); diff != "" || config.Config.User != "26:26" {
			t.Errorf("%s: configuration %+v", name, config.Config)
		}
	}
	found, err := image.Contents(r.Out)
	if err != nil || len(found) != 1 || !strings.HasPrefix(found["localhost/tool:1"], "sha256:") {
		t.Errorf("contents %v, %v", found, err)
	}
}

func TestFilesAreWhereTheyBelong(t *testing.T) {
	r := tool(t, "one", time.Unix(1e9, 0))
	cook(t, r)
	img, err := image.Open(r.Out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := image.ReadFiles(img, "bin/tool", "opt/b", "opt/a/c", "opt/x.a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"bin/tool": "one", "opt/b": "b", "opt/a/c": "c"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestAnImageOnABaseSharesItsLayersAndKeepsItsConfiguration(t *testing.T) {
	base := tool(t, "one", time.Unix(1e9, 0))
	cook(t, base)
	dir := t.TempDir()
	r := recipe.Recipe{
		Out: filepath.Join(dir, "x.tar"), Ref: "localhost/x:1", Base: base.Out,
		Accounts: []rootfs.Account{{Name: "db", UID: 26, GID: 26, Home: "/db"}},
		Adds:     []image.Add{{Source: file(t, dir, "new", "new"), Target: "/new"}},
		Config:   image.Config{WorkingDir: "/db"},
	}
	cook(t, r)
	if diff := cmp.Diff(digests(t, base.Out), digests(t, r.Out)[:2]); diff != "" {
		t.Errorf("layers of the base (-want +got):\n%s", diff)
	}
	img, err := image.Open(r.Out)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img, validate.Fast); err != nil {
		t.Error(err)
	}
	files, err := image.ReadFiles(img, "etc/passwd", "bin/tool", "new")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"etc/passwd": "db:x:26:26::/db:/bin/sh\n", "bin/tool": "one", "new": "new"}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	config, err := img.ConfigFile()
	if err != nil || config.Config.WorkingDir != "/db" || config.Config.Entrypoint[0] != "/bin/tool" {
		t.Errorf("configuration %+v (%v)", config.Config, err)
	}
}

func TestABaseMayBeATarOrADirectory(t *testing.T) {
	dir := t.TempDir()
	file(t, dir, "root/etc/os-release", "ID=x")
	tree := filepath.Join(dir, "root")
	tarred := filepath.Join(dir, "root.tar")
	if err := image.WriteTar(tarred, []image.Add{{Source: tree, Target: "/"}}, nil); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{tree, tarred} {
		r := recipe.Recipe{Out: filepath.Join(dir, "x.tar"), Ref: "localhost/x:1", Base: base}
		cook(t, r)
		img, err := image.Open(r.Out)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := image.ReadFiles(img, "etc/os-release"); err != nil || got["etc/os-release"] != "ID=x" {
			t.Errorf("base %s: %v, %v", base, got, err)
		}
	}
}

func TestWhatCannotBeMadeNamesItsCause(t *testing.T) {
	dir := t.TempDir()
	for want, r := range map[string]recipe.Recipe{
		"/nowhere":         {Adds: []image.Add{{Source: "/nowhere", Target: "/x"}}},
		"not a directory":  {Dirs: []image.Add{{Source: file(t, dir, "f", ""), Target: "/x"}}},
		"neither an image": {Base: file(t, dir, "base", "no tar at all, but long enough to be looked at")},
		"begin with /":     {Exclude: []string{"usr/*"}},
	} {
		r.Out, r.Ref = filepath.Join(dir, "out.tar"), "localhost/x:1"
		if _, err := r.Make(t.Context(), artifact.Cache{Dir: t.TempDir()}, quiet); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*.mkimage*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if _, err := os.Stat(r.Out); !os.IsNotExist(err) {
			t.Errorf("%q: there is an image all the same", want)
		}
	}
}
