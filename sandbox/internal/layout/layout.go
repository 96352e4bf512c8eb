// SPDX-License-Identifier: Apache-2.0

// Package layout is the plan of the sandbox: its hosts, their addresses, the names of what it makes in
// the kernel, and where its files lie. It is pure: it knows where things belong, not whether they exist.
package layout

import (
	"fmt"
	"net/netip"
	"path/filepath"
)

const (
	// Bridge connects the hosts with the machine.
	Bridge = "antdb0"
	// PodBridge connects the pods of one host, inside it.
	PodBridge = "cni0"
	// Prefix begins the name of every network namespace and link of the sandbox.
	Prefix = "antdb-"
	// CgroupName is the directory below which all processes of the sandbox live, in every hierarchy.
	CgroupName = "antdb-sandbox"
	// Control is the name of the host that runs the control plane.
	Control = "control"
	// MaxWorkers is how many hosts with a kubelet there can be.
	MaxWorkers = 3

	// MachineIP is the address of the machine itself, as hosts and pods see it.
	MachineIP = "10.89.0.1"
	// ControlIP is the address of the API server.
	ControlIP = "10.89.0.2"
	// APIPort is the port of the API server.
	APIPort = "6443"
	// ServiceIP is the API server's address as a Service, inside the cluster.
	ServiceIP = "10.96.0.1"
	// DNSIP is the address of the cluster's DNS.
	DNSIP = "10.96.0.10"
	// HostNet holds the machine and the hosts.
	HostNet = "10.89.0.0/24"
	// PodNet holds all pods; host N has 10.244.N.0/24.
	PodNet = "10.244.0.0/16"
	// ServiceNet holds all ClusterIPs.
	ServiceNet = "10.96.0.0/16"
	// Domain is the cluster's DNS domain.
	Domain = "cluster.local"
)

// APIServer is the URL of the API server.
const APIServer = "https://" + ControlIP + ":" + APIPort

// Nets are the address ranges that the sandbox takes for itself.
func Nets() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix(HostNet), netip.MustParsePrefix(PodNet), netip.MustParsePrefix(ServiceNet)}
}

// Host is one of the sandbox's machines: the control plane (index 0) or a worker (1 to MaxWorkers).
type Host struct {
	Name  string
	Index int
}

// Worker says whether the host runs a kubelet.
func (h Host) Worker() bool { return h.Index > 0 }

// IP is the host's address on the bridge.
func (h Host) IP() string {
	if h.Worker() {
		return fmt.Sprintf("10.89.0.%d", 10+h.Index)
	}
	return ControlIP
}

// PodNet is the range of the pods of a worker.
func (h Host) PodNet() string { return fmt.Sprintf("10.244.%d.0/24", h.Index) }

// Netns is the name of the host's network namespace, and Link that of its end on the bridge.
func (h Host) Netns() string { return Prefix + h.Name }

// Link is the name of the machine's end of the host's cable.
func (h Host) Link() string { return Prefix + h.Name }

// Hosts are the control plane and the given number of workers, in the order in which they start.
func Hosts(workers int) []Host {
	return append([]Host{{Name: Control}}, Workers(workers)...)
}

// Workers are the hosts with a kubelet.
func Workers(n int) []Host {
	hosts := make([]Host, 0, n)
	for i := 1; i <= n; i++ {
		hosts = append(hosts, Host{Name: fmt.Sprintf("node%d", i), Index: i})
	}
	return hosts
}

// Find is the host of that name among the control plane and the workers.
func Find(name string, workers int) (Host, error) {
	for _, h := range Hosts(workers) {
		if h.Name == name {
			return h, nil
		}
	}
	return Host{}, fmt.Errorf("host %q: no such host, there are %s and node1 to node%d", name, Control, workers)
}

// State is the directory with everything a sandbox writes.
type State string

// Path is a file of the state.
func (s State) Path(parts ...string) string {
	return filepath.Join(append([]string{string(s)}, parts...)...)
}

// Kubeconfig is the administrator's way to the API server.
func (s State) Kubeconfig() string { return s.Path("kubeconfig") }

// Bin holds kubectl, etcd, kube-apiserver and the other programs.
func (s State) Bin() string { return s.Path("bin") }

// PKI is a certificate, key or component's kubeconfig.
func (s State) PKI(name string) string { return s.Path("pki", name) }

// Volumes is the root of all dynamic volumes.
func (s State) Volumes() string { return s.Path("volumes") }

// Host is a file of one host.
func (s State) Host(name string, parts ...string) string {
	return s.Path(append([]string{"hosts", name}, parts...)...)
}
