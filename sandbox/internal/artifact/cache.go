// SPDX-License-Identifier: Apache-2.0

// Package artifact is the user's cache of what takes long to make: programs, images, root file systems.
// An entry is found by a key of everything it is made from, so it never needs to be invalidated, and it
// appears in one step, so a kill half-way leaves nothing that looks like an entry.
package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Cache is a directory of entries.
type Cache struct{ Dir string }

// UserCache is the cache of the user who runs this program, the same for every checkout.
func UserCache() (Cache, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return Cache{}, fmt.Errorf("find the cache directory (set HOME or XDG_CACHE_HOME): %w", err)
	}
	return Cache{Dir: filepath.Join(dir, "antdb-operator", "sandbox")}, nil
}

// Path is the directory of an entry, whether it exists or not.
func (c Cache) Path(name string, key Key) string { return filepath.Join(c.Dir, name+"-"+string(key)) }

// Has says whether the entry exists.
func (c Cache) Has(name string, key Key) bool {
	info, err := os.Stat(c.Path(name, key))
	return err == nil && info.IsDir()
}

// Ensure returns the directory of an entry. If it is not there, make fills an empty directory that becomes
// the entry when make succeeds. Two processes that want one entry make it once.
func (c Cache) Ensure(ctx context.Context, name string, key Key, make func(ctx context.Context, dir string) error) (string, error) {
	final := c.Path(name, key)
	if c.Has(name, key) {
		return final, nil
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return "", fmt.Errorf("make cache directory: %w", err)
	}
	unlock, err := c.lock(final + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if c.Has(name, key) {
		return final, nil
	}
	// Only the holder of the lock has such a directory, so an old one is what a kill left.
	temporary := final + ".new"
	if err := os.RemoveAll(temporary); err != nil {
		return "", fmt.Errorf("clean cache: %w", err)
	}
	if err := os.Mkdir(temporary, 0o755); err != nil {
		return "", fmt.Errorf("make cache entry: %w", err)
	}
	if err := make(ctx, temporary); err != nil {
		return "", errors.Join(err, os.RemoveAll(temporary))
	}
	if err := syncFiles(temporary); err != nil {
		return "", err
	}
	if err := os.Rename(temporary, final); err != nil {
		return "", fmt.Errorf("finish cache entry: %w", err)
	}
	return final, nil
}

func (c Cache) lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open cache lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock cache: %w", err), f.Close())
	}
	// The file stays: removed, it would let one process lock the old file and another a new one.
	return func() { _ = f.Close() }, nil
}

// syncFiles makes sure that a power failure after the rename does not leave an entry of empty files.
func syncFiles(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// Key names the content that an entry is made from.
type Key string

// KeyOf hashes parts, each with its length, so that moving a letter from one part to the next changes the key.
func KeyOf(parts ...string) Key {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s\n", len(p), p)
	}
	return Key(hex.EncodeToString(h.Sum(nil))[:16])
}

// FileDigest is the SHA-256 of a file's content.
func FileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
