// SPDX-License-Identifier: Apache-2.0

package simulated

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// port of the instance API.
const port = 8443

// instance answers for one pod.
type instance struct {
	certificate tls.Certificate
	server      *http.Server
	publish     func()     // called without the lock
	publishing  sync.Mutex // one write at a time, so that the last one tells the latest

	mu       sync.Mutex
	status   instanceapi.Status
	topology instanceapi.Topology
	told     int
}

// instance reads what the pod mounts.
func (h *Hosts) instance(ctx context.Context, pod *corev1.Pod) (*instance, error) {
	cluster, node := pod.Labels[labelCluster], pod.Labels[labelNode]
	secret, err := h.Client.CoreV1().Secrets(pod.Namespace).Get(ctx, cluster+"-instances-tls", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("use the certificate of %s: %w", secret.Name, err)
	}
	first, err := h.Client.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, cluster+"-config", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	var config instanceapi.Config
	if err := json.Unmarshal([]byte(first.Data[node+".json"]), &config); err != nil {
		return nil, fmt.Errorf("read first configuration of %s: %w", node, err)
	}
	i := &instance{certificate: certificate}
	i.status = instanceapi.Status{
		Cluster: cluster, Node: node, Instance: pod.Name, Role: antdb.Role(pod.Labels[labelRole]), Primary: true,
		State: instanceapi.StateRunning, Accepting: true, Version: "simulated", Timeline: 1, Starts: 1,
		SystemIdentifier: string(pod.UID), SchemaDigest: "none", Config: instanceapi.ConfigStatus{Hash: config.Hash()},
	}
	if i.status.Role.HoldsCatalog() {
		i.status.Catalog = &instanceapi.CatalogStatus{Have: "as made by initdb"}
	} else {
		i.status.Serving = true
	}
	return i, nil
}

func (i *instance) listen(ctx context.Context, address string) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	i.server = &http.Server{
		Handler: i.handler(), ReadHeaderTimeout: 5 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{i.certificate}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13},
	}
	go func() { _ = i.server.ServeTLS(l, "", "") }() // it ends by close
	return nil
}

func (i *instance) close() error { return i.server.Close() }

// news is what the instance publishes, numbered.
func (i *instance) news() (serving bool, number int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.told++
	return i.status.Serving, i.told
}

func (i *instance) handler() http.Handler {
	m := http.NewServeMux()
	answer := func(pattern string, do func(*http.Request) (any, error)) {
		m.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			i.mu.Lock()
			out, err := do(r)
			i.mu.Unlock()
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				out = instanceapi.Problem{Error: err.Error()}
			}
			_ = json.NewEncoder(w).Encode(out) // the operator tells if it got no answer
			if r.Method != http.MethodGet {
				i.publish()
			}
		})
	}
	answer("GET "+instanceapi.PathStatus, func(*http.Request) (any, error) { return i.status, nil })
	answer("GET "+instanceapi.PathReach, func(*http.Request) (any, error) { return i.reach(), nil })
	answer("PUT "+instanceapi.PathTopology, i.takeTopology)
	answer("PUT "+instanceapi.PathConfig, i.takeConfig)
	answer("POST "+instanceapi.PathBootstrap, func(*http.Request) (any, error) {
		i.status.Bootstrap.Phase = instanceapi.BootstrapDone
		return struct{}{}, nil
	})
	for _, path := range []string{instanceapi.PathCredentials, instanceapi.PathRestart, instanceapi.PathEscape} {
		answer("POST "+path, func(*http.Request) (any, error) { return nil, errors.New("nothing to do in a simulation") })
	}
	return m
}

func (i *instance) reach() instanceapi.Reach {
	r := instanceapi.Reach{Datanodes: map[string]string{}}
	for _, n := range i.topology.Nodes {
		if n.Type == antdb.TypeDatanode {
			r.Datanodes[n.Name] = ""
		}
	}
	return r
}

func (i *instance) takeTopology(r *http.Request) (any, error) {
	if err := json.NewDecoder(r.Body).Decode(&i.topology); err != nil {
		return nil, err
	}
	hash := i.topology.Hash()
	i.status.Catalog = &instanceapi.CatalogStatus{WantGeneration: i.topology.Generation, WantHash: hash, Have: hash}
	i.status.Serving = true
	return instanceapi.TopologyResult{Hash: hash}, nil
}

func (i *instance) takeConfig(r *http.Request) (any, error) {
	var config instanceapi.Config
	if err := json.NewDecoder(r.Body).Decode(&config); err != nil {
		return nil, err
	}
	i.status.Config = instanceapi.ConfigStatus{Hash: config.Hash()}
	return instanceapi.ConfigResult{ConfigStatus: i.status.Config, Changed: true}, nil
}
