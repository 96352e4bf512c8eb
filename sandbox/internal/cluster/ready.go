// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"text/template"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/command"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/daemons"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/kubeapi"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
)

//go:embed addons.yaml
var addonsText string

// awaitNodes waits for the API server, and for every worker to be Ready since it was started.
func (s Sandbox) awaitNodes(ctx context.Context, workers int, started map[string]time.Time) error {
	api, err := kubeapi.New(s.State)
	if err != nil {
		return err
	}
	defer api.Close()
	err = until(ctx, "the API server", 90*time.Second, func(ctx context.Context) (bool, error) {
		return true, api.Ready(ctx)
	})
	if err != nil {
		return s.pointAt(err, layout.Control, "kube-apiserver")
	}
	s.Out.Step("API server ready")
	for _, h := range layout.Workers(workers) {
		err := until(ctx, "host "+h.Name, 2*time.Minute, func(ctx context.Context) (bool, error) {
			return api.NodeReady(ctx, h.Name, started[h.Name])
		})
		if err != nil {
			return s.pointAt(err, h.Name, "kubelet")
		}
		s.Out.Step("host %s Ready", h.Name)
	}
	for _, h := range layout.Workers(layout.MaxWorkers)[workers:] {
		if err := api.ForgetNode(ctx, h.Name); err != nil {
			return err
		}
	}
	return nil
}

// pointAt adds to an error where its cause is written.
func (s Sandbox) pointAt(err error, host, daemon string) error {
	return fmt.Errorf("%w; see %s; sandbox down --purge starts anew", err, s.State.Host(host, "log", daemon+".log"))
}

// awaitAddons applies storage classes, DNS and their rights, and waits for the DNS.
func (s Sandbox) awaitAddons(ctx context.Context, workers int) error {
	text, err := addons(workers)
	if err != nil {
		return err
	}
	kubectl := filepath.Join(s.State.Bin(), "kubectl")
	if _, err := command.RunInput(ctx, bytes.NewReader(text), kubectl, "--kubeconfig", s.State.Kubeconfig(),
		"apply", "--server-side", "--force-conflicts", "--field-manager=sandbox", "-f", "-"); err != nil {
		return err
	}
	api, err := kubeapi.New(s.State)
	if err != nil {
		return err
	}
	defer api.Close()
	want := dnsReplicas(workers)
	err = until(ctx, "DNS", 2*time.Minute, func(ctx context.Context) (bool, error) {
		addresses, err := api.Endpoints(ctx, "kube-dns")
		if err != nil || len(addresses) < want {
			return false, errors.Join(err, fmt.Errorf("%d of %d replicas are ready; see kubectl -n kube-system describe pods", len(addresses), want))
		}
		for _, a := range append(addresses, layout.DNSIP) {
			if err := resolves(ctx, a); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	s.Out.Step("DNS ready")
	return nil
}

// resolves asks a DNS server for a name that every cluster has. The stored state of its pod may be from
// before a restart; an answer is not.
func resolves(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(server, "53"))
	}}
	_, err := resolver.LookupHost(ctx, "kubernetes.default.svc."+layout.Domain+".")
	return err
}

// dnsReplicas are as many as there are hosts to keep them apart, at most two.
func dnsReplicas(workers int) int { return min(2, workers) }

// addons renders addons.yaml.
func addons(workers int) ([]byte, error) {
	t, err := template.New("addons").Parse(addonsText)
	if err != nil {
		return nil, fmt.Errorf("read addons: %w", err)
	}
	var text bytes.Buffer
	err = t.Execute(&text, map[string]any{
		"Replicas": dnsReplicas(workers), "Domain": layout.Domain, "DNS": layout.DNSIP, "Image": daemons.CoreDNSImage,
	})
	if err != nil {
		return nil, fmt.Errorf("render addons: %w", err)
	}
	return text.Bytes(), nil
}
