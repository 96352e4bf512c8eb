// SPDX-License-Identifier: Apache-2.0

// Package peers follows the addresses of a cluster's pods.
//
// Nodes let each other in by address. The addresses come straight from the API server, so that pods which return with
// new ones find each other while the operator is away. The package does not know what the addresses are used for.
package peers

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Set is the present addresses. It is filled by a reflector, which lists, watches, and begins again with growing
// pauses when the API server is away; the last addresses stay meanwhile.
type Set struct {
	// Own are the addresses of this pod itself, which count from the very start.
	Own []netip.Addr
	// Changed is called with every change, sorted.
	Changed func([]netip.Addr)
	// GTMMoved is called when gc accepts connections at another address than before.
	GTMMoved func(netip.Addr)

	mu     sync.Mutex
	byPod  map[string][]netip.Addr
	synced bool
	last   []netip.Addr
	gtm    netip.Addr // where gc accepted connections last
}

// Follow keeps the set up to date until ctx ends.
func (s *Set) Follow(ctx context.Context, pods cache.ListerWatcher, log *slog.Logger) {
	r := cache.NewReflectorWithOptions(pods, &corev1.Pod{}, s, cache.ReflectorOptions{
		Name:            "peers",
		TypeDescription: "pods of the cluster",
	})
	r.RunWithContext(klog.NewContext(ctx, logr.FromSlogHandler(log.Handler())))
}

// Synced tells whether the API server was heard since the start.
func (s *Set) Synced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.synced
}

// Addresses are the present addresses, sorted.
func (s *Set) Addresses() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addresses()
}

func (s *Set) addresses() []netip.Addr {
	all := slices.Clone(s.Own)
	for _, of := range s.byPod {
		all = append(all, of...)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// Add is called by the reflector.
func (s *Set) Add(o any) error { return s.Update(o) }

// Update is called by the reflector.
func (s *Set) Update(o any) error {
	s.change(func() { s.put(o) })
	return nil
}

// Delete is called by the reflector.
func (s *Set) Delete(o any) error {
	if p, ok := o.(*corev1.Pod); ok {
		s.change(func() { delete(s.byPod, p.Name) })
	}
	return nil
}

// Replace is called by the reflector.
func (s *Set) Replace(objects []any, _ string) error {
	s.change(func() {
		s.byPod, s.synced = map[string][]netip.Addr{}, true
		for _, o := range objects {
			s.put(o)
		}
	})
	return nil
}

// Resync is called by the reflector.
func (s *Set) Resync() error { return nil }

func (s *Set) put(o any) {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	if s.byPod == nil {
		s.byPod = map[string][]netip.Addr{}
	}
	if of := trusted(p); len(of) > 0 {
		s.byPod[p.Name] = of
		if p.Labels[naming.LabelRole] == string(antdb.RoleGTM) && p.Labels[naming.LabelAccepting] == "true" {
			s.gtm = of[0]
		}
	} else {
		delete(s.byPod, p.Name)
	}
}

// trusted are the addresses that belong to this pod and to nobody else. A pod that has ended gave its address back; one
// in the host's network has the host's, which all its processes share.
func trusted(p *corev1.Pod) []netip.Addr {
	if p.Spec.HostNetwork || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return nil
	}
	unique := map[netip.Addr]bool{}
	for _, ip := range append(slices.Clone(p.Status.PodIPs), corev1.PodIP{IP: p.Status.PodIP}) {
		if a, err := netip.ParseAddr(ip.IP); err == nil {
			unique[a.Unmap()] = true
		}
	}
	return slices.SortedFunc(maps.Keys(unique), netip.Addr.Compare)
}

func (s *Set) change(do func()) {
	s.mu.Lock()
	wasSynced := s.synced
	wasAt := s.gtm
	do()
	now, at := s.addresses(), s.gtm
	changed := !slices.Equal(now, s.last) || s.synced != wasSynced
	s.last = now
	s.mu.Unlock()
	if changed {
		s.Changed(now)
	}
	if wasAt.IsValid() && at != wasAt && s.GTMMoved != nil {
		s.GTMMoved(at)
	}
}
