// SPDX-License-Identifier: Apache-2.0

// Package kubeapi asks the sandbox's API server the few questions that starting and showing a sandbox
// needs. Everything else goes through kubectl.
package kubeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
)

// Client talks to the API server as the administrator.
type Client struct{ http *http.Client }

// New makes a client from the certificates of a state.
func New(state layout.State) (*Client, error) {
	cert, err := tls.LoadX509KeyPair(state.PKI("admin.crt"), state.PKI("admin.key"))
	if err != nil {
		return nil, fmt.Errorf("read administrator's certificate: %w", err)
	}
	ca, err := os.ReadFile(state.PKI("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("read authority: no certificate in it")
	}
	return &Client{http: &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}},
	}}, nil
}

// Close lets go of open connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, into)
}

func (c *Client) do(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, layout.APIServer+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the API server: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read answer of the API server: %w", err)
	}
	if resp.StatusCode == http.StatusNotFound && method == http.MethodDelete {
		return nil
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: the API server says %s", method, path, resp.Status)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("understand answer to %s: %w", path, err)
	}
	return nil
}

// Ready says whether the API server is ready to serve.
func (c *Client) Ready(ctx context.Context) error { return c.get(ctx, "/readyz", nil) }

// Version is the version the API server gives itself.
func (c *Client) Version(ctx context.Context) (string, error) {
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	return v.GitVersion, c.get(ctx, "/version", &v)
}

// node is what the API server knows about one host.
type node struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Status struct {
		Conditions []struct {
			Type              string    `json:"type"`
			Status            string    `json:"status"`
			LastHeartbeatTime time.Time `json:"lastHeartbeatTime"`
		} `json:"conditions"`
	} `json:"status"`
}

// ready says whether the node is Ready by its kubelet's word of that time or later. A stored condition
// may be from before a restart.
func (n node) ready(since time.Time) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True" && !c.LastHeartbeatTime.Before(since.Truncate(time.Second))
		}
	}
	return false
}

// NodeReady says whether a node is Ready, by a word of its kubelet that is not older than since.
func (c *Client) NodeReady(ctx context.Context, name string, since time.Time) (bool, error) {
	var n node
	err := c.get(ctx, "/api/v1/nodes/"+name, &n)
	return err == nil && n.ready(since), err
}

// Nodes are the names of the nodes that are Ready.
func (c *Client) Nodes(ctx context.Context) (ready []string, err error) {
	var list struct {
		Items []node `json:"items"`
	}
	if err := c.get(ctx, "/api/v1/nodes", &list); err != nil {
		return nil, err
	}
	for _, n := range list.Items {
		if n.ready(time.Time{}) {
			ready = append(ready, n.Metadata.Name)
		}
	}
	return ready, nil
}

// ForgetNode deletes the Node of a host that is no longer part of the sandbox.
func (c *Client) ForgetNode(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, "/api/v1/nodes/"+name, nil)
}

// Endpoints are the addresses of a Service of kube-system that are ready.
func (c *Client) Endpoints(ctx context.Context, service string) ([]string, error) {
	var list struct {
		Items []struct {
			Endpoints []struct {
				Addresses  []string `json:"addresses"`
				Conditions struct {
					Ready bool `json:"ready"`
				} `json:"conditions"`
			} `json:"endpoints"`
		} `json:"items"`
	}
	path := "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices?labelSelector=kubernetes.io/service-name=" + service
	if err := c.get(ctx, path, &list); err != nil {
		return nil, err
	}
	var ready []string
	for _, slice := range list.Items {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready {
				ready = append(ready, e.Addresses...)
			}
		}
	}
	return ready, nil
}
