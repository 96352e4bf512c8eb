// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/command"
)

// Run is the life of a host. cable yields one byte once the host is plugged in, and ends without one if
// whoever starts the host has died; report receives "ok" or what went wrong, and is closed then.
// Run returns only with an error: the host is switched off from outside.
func Run(ctx context.Context, s Spec, cable io.Reader, report io.WriteCloser) error {
	if err := boot(ctx, s, cable); err != nil {
		_, _ = fmt.Fprintf(report, "%s", err)
		_ = report.Close()
		return err
	}
	supervisor := newSupervisor()
	for _, d := range s.Daemons {
		go supervisor.keep(ctx, d)
	}
	_, _ = fmt.Fprint(report, "ok")
	_ = report.Close()
	return supervisor.reap(ctx)
}

func boot(ctx context.Context, s Spec, cable io.Reader) error {
	for _, procs := range s.Cgroups {
		if err := os.WriteFile(procs, []byte("0"), 0); err != nil {
			return fmt.Errorf("enter control group: %w", err)
		}
	}
	if err := unix.Sethostname([]byte(s.Name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := mountPrivate(s); err != nil {
		return err
	}
	if _, err := io.ReadFull(cable, make([]byte, 1)); err != nil {
		return errors.New("wait for the network: nobody plugged the host in")
	}
	if _, err := command.RunInput(ctx, strings.NewReader(strings.Join(s.Network, "\n")+"\n"), "ip", "-batch", "-"); err != nil {
		return err
	}
	for name, value := range s.Sysctl {
		path := filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// mountPrivate gives the host its own /proc, /sys, /run and data directories. Every mount belongs to the
// host's mount namespace and ends with it.
func mountPrivate(s Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separate mounts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := mountSys(); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for _, dir := range []string{"/run/lock", "/run/netns"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	for _, b := range s.Binds {
		if err := unix.Mount(b.From, b.To, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s to %s: %w", b.From, b.To, err)
		}
	}
	if s.Share {
		// The kubelet's mounts must reach the pods that ask for propagation, and containerd's shims.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
			return fmt.Errorf("share mounts: %w", err)
		}
	}
	return nil
}

// mountSys mounts a fresh sysfs, which shows this network namespace's devices, and carries the control
// groups over: a fresh sysfs comes without them, and no kubelet starts then.
func mountSys() error {
	const groups = "/sys/fs/cgroup"
	tree, err := unix.OpenTree(unix.AT_FDCWD, groups, unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("hold control groups: %w", err)
	}
	defer func() { _ = unix.Close(tree) }()
	if err := unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, groups, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("carry control groups over: %w", err)
	}
	return nil
}
