// SPDX-License-Identifier: Apache-2.0

package peers_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/internal/instance/peers"
)

func pod(name string, change func(*corev1.Pod), ips ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, ip := range ips {
		p.Status.PodIP = ips[0]
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	if change != nil {
		change(p)
	}
	return p
}

func texts(addresses []netip.Addr) []string {
	var out []string
	for _, a := range addresses {
		out = append(out, a.String())
	}
	return out
}

func TestOnlyAddressesThatBelongToOnePodAloneAreTrusted(t *testing.T) {
	s := &peers.Set{Own: []netip.Addr{netip.MustParseAddr("192.0.2.9")}, Changed: func([]netip.Addr) {}}
	if d := cmp.Diff([]string{"192.0.2.9"}, texts(s.Addresses())); d != "" || s.Synced() {
		t.Errorf("at first synced is %v, addresses (-want +got):\n%s", s.Synced(), d)
	}
	err := s.Replace([]any{
		pod("a", nil, "192.0.2.2"),
		pod("b", nil, "192.0.2.1", "fd00::1"),
		pod("no address yet", nil),
		pod("ended", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, "192.0.2.3"),
		pod("done", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, "192.0.2.4"),
		pod("in the host's network", func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "192.0.2.5"),
		pod("garbage", nil, "not an address"),
	}, "1")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"192.0.2.1", "192.0.2.2", "192.0.2.9", "fd00::1"}
	if d := cmp.Diff(want, texts(s.Addresses())); d != "" || !s.Synced() {
		t.Errorf("synced %v, addresses (-want +got):\n%s", s.Synced(), d)
	}
}

func TestChangesAreToldOnceAndOnlyWhenAddressesChange(t *testing.T) {
	var told [][]string
	s := &peers.Set{Changed: func(a []netip.Addr) { told = append(told, texts(a)) }}
	for _, step := range []func() error{
		func() error { return s.Replace([]any{pod("a", nil, "192.0.2.1")}, "1") },
		func() error { return s.Update(pod("a", nil, "192.0.2.1")) },
		func() error { return s.Add(pod("b", nil)) },
		func() error { return s.Update(pod("b", nil, "192.0.2.2")) },
		func() error { return s.Update(pod("a", nil, "192.0.2.7")) },
		func() error { return s.Delete(pod("b", nil, "192.0.2.2")) },
		s.Resync,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	want := [][]string{{"192.0.2.1"}, {"192.0.2.1", "192.0.2.2"}, {"192.0.2.2", "192.0.2.7"}, {"192.0.2.7"}}
	if d := cmp.Diff(want, told); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
}

func TestAMoveOfGCIsToldOnceItAcceptsElsewhere(t *testing.T) {
	var moves []string
	s := &peers.Set{Changed: func([]netip.Addr) {}, GTMMoved: func(a netip.Addr) { moves = append(moves, a.String()) }}
	gc := func(accepting, ip string) *corev1.Pod {
		return pod("demo-gc-1", func(p *corev1.Pod) {
			p.Labels = map[string]string{"antdb.io/role": "gtm", "antdb.io/accepting": accepting}
		}, ip)
	}
	for _, step := range []struct {
		pod  *corev1.Pod
		want []string
	}{
		{gc("true", "192.0.2.1"), nil}, // nothing was known before
		{gc("false", "192.0.2.1"), nil},
		{gc("true", "192.0.2.1"), nil}, // the same place: its system refused what was sent meanwhile
		{gc("false", "192.0.2.2"), nil},
		{pod("demo-dn1-1", func(p *corev1.Pod) {
			p.Labels = map[string]string{"antdb.io/role": "datanode", "antdb.io/accepting": "true"}
		}, "192.0.2.3"), nil},
		{gc("true", "192.0.2.2"), []string{"192.0.2.2"}},
		{gc("true", "192.0.2.2"), []string{"192.0.2.2"}},
	} {
		if err := s.Update(step.pod); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(step.want, moves); d != "" {
			t.Fatalf("after %s at %s: moves (-want +got):\n%s", step.pod.Labels, step.pod.Status.PodIP, d)
		}
	}
}
