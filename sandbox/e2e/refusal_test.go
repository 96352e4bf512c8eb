// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRefusals starts the sandbox where it cannot work. Each refusal must say why, and change nothing.
func TestRefusals(t *testing.T) {
	s := build(t)
	before := takePicture(t)
	for _, c := range []struct {
		name   string
		script string // run by sh in namespaces of its own, with the command as its arguments
		prefix []string
		user   uint32
		state  string
		args   []string
		words  []string
	}{
		{name: "a user who is not root", user: 65534, words: []string{"user 65534", "root"}},
		{
			name: "a root without NET_ADMIN", prefix: []string{"setpriv", "--bounding-set=-net_admin"},
			words: []string{"lacks", "NET_ADMIN"},
		},
		{
			name:   "a machine that uses the addresses",
			script: `ip link add name taken type bridge && ip addr add 10.244.3.1/16 dev taken && exec "$@"`,
			words:  []string{"10.244.0.0/16", "taken"},
		},
		{
			name: "a full disk", state: "/mnt/state",
			script: `mount --make-rprivate / && mount -t tmpfs -o size=10m tmpfs /mnt && exec "$@"`,
			words:  []string{"/mnt/state", "free", "needed"},
		},
		{name: "a state that hosts cannot see", state: "/run/sandbox-state", words: []string{"/run", "--state"}},
		{name: "four hosts", args: []string{"--hosts", "4"}, words: []string{"--hosts 4", "1 to 3"}},
		{name: "an image that is none", args: []string{"--image", "/etc/passwd"}, words: []string{"/etc/passwd", "image"}},
		{name: "an image that is not there", args: []string{"--image", "/nowhere.tar"}, words: []string{"/nowhere.tar", "no such file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			state := c.state
			if state == "" {
				state = s.state
			}
			argv := append(append([]string{}, c.prefix...), s.with(state).command(ctx, append([]string{"up"}, c.args...)...).Args...)
			attributes := &syscall.SysProcAttr{}
			if c.script != "" {
				argv = append([]string{"sh", "-c", c.script, "sh"}, argv...)
				attributes.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET
			}
			program := argv[0]
			if c.user != 0 {
				attributes.Credential = &syscall.Credential{Uid: c.user, Gid: c.user}
				program = readable(t, s.program)
			}
			cmd := exec.CommandContext(ctx, program, argv[1:]...)
			cmd.SysProcAttr = attributes
			cmd.Env = append(os.Environ(), "HOME="+os.Getenv("HOME"))
			out, err := cmd.CombinedOutput()
			wantRefusal(t, string(out), err, c.words)
		})
	}
	if diff := cmp.Diff(before, takePicture(t)); diff != "" {
		t.Errorf("a refusal changed the machine (-before +after):\n%s", diff)
	}
}

// readable is a copy of the program in a place where every user may run it.
func readable(t *testing.T, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sandbox-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "sandbox")
	if err := os.WriteFile(copied, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return copied
}

// imageTar makes a small image.
func imageTar(t *testing.T, s sandbox) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	out, err := exec.CommandContext(t.Context(), "go", "-C", s.source, "run", "./cmd/mkimage",
		"-o", path, "-t", "localhost/nothing:1", "--add", "/etc/hostname:/x").CombinedOutput()
	if err != nil {
		t.Fatalf("make image: %v\n%s", err, out)
	}
	return path
}

// killDaemon kills a program of a host. It is found by its name and the host it says it is.
func killDaemon(t *testing.T, program, host string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		name, rest, _ := bytes.Cut(text, []byte{0})
		if !strings.HasSuffix(string(name), "/"+program) || !bytes.Contains(rest, []byte("--hostname-override="+host)) {
			continue
		}
		pid := filepath.Base(filepath.Dir(path))
		if out, err := exec.CommandContext(t.Context(), "kill", "-9", pid).CombinedOutput(); err != nil {
			t.Fatalf("kill %s: %v\n%s", pid, err, out)
		}
		return
	}
	t.Fatalf("no %s of %s runs", program, host)
}
