// SPDX-License-Identifier: Apache-2.0

// Package debian installs the programs that the sandbox takes from the machine's distribution.
package debian

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/command"
)

// ForHosts are the packages without which no host runs.
func ForHosts() []string {
	return []string{
		"conntrack", "containerd", "containernetworking-plugins", "iproute2", "iptables",
		"nftables", "runc", "socat", "util-linux",
	}
}

// ForImages are the packages that make root file systems.
func ForImages() []string { return []string{"mmdebstrap"} }

// Release reads ID and VERSION_ID out of an os-release file.
func Release(path string) (id, version string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", fmt.Errorf("read the name of the distribution: %w", err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch value = strings.Trim(value, `"'`); name {
		case "ID":
			id = value
		case "VERSION_ID":
			version = value
		}
	}
	return id, version, nil
}

// Missing are those of the packages that are not installed.
func Missing(ctx context.Context, packages []string) ([]string, error) {
	if !has("dpkg-query") {
		return packages, nil
	}
	// dpkg-query fails when it does not know a package, and still lists the others.
	out, _ := command.Run(ctx, "dpkg-query", append([]string{"-W", "-f=${db:Status-Status} ${Package}\n"}, packages...)...)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var missing []string
	for _, p := range packages {
		if !strings.Contains("\n"+out, "\ninstalled "+p+"\n") {
			missing = append(missing, p)
		}
	}
	return missing, nil
}

func has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// Install installs packages with apt. Debian starts a freshly installed containerd as a service of the
// machine where there is a service manager; the sandbox runs its own, so that one is switched off.
func Install(ctx context.Context, packages []string) error {
	if err := aptGet(ctx, "update", "-q"); err != nil {
		return fmt.Errorf("read package lists: %w", err)
	}
	if err := aptGet(ctx, append([]string{"install", "-qy", "--no-install-recommends"}, packages...)...); err != nil {
		return fmt.Errorf("install packages: %w", err)
	}
	for _, p := range packages {
		if _, err := os.Stat("/run/systemd/system"); p == "containerd" && err == nil {
			if _, err := command.Run(ctx, "systemctl", "disable", "--now", "containerd"); err != nil {
				return fmt.Errorf("stop the machine's own containerd: %w", err)
			}
		}
	}
	return nil
}

func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return command.Explain(err, string(out), "apt-get", args...)
	}
	return nil
}
