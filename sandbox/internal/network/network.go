// SPDX-License-Identifier: Apache-2.0

// Package network is the sandbox's cabling on the machine's side: a bridge, one cable per host, and the
// routes to pods and Services. A host's own side lives and dies with the host; see Inside for what is in it.
// There is no default route and no address translation, so nothing can leave the machine.
package network

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/command"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
)

// Ensure makes the bridge and the machine's routes, as far as they are missing.
func Ensure(ctx context.Context) error {
	var lines []string
	if !linked(layout.Bridge) {
		lines = append(lines, "link add name "+layout.Bridge+" address "+mac(1)+" type bridge")
	}
	return batch(ctx, append(lines, machineLines()...))
}

// machineLines may be run any number of times.
func machineLines() []string {
	lines := []string{
		"address replace " + layout.MachineIP + "/24 dev " + layout.Bridge,
		"link set " + layout.Bridge + " up",
		// Services are answered by the control plane's kube-proxy.
		"route replace " + layout.ServiceNet + " via " + layout.ControlIP,
	}
	for _, h := range layout.Workers(layout.MaxWorkers) {
		lines = append(lines, "route replace "+h.PodNet()+" via "+h.IP())
	}
	return lines
}

// Attach plugs a new host, whose first process is pid, into the bridge.
func Attach(ctx context.Context, h layout.Host, pid int) error {
	if err := Detach(ctx, h); err != nil {
		return err
	}
	return batch(ctx, []string{
		fmt.Sprintf("link add name %s type veth peer name eth0 address %s netns %d", h.Link(), mac(lastByte(h)), pid),
		fmt.Sprintf("link set %s master %s up", h.Link(), layout.Bridge),
	})
}

// Detach removes the cable of a dead host. The kernel does so too, but some time later.
func Detach(ctx context.Context, h layout.Host) error {
	if !linked(h.Link()) {
		return nil
	}
	if err := batch(ctx, []string{"link delete " + h.Link()}); err != nil && linked(h.Link()) {
		return err
	}
	return nil
}

// Cut takes a host off the network, and Join puts it back. The host sees a dead cable, everyone else silence.
func Cut(ctx context.Context, h layout.Host) error {
	return batch(ctx, []string{"link set " + h.Link() + " down"})
}

// CutPod takes one pod off the network of the host whose first process is pid. The pod sees a dead cable, everyone else
// silence. It fails if no pod of the host has the address.
func CutPod(ctx context.Context, pid int, address string) error {
	if net.ParseIP(address) == nil {
		return fmt.Errorf("%q is no address of a pod", address)
	}
	var neighbours []struct {
		MAC string `json:"lladdr"`
	}
	if err := ask(ctx, pid, &neighbours, "ip", "-json", "neighbour", "show", "to", address, "dev", layout.PodBridge); err != nil {
		return err
	}
	var ports []struct {
		MAC  string `json:"mac"`
		Link string `json:"ifname"`
	}
	if err := ask(ctx, pid, &ports, "bridge", "-json", "fdb", "show", "br", layout.PodBridge); err != nil {
		return err
	}
	for _, n := range neighbours {
		for _, p := range ports {
			if n.MAC != "" && p.MAC == n.MAC {
				return run(ctx, pid, "ip", "link", "set", p.Link, "down")
			}
		}
	}
	return fmt.Errorf("no pod has the address %s", address)
}

// Join undoes Cut, and CutPod of every pod of the host, whose first process is pid.
func Join(ctx context.Context, h layout.Host, pid int) error {
	if err := batch(ctx, []string{"link set " + h.Link() + " up"}); err != nil {
		return err
	}
	var links []struct {
		Name  string   `json:"ifname"`
		Flags []string `json:"flags"`
	}
	if err := ask(ctx, pid, &links, "ip", "-json", "link", "show", "type", "veth"); err != nil {
		return err
	}
	for _, l := range links {
		if slices.Contains(l.Flags, "UP") {
			continue
		}
		if err := run(ctx, pid, "ip", "link", "set", l.Name, "up"); err != nil {
			return err
		}
	}
	return nil
}

// ask runs a program in the network of a host and reads the JSON that it prints.
func ask(ctx context.Context, pid int, answer any, program ...string) error {
	out, err := command.Run(ctx, "nsenter", inNetwork(pid, program)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), answer); err != nil {
		return fmt.Errorf("read what %s says: %w", strings.Join(program, " "), err)
	}
	return nil
}

// run runs a program in the network of a host.
func run(ctx context.Context, pid int, program ...string) error {
	_, err := command.Run(ctx, "nsenter", inNetwork(pid, program)...)
	return err
}

func inNetwork(pid int, program []string) []string {
	return append([]string{"--net", "--target", strconv.Itoa(pid), "--"}, program...)
}

// Joined says whether the host's cable is there and switched on.
func Joined(h layout.Host) bool {
	link, err := net.InterfaceByName(h.Link())
	return err == nil && link.Flags&net.FlagUp != 0
}

// Leaves are the links of the sandbox that exist. The routes go with the bridge.
func Leaves() ([]string, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var names []string
	for _, l := range links {
		if l.Name == layout.Bridge || strings.HasPrefix(l.Name, layout.Prefix) {
			names = append(names, l.Name)
		}
	}
	return names, nil
}

// Remove takes away every link of the sandbox, and the routes with them.
func Remove(ctx context.Context) error {
	names, err := Leaves()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := batch(ctx, []string{"link delete " + name}); err != nil && linked(name) {
			return err
		}
	}
	return nil
}

// Inside are the lines that set up a host's own network once its cable is plugged in as eth0. They name
// every host there could be, so that a host more or less changes nothing on the others.
func Inside(h layout.Host) []string {
	lines := []string{
		"link set lo up",
		"address add " + h.IP() + "/24 dev eth0",
		"link set eth0 up",
		// A packet to a Service needs some route before kube-proxy's rules see it and give it a real address.
		"route add " + layout.ServiceNet + " dev eth0",
	}
	for _, other := range layout.Workers(layout.MaxWorkers) {
		if other != h {
			lines = append(lines, "route add "+other.PodNet()+" via "+other.IP())
		}
	}
	return lines
}

// mac is a fixed hardware address: a host that returns with a new one would stay unreachable until the
// neighbours' caches forget the old one.
func mac(n int) string { return fmt.Sprintf("02:00:0a:59:00:%02x", n) }

func lastByte(h layout.Host) int { return int(net.ParseIP(h.IP()).To4()[3]) }

func linked(name string) bool {
	_, err := os.Lstat(filepath.Join("/sys/class/net", name))
	return err == nil
}

func batch(ctx context.Context, lines []string) error {
	_, err := command.RunInput(ctx, strings.NewReader(strings.Join(lines, "\n")+"\n"), "ip", "-batch", "-")
	if err != nil {
		return fmt.Errorf("set up network (%s): %w", strings.Join(lines, "; "), err)
	}
	return nil
}
