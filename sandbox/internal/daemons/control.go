// SPDX-License-Identifier: Apache-2.0

package daemons

import "github.com/antdb-operator/antdb-operator/sandbox/internal/layout"

const (
	etcdClient = "http://127.0.0.1:2379"
	etcdPeer   = "http://127.0.0.1:2380"
)

// control renders the control plane. It has no kubelet; its kube-proxy lets the API server reach webhooks
// and the machine reach Services.
func (p Plan) control(t *Text, h layout.Host) error {
	data := p.State.Host(h.Name, "etcd")
	t.Dirs = append(t.Dirs, p.State.Volumes())
	p.add(t, h, "", "etcd",
		"--name="+h.Name, "--data-dir="+data,
		"--listen-client-urls="+etcdClient, "--advertise-client-urls="+etcdClient,
		"--listen-peer-urls="+etcdPeer, "--initial-advertise-peer-urls="+etcdPeer,
		"--initial-cluster="+h.Name+"="+etcdPeer,
		// A power failure of the real machine may cost the sandbox its state; it is faster every day.
		"--unsafe-no-fsync", "--log-level=warn")
	p.add(t, h, "tcp:127.0.0.1:2379", "kube-apiserver", p.apiServerFlags(h)...)
	p.add(t, h, apiReady, "kube-controller-manager", append(p.controllerFlags("controller-manager"),
		"--use-service-account-credentials=true",
		// Nothing here reads Endpoints, which EndpointSlices have replaced.
		"--controllers=*,-endpoints-controller,-endpointslice-mirroring-controller",
		flag("root-ca-file", p.State.PKI("ca.crt")),
		flag("service-account-private-key-file", p.State.PKI("sa.key")),
		flag("cluster-signing-cert-file", p.State.PKI("ca.crt")),
		flag("cluster-signing-key-file", p.State.PKI("ca.key")),
		"--allocate-node-cidrs=false", "--cluster-cidr="+layout.PodNet, "--service-cluster-ip-range="+layout.ServiceNet,
		// A lost host is known as lost after 20 s and its pods move 30 s later (the API server's tolerations).
		"--node-monitor-period=2s", "--node-monitor-grace-period=20s")...)
	p.add(t, h, apiReady, "kube-scheduler", p.controllerFlags("scheduler")...)
	p.add(t, h, apiReady, "volume-provisioner",
		flag("kubeconfig", p.State.PKI("volumes.kubeconfig")), flag("root", p.State.Volumes()))
	return p.addProxy(t, h, "node1")
}

func (p Plan) apiServerFlags(h layout.Host) []string {
	return []string{
		"--advertise-address=" + h.IP(), "--bind-address=" + h.IP(), "--secure-port=" + layout.APIPort,
		"--etcd-servers=" + etcdClient,
		"--service-cluster-ip-range=" + layout.ServiceNet,
		"--service-account-issuer=https://kubernetes.default.svc." + layout.Domain,
		flag("service-account-key-file", p.State.PKI("sa.pub")),
		flag("service-account-signing-key-file", p.State.PKI("sa.key")),
		flag("client-ca-file", p.State.PKI("ca.crt")),
		flag("tls-cert-file", p.State.PKI("apiserver.crt")),
		flag("tls-private-key-file", p.State.PKI("apiserver.key")),
		flag("kubelet-client-certificate", p.State.PKI("apiserver-kubelet-client.crt")),
		flag("kubelet-client-key", p.State.PKI("apiserver-kubelet-client.key")),
		flag("kubelet-certificate-authority", p.State.PKI("ca.crt")),
		"--kubelet-preferred-address-types=InternalIP",
		flag("requestheader-client-ca-file", p.State.PKI("front-proxy-ca.crt")),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		flag("proxy-client-cert-file", p.State.PKI("front-proxy-client.crt")),
		flag("proxy-client-key-file", p.State.PKI("front-proxy-client.key")),
		"--enable-aggregator-routing=true",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--profiling=false",
		"--default-not-ready-toleration-seconds=30", "--default-unreachable-toleration-seconds=30",
	}
}

// controllerFlags are common to controller manager and scheduler. The default request rates slow down
// tests with thousands of objects and protect nobody here.
func (p Plan) controllerFlags(identity string) []string {
	config := p.State.PKI(identity + ".kubeconfig")
	return []string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
		"--kube-api-qps=300", "--kube-api-burst=600",
	}
}
