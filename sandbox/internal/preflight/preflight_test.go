// SPDX-License-Identifier: Apache-2.0

package preflight_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/preflight"
)

const routes = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
antdb0	0000590A	00000000	0001	0	0	0	00FFFFFF	0	0	0
vpn0	0000F40A	00000000	0001	0	0	0	0000FFFF	0	0	0
`

func TestRoutesAreReadWithoutTheDefault(t *testing.T) {
	got, err := preflight.ParseRoutes(routes)
	if err != nil {
		t.Fatal(err)
	}
	want := []preflight.Route{
		{Link: "eth0", Net: netip.MustParsePrefix("192.0.2.0/24")},
		{Link: "antdb0", Net: netip.MustParsePrefix("10.89.0.0/24")},
		{Link: "vpn0", Net: netip.MustParsePrefix("10.244.0.0/16")},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

func TestTaken(t *testing.T) {
	for _, c := range []struct {
		name, used, link string
		refused          bool
	}{
		{name: "another range", used: "192.0.2.0/24", link: "eth0"},
		{name: "the same range", used: "10.96.0.0/16", link: "eth0", refused: true},
		{name: "a part of a range", used: "10.244.7.0/24", link: "docker0", refused: true},
		{name: "a range around ours", used: "10.0.0.0/8", link: "tun0", refused: true},
		{name: "our own bridge", used: "10.89.0.0/24", link: layout.Bridge},
	} {
		t.Run(c.name, func(t *testing.T) {
			used := []preflight.Route{{Link: c.link, Net: netip.MustParsePrefix(c.used)}}
			err := preflight.Taken(layout.Nets(), used, layout.Bridge)
			if (err != nil) != c.refused {
				t.Fatalf("refused: %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.used) || !strings.Contains(err.Error(), c.link)) {
				t.Errorf("the refusal %q does not name %s and %s", err, c.used, c.link)
			}
		})
	}
}

func TestMissingCapabilities(t *testing.T) {
	for _, c := range []struct {
		name, effective string
		want            []string
	}{
		{name: "all there are", effective: "000001ffffffffff"},
		{name: "all but SYS_RESOURCE, which is not needed", effective: "000001fffeffffff"},
		{name: "a container's usual ones", effective: "00000000a80425fb", want: []string{"NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := preflight.MissingCapabilities("Name:\tx\nCapPrm:\t0\nCapEff:\t" + c.effective + "\nCapBnd:\t0\n")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := preflight.MissingCapabilities("Name:\tx\n"); err == nil {
		t.Error("a status without capabilities is no error")
	}
}

func TestAStateThatHostsCannotSeeIsRefused(t *testing.T) {
	hidden := []string{"/run", "/var/lib/kubelet"}
	for state, refused := range map[string]bool{
		"/run": true, "/run/x/.sandbox": true, "/var/lib/kubelet/x": true,
		"/runner/x": false, "/var/lib/x": false, "/home/x/run/.sandbox": false,
	} {
		if err := preflight.Place(state, hidden); (err != nil) != refused {
			t.Errorf("Place(%s) = %v", state, err)
		}
	}
}

func TestRoomIsThatOfTheNearestDirectoryThatExists(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	if err := preflight.Room(dir, 1); err != nil {
		t.Errorf("one byte: %v", err)
	}
	if err := preflight.Room(dir, 1<<60); err == nil || !strings.Contains(err.Error(), "GB needed") {
		t.Errorf("an exabyte: %v", err)
	}
}

func TestPackagesAreInstalledOnDebian12Only(t *testing.T) {
	release := filepath.Join(t.TempDir(), "os-release")
	text := "PRETTY_NAME=\"Ubuntu\"\nID=ubuntu\nVERSION_ID=\"24.04\"\n"
	if err := os.WriteFile(release, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	err := preflight.Distribution(release, []string{"runc", "socat"})
	if err == nil || !strings.Contains(err.Error(), "ubuntu 24.04") || !strings.Contains(err.Error(), "runc, socat") {
		t.Errorf("refusal %v, want what it is and what is missing", err)
	}
}
