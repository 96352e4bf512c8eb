// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
)

func TestEveryAddressIsInsideItsRangeAndUnique(t *testing.T) {
	seen := map[string]string{layout.MachineIP: "the machine"}
	for _, h := range layout.Hosts(layout.MaxWorkers) {
		if other, taken := seen[h.IP()]; taken {
			t.Errorf("%s and %s have the address %s", h.Name, other, h.IP())
		}
		seen[h.IP()] = h.Name
		if !netip.MustParsePrefix(layout.HostNet).Contains(netip.MustParseAddr(h.IP())) {
			t.Errorf("%s: address %s is outside %s", h.Name, h.IP(), layout.HostNet)
		}
		if h.Worker() && !netip.MustParsePrefix(layout.PodNet).Overlaps(netip.MustParsePrefix(h.PodNet())) {
			t.Errorf("%s: pods %s are outside %s", h.Name, h.PodNet(), layout.PodNet)
		}
	}
	for _, ip := range []string{layout.ServiceIP, layout.DNSIP} {
		if !netip.MustParsePrefix(layout.ServiceNet).Contains(netip.MustParseAddr(ip)) {
			t.Errorf("%s is outside %s", ip, layout.ServiceNet)
		}
	}
}

func TestTheRangesDoNotOverlap(t *testing.T) {
	nets := layout.Nets()
	for i, a := range nets {
		for _, b := range nets[i+1:] {
			if a.Overlaps(b) {
				t.Errorf("%s overlaps %s", a, b)
			}
		}
	}
}

func TestLinkNamesFitIntoTheKernelsFifteenLetters(t *testing.T) {
	for _, h := range layout.Hosts(layout.MaxWorkers) {
		if len(h.Link()) > 15 || !strings.HasPrefix(h.Link(), layout.Prefix) {
			t.Errorf("link %q of %s", h.Link(), h.Name)
		}
	}
}

func TestFindNamesWhatThereIs(t *testing.T) {
	if h, err := layout.Find("node2", 2); err != nil || h.Index != 2 {
		t.Errorf("Find(node2) = %v, %v", h, err)
	}
	if _, err := layout.Find("node3", 2); err == nil || !strings.Contains(err.Error(), "node1 to node2") {
		t.Errorf("Find(node3) of two hosts = %v, want an error that names what there is", err)
	}
}
