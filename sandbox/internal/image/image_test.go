// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/image"
)

func TestParseAdd(t *testing.T) {
	for text, want := range map[string]image.Add{
		"a:/b":      {Source: "a", Target: "/b"},
		"a:/b:0755": {Source: "a", Target: "/b", Mode: 0o755},
	} {
		if got, err := image.ParseAdd(text); err != nil || got != want {
			t.Errorf("ParseAdd(%q) = %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "a", "a:b", ":/b", "a:/b:rwx", "a:/b:99999", "a:/b:0:0"} {
		if _, err := image.ParseAdd(bad); err == nil {
			t.Errorf("ParseAdd(%q) is accepted", bad)
		}
	}
}

func TestShortNamesAreNamesOnDockersHub(t *testing.T) {
	for ref, want := range map[string]string{
		"postgres:15":         "docker.io/library/postgres:15",
		"antdb/engine:1":      "docker.io/antdb/engine:1",
		"localhost/engine:1":  "localhost/engine:1",
		"registry:5000/x:1":   "registry:5000/x:1",
		"registry.example/x":  "registry.example/x",
		"localhost/a/b/c:tag": "localhost/a/b/c:tag",
	} {
		if got := image.FullName(ref); got != want {
			t.Errorf("FullName(%s) = %s, want %s", ref, got, want)
		}
	}
}

// write makes an image of one layer with one file.
func write(t *testing.T, text string) (path string, layer v1.Hash) {
	t.Helper()
	dir := t.TempDir()
	if err := image.WriteFiles(filepath.Join(dir, "layer.tar"), map[string]string{"/file": text}); err != nil {
		t.Fatal(err)
	}
	l, err := image.FromTar(filepath.Join(dir, "layer.tar"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.New(nil, []v1.Layer{l}, image.Config{})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "image.tar")
	if err := image.Write(path, "localhost/x:1", img); err != nil {
		t.Fatal(err)
	}
	layer, err = l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return path, layer
}

func TestACopyLeavesOutExactlyTheBlobsThatAreThere(t *testing.T) {
	path, layer := write(t, strings.Repeat("content", 1000))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var same, less bytes.Buffer
	if err := image.CopyWithout(&same, bytes.NewReader(whole), map[string]bool{"sha256:other": true}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole, same.Bytes()) {
		t.Error("a copy without anything left out differs")
	}
	if err := image.CopyWithout(&less, bytes.NewReader(whole), map[string]bool{layer.String(): true}); err != nil {
		t.Fatal(err)
	}
	if less.Len() > len(whole)-7000 || bytes.Contains(less.Bytes(), []byte("contentcontent")) {
		t.Errorf("the copy has %d of %d bytes", less.Len(), len(whole))
	}
	rest := filepath.Join(t.TempDir(), "rest.tar")
	if err := os.WriteFile(rest, less.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := image.Contents(path)
	if err != nil {
		t.Fatal(err)
	}
	after, err := image.Contents(rest)
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("contents of the copy: %v\n%s", err, diff)
	}
}

func TestOtherFilesAreNoImages(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain.tar")
	if err := image.WriteFiles(plain, map[string]string{"/a": "b"}); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{plain, text, filepath.Join(dir, "nothing")} {
		if found, err := image.Contents(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Contents(%s) = %v, %v; want an error that names it", path, found, err)
		}
	}
}
