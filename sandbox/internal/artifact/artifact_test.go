// SPDX-License-Identifier: Apache-2.0

package artifact_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
)

func fill(content string) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o644)
	}
}

func TestAnEntryIsMadeOnce(t *testing.T) {
	cache := artifact.Cache{Dir: t.TempDir()}
	var made atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			dir, err := cache.Ensure(t.Context(), "x", "key", func(ctx context.Context, dir string) error {
				made.Add(1)
				return fill("content")(ctx, dir)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if text, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(text) != "content" {
				t.Errorf("entry has %q (%v)", text, err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
}

func TestAFailureLeavesNoEntry(t *testing.T) {
	cache := artifact.Cache{Dir: t.TempDir()}
	broken := errors.New("broken")
	_, err := cache.Ensure(t.Context(), "x", "key", func(ctx context.Context, dir string) error {
		return errors.Join(fill("half")(ctx, dir), broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want the maker's", err)
	}
	if cache.Has("x", "key") {
		t.Error("half an entry counts as one")
	}
}

func TestWhatAKillLeftIsNoEntryAndIsInNobodysWay(t *testing.T) {
	cache := artifact.Cache{Dir: t.TempDir()}
	half := cache.Path("x", "key") + ".new"
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := fill("half")(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	if cache.Has("x", "key") {
		t.Fatal("half an entry counts as one")
	}
	dir, err := cache.Ensure(t.Context(), "x", "key", func(_ context.Context, dir string) error {
		left, err := os.ReadDir(dir)
		if len(left) > 0 {
			t.Errorf("the new entry begins with %v", left)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "file")); !os.IsNotExist(err) {
		t.Error("the half entry's file is in the whole one")
	}
}

func TestKeysTellPartsApart(t *testing.T) {
	seen := map[artifact.Key][]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"a\n1:b"}, {"a", "b"}} {
		key := artifact.KeyOf(parts...)
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have one key", parts, other)
		}
		seen[key] = parts
	}
}

func TestAProgramsKeyIsItsContent(t *testing.T) {
	source := func(files map[string]string) artifact.Program {
		dir := t.TempDir()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return artifact.Program{Name: "p", Source: dir}
	}
	key := func(p artifact.Program, version string) artifact.Key {
		k, err := p.Key(version)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	base := map[string]string{"main.go": "package main", "go.mod": "module p", "sub/x.go": "package x"}
	first := key(source(base), "go1")
	for _, c := range []struct {
		name  string
		files map[string]string
		go2   bool
		same  bool
	}{
		{name: "the same content elsewhere", same: true},
		{name: "another test", files: map[string]string{"main_test.go": "package main"}, same: true},
		{name: "other prose", files: map[string]string{"README.md": "words"}, same: true},
		{name: "other source", files: map[string]string{"sub/x.go": "package y"}},
		{name: "other requirements", files: map[string]string{"go.mod": "module p\nrequire x v1.0.0"}},
		{name: "one file more", files: map[string]string{"new.go": "package main"}},
		{name: "another compiler", go2: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{}
			maps.Copy(files, base)
			maps.Copy(files, c.files)
			version := "go1"
			if c.go2 {
				version = "go2"
			}
			if same := key(source(files), version) == first; same != c.same {
				t.Errorf("same key: %v, want %v", same, c.same)
			}
		})
	}
}
