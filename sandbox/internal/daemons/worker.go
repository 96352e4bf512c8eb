// SPDX-License-Identifier: Apache-2.0

package daemons

import (
	"encoding/json"
	"fmt"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/machine"
	"sigs.k8s.io/yaml"
)

// object is a piece of YAML or JSON.
type object = map[string]any

// ContainerdSocket is where containerd listens, inside a host.
const ContainerdSocket = "/run/containerd/containerd.sock"

// binds are the machine's directories that each worker has for itself.
func binds() map[string]string {
	return map[string]string{
		"kubelet": "/var/lib/kubelet", "cni": "/var/lib/cni", "containerd": "/var/lib/containerd", "varlog": "/var/log",
	}
}

// MountPoints are the directories of the machine that must exist for a worker to start.
func MountPoints() []string {
	return []string{"/var/lib/kubelet", "/var/lib/cni", "/var/lib/containerd"}
}

// Hidden are the directories of the machine that a host cannot see, so that no state may lie there.
func Hidden() []string {
	return append(MountPoints(), "/var/log", "/run", "/var/run", "/proc", "/sys")
}

func (t *Text) file(path string, content object) error {
	text, err := yaml.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	t.Files[path] = text
	return nil
}

// worker renders a host with a kubelet.
func (p Plan) worker(t *Text, h layout.Host) error {
	for _, name := range []string{"kubelet", "cni", "containerd", "varlog"} {
		dir := p.State.Host(h.Name, name)
		t.Dirs = append(t.Dirs, dir)
		t.Spec.Binds = append(t.Spec.Binds, machine.Bind{From: dir, To: binds()[name]})
	}
	if err := p.cni(t, h); err != nil {
		return err
	}
	config := p.State.Host(h.Name, "etc", "containerd.toml")
	t.Files[config] = []byte(p.containerd(h))
	p.addCommand(t, h, "", "containerd", []string{"/usr/bin/containerd", "--config", config})
	if err := p.kubelet(t, h); err != nil {
		return err
	}
	return p.addProxy(t, h, h.Name)
}

func (p Plan) cni(t *Text, h layout.Host) error {
	conf, err := json.MarshalIndent(object{
		"cniVersion": "1.0.0", "name": "sandbox",
		"plugins": []object{
			{
				"type": "bridge", "bridge": layout.PodBridge, "isGateway": true, "hairpinMode": true, "ipMasq": false,
				"ipam": object{
					"type":   "host-local",
					"ranges": [][]object{{{"subnet": h.PodNet()}}},
					"routes": []object{{"dst": "0.0.0.0/0"}},
				},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode pod network of %s: %w", h.Name, err)
	}
	t.Files[p.State.Host(h.Name, "etc", "cni", "10-sandbox.conflist")] = append(conf, '\n')
	return nil
}

// containerd keeps the few plugins that are used. restrict_oom_score_adj is for machines whose root may
// not lower oom scores: runc fails there with an error that does not say so.
func (p Plan) containerd(h layout.Host) string {
	return fmt.Sprintf(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %q
`, ContainerdSocket, PauseImage, p.State.Host(h.Name, "etc", "cni"))
}

func (p Plan) kubelet(t *Text, h layout.Host) error {
	path := p.State.Host(h.Name, "etc", "kubelet.yaml")
	resolv := p.State.Host(h.Name, "etc", "resolv.conf")
	t.Files[resolv] = []byte{} // there is no DNS outside the cluster
	t.Dirs = append(t.Dirs, p.State.Host(h.Name, "plugins"))
	err := t.file(path, object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address":            h.IP(),
		"healthzBindAddress": "127.0.0.1",
		"tlsCertFile":        p.State.PKI(h.Name + ".crt"),
		"tlsPrivateKeyFile":  p.State.PKI(h.Name + ".key"),
		"authentication": object{
			"anonymous": object{"enabled": false}, "webhook": object{"enabled": true},
			"x509": object{"clientCAFile": p.State.PKI("ca.crt")},
		},
		"authorization":             object{"mode": "Webhook"},
		"containerRuntimeEndpoint":  "unix://" + ContainerdSocket,
		"cgroupDriver":              "cgroupfs",
		"cgroupRoot":                "/" + layout.CgroupName + "/" + h.Name,
		"failCgroupV1":              false,
		"failSwapOn":                false,
		"oomScoreAdj":               0,
		"enforceNodeAllocatable":    []string{"pods"},
		"clusterDNS":                []string{layout.DNSIP},
		"clusterDomain":             layout.Domain,
		"resolvConf":                resolv,
		"volumePluginDir":           p.State.Host(h.Name, "plugins"),
		"nodeStatusUpdateFrequency": "5s",
		"nodeLeaseDurationSeconds":  10,
		// Images come by hand and cannot be pulled again.
		"imageGCHighThresholdPercent": 100,
		"evictionHard": map[string]string{
			"memory.available": "200Mi", "nodefs.available": "2%", "imagefs.available": "2%", "nodefs.inodesFree": "1%",
		},
		"serializeImagePulls": false,
		"registryPullQPS":     0,
		"eventRecordQPS":      0,
	})
	if err != nil {
		return err
	}
	p.add(t, h, "unix:"+ContainerdSocket, "kubelet",
		"--config="+path, flag("kubeconfig", p.State.PKI(h.Name+".kubeconfig")),
		"--hostname-override="+h.Name, "--node-ip="+h.IP(), "--root-dir=/var/lib/kubelet", "--v=1")
	return nil
}
