// SPDX-License-Identifier: Apache-2.0

package pgconf_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

func rules(a pgconf.Access) []string {
	var lines []string
	for l := range strings.Lines(pgconf.HBA(a)) {
		if l = strings.TrimSuffix(l, "\n"); !strings.HasPrefix(l, "#") {
			lines = append(lines, l)
		}
	}
	return lines
}

func TestPeersComeInByTheirOwnAddressesOnlyAndInOrder(t *testing.T) {
	got := rules(pgconf.Access{Peers: []netip.Addr{
		netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.0.0.10"), netip.MustParseAddr("::ffff:10.0.0.9"),
		netip.MustParseAddr("fd00::1"),
	}})
	want := []string{
		"local all all trust",
		"host all all 10.0.0.9/32 trust", "host replication all 10.0.0.9/32 trust",
		"host all all 10.0.0.10/32 trust", "host replication all 10.0.0.10/32 trust",
		"host all all fd00::1/128 trust", "host replication all fd00::1/128 trust",
		"host all postgres 0.0.0.0/0 reject", "host all postgres ::/0 reject",
		"host all all all scram-sha-256",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("rules (-want +got):\n%s", d)
	}
}

func TestAClosedDoorKeepsEverybodyOutButTheClusterItself(t *testing.T) {
	got := rules(pgconf.Access{Peers: []netip.Addr{netip.MustParseAddr("10.0.0.9")}, Closed: true, SuperuserAccess: true, Lines: []string{"host all app all md5"}})
	want := []string{
		"local all all trust", "host all all 10.0.0.9/32 trust", "host replication all 10.0.0.9/32 trust",
		"host all all all reject", "host all app all md5",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("rules (-want +got):\n%s", d)
	}
}

func TestTheSuperuserComesInFromElsewhereOnlyWhenAllowed(t *testing.T) {
	got := rules(pgconf.Access{SuperuserAccess: true, Lines: []string{"hostssl app app 192.0.2.0/24 md5"}})
	if d := cmp.Diff([]string{"local all all trust", "hostssl app app 192.0.2.0/24 md5"}, got); d != "" {
		t.Errorf("rules (-want +got):\n%s", d)
	}
}

func TestLinesAreAcceptedOrRefusedWithTheRule(t *testing.T) {
	for line, part := range map[string]string{
		"host all all all scram-sha-256":                    "",
		"host all all 192.0.2.1 255.255.255.255 md5":        "",
		"hostssl \"a b\" app,bob 192.0.2.0/24 cert map=x":   "",
		"host all a, b 192.0.2.0/24 md5":                    "",
		"local all all scram-sha-256":                       "",
		"host all all fd00::/8 reject # nobody":             "",
		"  # only a comment":                                "",
		"":                                                  "",
		"host all all all trust":                            `method "trust" is not allowed`,
		"host all all all \"trust\"":                        `method "trust" is not allowed`,
		"host all all 10.0.0.0/8\ttrust":                    `method "trust" is not allowed`,
		"host all all 10.0.0.1 255.0.0.0 trust":             `method "trust" is not allowed`,
		"host db u, 10.0.0.0/8 md5 trust":                   `method "trust" is not allowed`,
		"local all all peer":                                `method "peer" is not allowed`,
		"host all all 10.0.0.0/99 md5":                      `"10.0.0.0/99" is no range of addresses`,
		"host all all":                                      "too few fields",
		"hosts all all all md5":                             "no type of connection",
		"include /tmp/more.conf":                            "no type of connection",
		"host all \"all all md5":                            "not closed",
		"host all all all md5\nhost all all all trust":      "one line",
		"host all all all md5 \\":                           "one line",
		"host all all all":                                  "too few fields",
		"host all all all md5 # and then\x00host all trust": "one line",
	} {
		problems := pgconf.CheckHBA([]string{line})
		switch {
		case part == "" && len(problems) > 0:
			t.Errorf("line %q is refused: %s", line, problems[0].Message)
		case part != "" && len(problems) == 0:
			t.Errorf("line %q is accepted", line)
		case part != "" && !strings.Contains(problems[0].Message, part):
			t.Errorf("line %q: message %q does not say %q", line, problems[0].Message, part)
		}
	}
}

// Whatever a user writes, what is accepted lets nobody in without proof: no rule with the method trust but ours.
func TestNoAcceptedLineTrusts(t *testing.T) {
	word := rapid.SampledFrom([]string{"host", "local", "all", "trust", "md5", "a,", ",b", "10.0.0.0/8", "10.0.0.1", "255.0.0.0", "\"trust\"", "#", "\"", " ", "\t"})
	rapid.Check(t, func(r *rapid.T) {
		line := strings.Join(rapid.SliceOfN(word, 1, 8).Draw(r, "words"), " ")
		if len(pgconf.CheckHBA([]string{line})) > 0 {
			return
		}
		if method := methodOf(line); method == "trust" {
			r.Errorf("accepted: %q", line)
		}
	})
}

// methodOf finds the method of a line the way the engine does: lists go on after a comma, an address without a number
// of bits is followed by a mask.
func methodOf(line string) string {
	line, _, _ = strings.Cut(line, "#")
	for strings.Contains(line, ", ") || strings.Contains(line, ",\t") {
		line = strings.NewReplacer(", ", ",", ",\t", ",").Replace(line)
	}
	f := strings.Fields(strings.ReplaceAll(line, `"`, ""))
	switch {
	case len(f) > 3 && f[0] == "local":
		return f[3]
	case len(f) > 5 && f[0] == "host" && !strings.Contains(f[3], "/") && f[3] != "all":
		if _, err := netip.ParseAddr(f[3]); err == nil {
			return f[5]
		}
		return f[4]
	case len(f) > 4 && f[0] == "host":
		return f[4]
	}
	return ""
}
