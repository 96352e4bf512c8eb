// SPDX-License-Identifier: Apache-2.0

package recipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/command"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/image"
)

// Made is a directory that a command makes inside the image, run by its shell as its user and with its environment. The
// directory is there, empty, and belongs to the user; nothing else that the command writes is kept.
type Made struct {
	Dir     string // absolute path in the image
	Command string
}

// ParseMade reads /DIR=COMMAND.
func ParseMade(text string) (Made, error) {
	dir, command, ok := strings.Cut(text, "=")
	if !ok || !filepath.IsAbs(dir) || command == "" {
		return Made{}, fmt.Errorf("made directory %q: want /DIR=COMMAND", text)
	}
	return Made{Dir: filepath.Clean(dir), Command: command}, nil
}

// addMade runs the commands once for the same image: what they make need not be the same twice.
func (k *kitchen) addMade(ctx context.Context, told func(string, ...any)) error {
	for _, m := range k.Made {
		so, err := image.New(k.base, k.layers, k.Config)
		if err != nil {
			return err
		}
		digest, err := so.Digest()
		if err != nil {
			return fmt.Errorf("make %s: %w", m.Dir, err)
		}
		dir, err := k.cache.Ensure(ctx, "made", artifact.KeyOf(digest.String(), m.Dir, m.Command), func(ctx context.Context, dir string) error {
			told("making %s inside the image", m.Dir)
			root := filepath.Join(k.dir, "root")
			defer func() { _ = os.RemoveAll(root) }()
			if err := unpack(ctx, root, mutate.Extract(so)); err != nil {
				return err
			}
			if err := m.run(ctx, root, k.Config); err != nil {
				return err
			}
			return image.WriteTar(filepath.Join(dir, "layer.tar"), []image.Add{{Source: filepath.Join(root, m.Dir), Target: m.Dir, Owned: true}}, nil)
		})
		if err != nil {
			return fmt.Errorf("make %s: %w", m.Dir, err)
		}
		if err := k.addLayer(filepath.Join(dir, "layer.tar")); err != nil {
			return err
		}
	}
	return nil
}

// unpack writes a tar of a root file system to a new directory, with owners and modes.
func unpack(ctx context.Context, root string, content io.ReadCloser) error {
	defer func() { _ = content.Close() }()
	err := os.Mkdir(root, 0o755)
	if err == nil {
		_, err = command.RunInput(ctx, content, "tar", "-x", "--numeric-owner", "-p", "-C", root)
	}
	if err != nil {
		return fmt.Errorf("unpack image: %w", err)
	}
	return nil
}

// run carries the command out in the unpacked image. That has the few devices that programs take for granted, and no
// mounts, so that nothing can be left behind.
func (m Made) run(ctx context.Context, path string, c image.Config) error {
	user, err := credential(c.User)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(path) // a link of the image shall not lead out of it
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := devices(root); err != nil {
		return fmt.Errorf("make devices: %w", err)
	}
	dir := strings.TrimPrefix(m.Dir, "/")
	if err := errors.Join(root.MkdirAll(dir, 0o755), root.Chown(dir, int(user.Uid), int(user.Gid))); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", m.Command)
	cmd.Dir, cmd.Env = "/", c.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: path, Credential: user, Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		return command.Explain(err, string(out), m.Command)
	}
	return nil
}

func credential(user string) (*syscall.Credential, error) {
	uid, gid, ok := strings.Cut(user, ":")
	u, err := strconv.ParseUint(uid, 10, 32)
	g, err2 := strconv.ParseUint(gid, 10, 32)
	if err := errors.Join(err, err2); !ok || err != nil {
		return nil, fmt.Errorf("user %q: want UID:GID, by which the command runs", user)
	}
	return &syscall.Credential{Uid: uint32(u), Gid: uint32(g)}, nil
}

func devices(root *os.Root) error {
	if err := errors.Join(root.MkdirAll("dev/shm", 0o755), root.Chmod("dev/shm", 0o777|os.ModeSticky)); err != nil {
		return err
	}
	dev, err := root.Open("dev")
	if err != nil {
		return err
	}
	defer func() { _ = dev.Close() }()
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "urandom": 9} {
		err := unix.Mknodat(int(dev.Fd()), name, unix.S_IFCHR, int(unix.Mkdev(1, minor)))
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err := errors.Join(err, root.Chmod("dev/"+name, 0o666)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
