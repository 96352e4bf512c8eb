// SPDX-License-Identifier: Apache-2.0

package recipe_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/image"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/recipe"
)

// shell is an image that holds this machine's shell and nothing else.
func shell(t *testing.T, made ...recipe.Made) recipe.Recipe {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can change into an image")
	}
	libraries, err := exec.CommandContext(t.Context(), "ldd", "/bin/sh").Output()
	if err != nil {
		t.Fatal(err)
	}
	r := recipe.Recipe{
		Out: filepath.Join(t.TempDir(), "out.tar"), Ref: "localhost/sh:1", Made: made,
		Adds:   []image.Add{{Source: "/bin/sh", Target: "/bin/sh"}},
		Config: image.Config{User: "26:27", Env: []string{"GREETING=hello"}},
	}
	for _, path := range regexp.MustCompile(`/\S+`).FindAllString(string(libraries), -1) {
		r.Adds = append(r.Adds, image.Add{Source: path, Target: path})
	}
	return r
}

func TestACommandMakesADirectoryInsideTheImage(t *testing.T) {
	r := shell(t, recipe.Made{Dir: "/db/made", Command: `echo $GREETING from $$ >/db/made/file && echo lost >/dev/null && echo x >/db/made/.hidden`})
	cook(t, r)
	img, err := image.Open(r.Out)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = content.Close() }()
	var names []string
	for archive := tar.NewReader(content); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Uid != 26 || h.Gid != 27 {
			t.Errorf("%s belongs to %d:%d", h.Name, h.Uid, h.Gid)
		}
	}
	if got := strings.Join(names, " "); got != "db/made/ db/made/.hidden db/made/file" {
		t.Errorf("the layer holds %s", got)
	}
	files, err := image.ReadFiles(img, "db/made/file")
	if err != nil || !strings.HasPrefix(files["db/made/file"], "hello from ") {
		t.Errorf("%q (%v)", files, err)
	}
}

func TestWhatACommandMadeIsKeptForTheSameImage(t *testing.T) {
	cache := artifact.Cache{Dir: t.TempDir()}
	make := func(command string) string {
		made, err := shell(t, recipe.Made{Dir: "/made", Command: command}).Make(t.Context(), cache, quiet)
		if err != nil {
			t.Fatal(err)
		}
		return made.Digest.String()
	}
	const differs = "echo $$ >/made/process"
	first := make(differs)
	if again := make(differs); again != first {
		t.Errorf("it was made again: %s, %s", first, again)
	}
	if other := make(differs + " && echo >/made/more"); other == first {
		t.Error("another command got the same")
	}
}

func TestACommandThatFailsIsNamedWithItsWords(t *testing.T) {
	r := shell(t, recipe.Made{Dir: "/made", Command: "echo no room >&2; exit 3"})
	_, err := r.Make(t.Context(), artifact.Cache{Dir: t.TempDir()}, quiet)
	if err == nil || !strings.Contains(err.Error(), "make /made") || !strings.Contains(err.Error(), "no room") {
		t.Errorf("got %v", err)
	}
	for text, want := range map[string]string{"made=x": "/DIR=COMMAND", "/made=": "/DIR=COMMAND", "/made": "/DIR=COMMAND"} {
		if _, err := recipe.ParseMade(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestALinkOfTheImageDoesNotLeadOutOfIt(t *testing.T) {
	r, outside := shell(t, recipe.Made{Dir: "/link/made", Command: "true"}), t.TempDir()
	tree := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(tree, "link")); err != nil {
		t.Fatal(err)
	}
	r.Dirs = []image.Add{{Source: tree, Target: "/"}}
	if _, err := r.Make(t.Context(), artifact.Cache{Dir: t.TempDir()}, quiet); err == nil {
		t.Error("it was made")
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v %v", left, err)
	}
}
