// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
	"sigs.k8s.io/yaml"
)

const (
	clusterCA    = "ca"
	frontProxyCA = "front-proxy-ca"
	admins       = "system:masters"
)

// Authorities are the two roots of a cluster: for everyone, and for the API server's aggregation.
func Authorities() []string { return []string{clusterCA, frontProxyCA} }

// Identities are all certificates of a cluster, for as many workers as there can be.
func Identities() []Identity {
	ids := []Identity{
		{
			File: "apiserver", CA: clusterCA, User: "kube-apiserver",
			IPs: []string{layout.ControlIP, "127.0.0.1", layout.ServiceIP},
			Names: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc." + layout.Domain,
			},
		},
		{File: "apiserver-kubelet-client", CA: clusterCA, User: "kube-apiserver-kubelet-client", Group: admins},
		{File: "front-proxy-client", CA: frontProxyCA, User: "front-proxy-client"},
		{File: "admin", CA: clusterCA, User: "admin", Group: admins},
		{File: "controller-manager", CA: clusterCA, User: "system:kube-controller-manager"},
		{File: "scheduler", CA: clusterCA, User: "system:kube-scheduler"},
		{File: "proxy", CA: clusterCA, User: "system:kube-proxy"},
		{File: "volumes", CA: clusterCA, User: "sandbox:volume-provisioner"},
	}
	for _, h := range layout.Workers(layout.MaxWorkers) {
		ids = append(ids, Identity{
			File: h.Name, CA: clusterCA, User: "system:node:" + h.Name, Group: "system:nodes",
			IPs: []string{h.IP()}, Names: []string{h.Name},
		})
	}
	return ids
}

// Kubeconfig writes a kubeconfig for the identity, with certificate and key inside.
func (a Authority) Kubeconfig(identity, path string) error {
	data := map[string]string{}
	for _, name := range []string{clusterCA + ".crt", identity + ".crt", identity + ".key"} {
		content, err := os.ReadFile(filepath.Join(a.Dir, name))
		if err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
		data[name] = base64.StdEncoding.EncodeToString(content)
	}
	config, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "sandbox",
		"clusters": []any{map[string]any{"name": "sandbox", "cluster": map[string]string{
			"server": layout.APIServer, "certificate-authority-data": data[clusterCA+".crt"],
		}}},
		"users": []any{map[string]any{"name": identity, "user": map[string]string{
			"client-certificate-data": data[identity+".crt"], "client-key-data": data[identity+".key"],
		}}},
		"contexts": []any{map[string]any{"name": "sandbox", "context": map[string]string{"cluster": "sandbox", "user": identity}}},
	})
	if err != nil {
		return fmt.Errorf("encode kubeconfig of %s: %w", identity, err)
	}
	if err := os.WriteFile(path+".new", config, 0o600); err != nil {
		return fmt.Errorf("write kubeconfig of %s: %w", identity, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write kubeconfig of %s: %w", identity, err)
	}
	return nil
}
