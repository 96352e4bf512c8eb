// SPDX-License-Identifier: Apache-2.0

// Package recipe makes an image from a description: a base, accounts, directories, files, configuration.
// It puts what changes seldom into lower layers, so that a changed program alone is loaded again.
package recipe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/image"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/rootfs"
)

// Recipe is one image. At most one of Base and Debian is given; with none the image starts from nothing.
type Recipe struct {
	Out      string
	Ref      string
	Base     string         // tar of a root file system, directory, or tar of an image
	Debian   *rootfs.Debian // packages
	Exclude  []string       // patterns of paths that are left out, of the base and of what is added
	Accounts []rootfs.Account
	Dirs     []image.Add // each a layer of its own
	Adds     []image.Add // one layer together
	Made     []Made      // each a layer of its own, on all others
	Config   image.Config
}

// Result is what was made.
type Result struct {
	Digest   v1.Hash
	Layers   int
	Unpacked int64
}

// kitchen is a recipe while it is made.
type kitchen struct {
	Recipe
	cache   artifact.Cache
	exclude rootfs.Globs
	dir     string // for layers that are not cached
	layers  []v1.Layer
	base    v1.Image
}

// Make writes the image. told hears of steps that take long.
func (r Recipe) Make(ctx context.Context, cache artifact.Cache, told func(format string, args ...any)) (Result, error) {
	exclude, err := rootfs.ParseGlobs(r.Exclude)
	if err != nil {
		return Result{}, err
	}
	if err := os.MkdirAll(filepath.Dir(r.Out), 0o755); err != nil {
		return Result{}, fmt.Errorf("make directory of image: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(r.Out), ".mkimage-")
	if err != nil {
		return Result{}, fmt.Errorf("make working directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	k := &kitchen{Recipe: r, cache: cache, exclude: exclude, dir: dir}
	for _, step := range []func(ctx context.Context, told func(string, ...any)) error{
		k.addDebian, k.addBase, k.addAccounts, k.addTrees, k.addMade,
	} {
		if err := step(ctx, told); err != nil {
			return Result{}, err
		}
	}
	img, err := image.New(k.base, k.layers, r.Config)
	if err != nil {
		return Result{}, err
	}
	if err := image.Write(r.Out, r.Ref, img); err != nil {
		return Result{}, err
	}
	return describe(img)
}

func (k *kitchen) addDebian(ctx context.Context, told func(string, ...any)) error {
	if k.Debian == nil {
		return nil
	}
	dir, err := k.cache.Ensure(ctx, "debian", k.Debian.Key(ctx), func(ctx context.Context, dir string) error {
		told("installing debian %s with %v into a root file system", k.Debian.Suite, k.Debian.Include)
		return k.Debian.Make(ctx, filepath.Join(dir, "rootfs.tar"), image.Epoch())
	})
	if err != nil {
		return err
	}
	return k.addLayer(filepath.Join(dir, "rootfs.tar"))
}

func (k *kitchen) addBase(context.Context, func(string, ...any)) error {
	if k.Base == "" {
		return nil
	}
	info, err := os.Stat(k.Base)
	if err != nil {
		return fmt.Errorf("open base: %w", err)
	}
	layer := filepath.Join(k.dir, "base.tar")
	if info.IsDir() {
		err := image.WriteTar(layer, []image.Add{{Source: k.Base, Target: "/", Owned: true}}, k.exclude.Match)
		if err != nil {
			return err
		}
		return k.addLayer(layer)
	}
	if _, err := image.Contents(k.Base); err == nil {
		k.base, err = image.Open(k.Base)
		return err
	}
	in, err := os.Open(k.Base)
	if err != nil {
		return fmt.Errorf("open base: %w", err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(layer)
	if err != nil {
		return fmt.Errorf("write base: %w", err)
	}
	defer func() { _ = out.Close() }()
	if err := rootfs.Filter(in, out, k.exclude, image.Epoch()); err != nil {
		return fmt.Errorf("base %s is neither an image nor a tar of a root file system: %w", k.Base, err)
	}
	return k.addLayer(layer)
}

// addAccounts adds accounts to a base that is there already. A Debian of our own has them from the beginning.
func (k *kitchen) addAccounts(context.Context, func(string, ...any)) error {
	if len(k.Accounts) == 0 || k.Debian != nil {
		return nil
	}
	so, err := image.New(k.base, k.layers, image.Config{})
	if err != nil {
		return err
	}
	const passwd, group = "etc/passwd", "etc/group"
	have, err := image.ReadFiles(so, passwd, group)
	if err != nil {
		return err
	}
	users, groups := rootfs.AddAccounts(have[passwd], have[group], k.Accounts)
	layer := filepath.Join(k.dir, "accounts.tar")
	if err := image.WriteFiles(layer, map[string]string{passwd: users, group: groups}); err != nil {
		return err
	}
	return k.addLayer(layer)
}

func (k *kitchen) addTrees(context.Context, func(string, ...any)) error {
	groups := make([][]image.Add, 0, len(k.Dirs)+1)
	for _, d := range k.Dirs {
		if info, err := os.Stat(d.Source); err != nil || !info.IsDir() {
			return fmt.Errorf("add %s: it is not a directory", d.Source)
		}
		groups = append(groups, []image.Add{d})
	}
	if len(k.Adds) > 0 {
		groups = append(groups, k.Adds)
	}
	for i, adds := range groups {
		layer := filepath.Join(k.dir, fmt.Sprintf("files%d.tar", i))
		if err := image.WriteTar(layer, adds, k.exclude.Match); err != nil {
			return err
		}
		if err := k.addLayer(layer); err != nil {
			return err
		}
	}
	return nil
}

func (k *kitchen) addLayer(tar string) error {
	layer, err := image.FromTar(tar)
	if err != nil {
		return err
	}
	k.layers = append(k.layers, layer)
	return nil
}

func describe(img v1.Image) (Result, error) {
	digest, err := img.Digest()
	if err != nil {
		return Result{}, fmt.Errorf("describe image: %w", err)
	}
	layers, err := img.Layers()
	if err != nil {
		return Result{}, fmt.Errorf("describe image: %w", err)
	}
	r := Result{Digest: digest, Layers: len(layers)}
	for _, l := range layers {
		size, err := l.Size()
		if err != nil {
			return Result{}, fmt.Errorf("describe image: %w", err)
		}
		r.Unpacked += size
	}
	return r, nil
}
