// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/command"
)

// Debian is a minimal Debian with some packages.
type Debian struct {
	Suite    string
	Include  []string
	Exclude  []string // patterns of paths, beside the usual documentation and caches
	Accounts []Account
}

// usual are the parts of a Debian that no container needs.
func usual() []string {
	return []string{
		"/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*",
		"/usr/share/bash-completion/*", "/usr/share/bug/*", "/usr/share/doc-base/*",
		"/var/cache/apt/*", "/var/cache/debconf/*-old", "/var/cache/ldconfig/*", "/var/lib/apt/lists/*",
		"/var/lib/dpkg/*-old", "/var/log/*", "/etc/machine-id", "/tmp/*", "/run/*",
		// A key pair made anew at every installation, the same for every user of the image.
		"/etc/ssl/private/*", "/etc/ssl/certs/ssl-cert-snakeoil.pem",
	}
}

// Key names what the tar is made from. The versions of the named packages are those that the machine's
// package lists offer now; dependencies follow them.
func (d Debian) Key(ctx context.Context) artifact.Key {
	const format = "1" // to be raised when Filter makes something else of the same input
	parts := append(d.arguments(), format, strings.Join(usual(), ","), strings.Join(sortedCopy(d.Exclude), ","))
	// On a machine without package lists the names alone are the key.
	policy, _ := command.Run(ctx, "apt-cache", append([]string{"policy"}, sortedCopy(d.Include)...)...)
	return artifact.KeyOf(append(parts, candidates(policy))...)
}

// candidates are the lines of apt-cache policy that name packages and the versions that would be installed.
func candidates(policy string) string {
	var lines []string
	for scanner := bufio.NewScanner(strings.NewReader(policy)); scanner.Scan(); {
		if line := scanner.Text(); !strings.HasPrefix(line, " ") || strings.HasPrefix(line, "  Candidate:") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func sortedCopy(list []string) []string { return slices.Sorted(slices.Values(list)) }

// Make installs the packages in a directory of their own and writes the result as a tar to path.
func (d Debian) Make(ctx context.Context, path string, at time.Time) error {
	exclude, err := ParseGlobs(append(usual(), d.Exclude...))
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write root file system: %w", err)
	}
	defer func() { _ = f.Close() }()
	args := d.arguments()
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", at.Unix()), "LC_ALL=C.UTF-8")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("make root file system: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("make root file system: %w", err)
	}
	filtered := Filter(stdout, f, exclude, at)
	if filtered != nil {
		// It would wait for ever for somebody to read the rest.
		_ = cmd.Process.Kill()
	}
	if err := cmd.Wait(); err != nil && filtered == nil {
		return fmt.Errorf("make root file system: %w", command.Explain(err, complaint.String(), "mmdebstrap", args...))
	}
	return errors.Join(filtered, f.Close())
}

func (d Debian) arguments() []string {
	args := []string{"--variant=minbase", "--format=tar", `--aptopt=Acquire::Languages "none"`}
	for _, p := range usual()[:6] {
		args = append(args, "--dpkgopt=path-exclude="+p)
	}
	if len(d.Include) > 0 {
		args = append(args, "--include="+strings.Join(sortedCopy(d.Include), ","))
	}
	for _, a := range d.Accounts {
		// Before the packages, so that they find the account and give it their files.
		args = append(args, "--essential-hook="+a.hook())
	}
	return append(args, d.Suite, "-")
}
