// SPDX-License-Identifier: Apache-2.0

// Package preflight refuses a machine on which the sandbox cannot work, before anything is changed on it.
// Every refusal says what was found and what would do.
package preflight

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/command"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/debian"
)

// capabilities are those that hosts or containers cannot do without.
func capabilities() map[string]uint {
	return map[string]uint{
		"CHOWN": unix.CAP_CHOWN, "DAC_OVERRIDE": unix.CAP_DAC_OVERRIDE, "FOWNER": unix.CAP_FOWNER,
		"KILL": unix.CAP_KILL, "SETUID": unix.CAP_SETUID, "SETGID": unix.CAP_SETGID, "SETPCAP": unix.CAP_SETPCAP,
		"NET_ADMIN": unix.CAP_NET_ADMIN, "NET_RAW": unix.CAP_NET_RAW, "SYS_ADMIN": unix.CAP_SYS_ADMIN,
		"SYS_CHROOT": unix.CAP_SYS_CHROOT, "SYS_PTRACE": unix.CAP_SYS_PTRACE, "MKNOD": unix.CAP_MKNOD,
	}
}

// Rights refuses users who are not root, and a root without the capabilities it needs.
func Rights(proc string) error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("you are user %d: the sandbox makes namespaces and mounts, run it as root (sudo)", uid)
	}
	status, err := os.ReadFile(filepath.Join(proc, "self", "status"))
	if err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	missing, err := MissingCapabilities(string(status))
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("this root lacks the capabilities %s: run on a machine of its own, "+
			"or in a container started with them (docker run --privileged)", strings.Join(missing, ", "))
	}
	return nil
}

// Place refuses a state directory that hosts could not see, because they have their own directory there.
func Place(state string, hidden []string) error {
	for _, dir := range hidden {
		if rel, err := filepath.Rel(dir, state); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			return fmt.Errorf("state directory %s: hosts have a %s of their own and cannot see it; choose another with --state", state, dir)
		}
	}
	return nil
}

// Room refuses a disk with less than the given number of free bytes. dir need not exist yet.
func Room(dir string, need uint64) error {
	at := dir
	for {
		var s unix.Statfs_t
		err := unix.Statfs(at, &s)
		if err == nil {
			if free := s.Bavail * uint64(s.Bsize); free < need {
				return fmt.Errorf("disk of %s: %.1f GB free, %.1f GB needed; free some or choose another place",
					dir, float64(free)/1e9, float64(need)/1e9)
			}
			return nil
		}
		if at == filepath.Dir(at) {
			return fmt.Errorf("disk of %s: %w", dir, err)
		}
		at = filepath.Dir(at)
	}
}

// Distribution refuses to install packages on anything but Debian 12.
func Distribution(release string, missing []string) error {
	id, version, err := debian.Release(release)
	if err != nil {
		return err
	}
	if id != "debian" || version != "12" {
		return fmt.Errorf("this is %s %s, not debian 12: install what is missing yourself: %s", id, version, strings.Join(missing, ", "))
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("install %s: %w", strings.Join(missing, ", "), err)
	}
	return nil
}

// Ranges refuses a machine that uses one of the address ranges already. What hangs on the given link is
// the sandbox's own.
func Ranges(want []netip.Prefix, own string) error {
	table, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return fmt.Errorf("read routes: %w", err)
	}
	used, err := ParseRoutes(string(table))
	if err != nil {
		return err
	}
	links, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		addrs, err := l.Addrs()
		if err != nil {
			return fmt.Errorf("list addresses of %s: %w", l.Name, err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				used = append(used, Route{Link: l.Name, Net: p.Masked()})
			}
		}
	}
	return Taken(want, used, own)
}

// Kernel tries what hosts need of the kernel, in a network namespace that ends with the attempt.
func Kernel(ctx context.Context) error {
	systems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return fmt.Errorf("read file systems of the kernel: %w", err)
	}
	if !strings.Contains(string(systems), "\toverlay\n") {
		if _, err := command.Run(ctx, "modprobe", "overlay"); err != nil {
			return fmt.Errorf("this kernel has no overlay file system, containers need it: %w", err)
		}
	}
	for _, try := range []struct{ what, input, program, argument string }{
		{"bridges and veth pairs", "link add name probe0 type bridge\nlink add name probe1 type veth peer name probe2\n", "ip", "-batch"},
		{"nftables with address translation and connection tracking", `table ip sandbox {
	chain c { type nat hook postrouting priority 100; ct state established accept; masquerade; }
	map m { type ipv4_addr . inet_proto . inet_service : verdict; }
}
`, "nft", "-f"},
	} {
		cmd := exec.CommandContext(ctx, try.program, try.argument, "-")
		cmd.Stdin = strings.NewReader(try.input)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("this kernel lacks %s, the cluster's network needs them: %w",
				try.what, command.Explain(err, string(out), try.program, try.argument))
		}
	}
	return nil
}

// MissingCapabilities reads the effective set out of a /proc/PID/status file.
func MissingCapabilities(status string) ([]string, error) {
	_, rest, found := strings.Cut(status, "\nCapEff:")
	word, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
	have, err := strconv.ParseUint(strings.TrimSpace(word), 16, 64)
	if !found || err != nil {
		return nil, fmt.Errorf("read capabilities: no CapEff in the process status")
	}
	var missing []string
	for name, bit := range capabilities() {
		if have&(1<<bit) == 0 {
			missing = append(missing, name)
		}
	}
	return sorted(missing), nil
}
