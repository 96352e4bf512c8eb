// SPDX-License-Identifier: Apache-2.0

// Package daemons is the configuration of every program of the cluster: which runs on which host, with
// which flags and files. It is pure: the same plan always gives the same text, so that a host needs a
// restart exactly when its text has changed.
package daemons

import (
	"fmt"
	"maps"
	"slices"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/machine"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/network"
)

// PauseImage holds the namespaces of every pod.
const PauseImage = "localhost/antdb-sandbox/pause:1"

// CoreDNSImage answers names in the cluster.
const CoreDNSImage = "localhost/antdb-sandbox/coredns:1"

// Plan is what the text of all hosts depends on.
type Plan struct {
	State    layout.State
	Programs string // directory of the Kubernetes programs
	Roots    string // identity of the certificate authorities: new ones mean that everything restarts
}

// Text is everything one host needs written down before it starts.
type Text struct {
	Files map[string][]byte
	Spec  machine.Spec
	Dirs  []string
}

// Host renders one host.
func (p Plan) Host(h layout.Host, cgroups []string) (Text, error) {
	t := Text{
		Files: map[string][]byte{},
		Spec: machine.Spec{
			Name: h.Name, Cgroups: cgroups, Share: h.Worker(),
			Network: network.Inside(h),
			Sysctl:  hostSysctl(),
		},
	}
	render := p.control
	if h.Worker() {
		render = p.worker
	}
	if err := render(&t, h); err != nil {
		return Text{}, err
	}
	t.Spec.Stamp = t.stamp(p.Roots)
	return t, nil
}

// stamp stands for the content of the files, so that comparing two specs compares everything.
func (t *Text) stamp(roots string) string {
	parts := []string{roots}
	for _, path := range slices.Sorted(maps.Keys(t.Files)) {
		parts = append(parts, path, string(t.Files[path]))
	}
	return string(artifact.KeyOf(parts...))
}

// hostSysctl makes the host a router. Redirects are off: they would teach the machine routes to Services
// that bypass the control plane's kube-proxy.
func hostSysctl() map[string]string {
	return map[string]string{
		"net.ipv4.ip_forward":                  "1",
		"net.ipv4.conf.all.send_redirects":     "0",
		"net.ipv4.conf.default.send_redirects": "0",
		"net.ipv4.conf.eth0.send_redirects":    "0",
	}
}

// add puts a daemon of the Kubernetes binary on the host.
func (p Plan) add(t *Text, h layout.Host, after, program string, args ...string) {
	p.addCommand(t, h, after, program, append([]string{p.Programs + "/" + program}, args...))
}

func (p Plan) addCommand(t *Text, h layout.Host, after, name string, command []string) {
	t.Spec.Daemons = append(t.Spec.Daemons, machine.Daemon{
		Name: name, Command: command, Log: p.State.Host(h.Name, "log", name+".log"), After: after,
	})
}

// addProxy adds kube-proxy. as is the node it says it is: on the control plane, which is none, it would
// otherwise wait half a minute for a Node that never comes.
func (p Plan) addProxy(t *Text, h layout.Host, as string) error {
	path := p.State.Host(h.Name, "etc", "kube-proxy.yaml")
	err := t.file(path, object{
		"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
		"bindAddress":        h.IP(),
		"healthzBindAddress": "127.0.0.1:10256",
		"metricsBindAddress": "127.0.0.1:10249",
		"clientConnection":   object{"kubeconfig": p.State.PKI("proxy.kubeconfig")},
		"hostnameOverride":   as,
		"clusterCIDR":        layout.PodNet,
		"mode":               "nftables",
		// Connection tracking limits belong to the whole machine, and oom scores may not be lowered everywhere.
		"conntrack":   object{"maxPerCore": 0, "min": 0},
		"oomScoreAdj": 0,
		// 0 would mean the default of 1 s, for which every pod that returns would be unreachable.
		"nftables": object{"minSyncPeriod": "100ms"},
	})
	if err != nil {
		return err
	}
	p.add(t, h, apiServer, "kube-proxy", "--config="+path, "--v=1")
	return nil
}

const (
	apiServer = "tcp:" + layout.ControlIP + ":" + layout.APIPort
	// apiReady comes a second or two later, when the rights that the controllers need are there too.
	apiReady = layout.APIServer + "/readyz"
)

func flag(name, value string) string { return fmt.Sprintf("--%s=%s", name, value) }
