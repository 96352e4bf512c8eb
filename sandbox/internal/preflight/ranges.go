// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Route is an address range that the machine uses, and by which link.
type Route struct {
	Link string
	Net  netip.Prefix
}

// ParseRoutes reads /proc/net/route. The default route takes no range from anyone and is left out.
func ParseRoutes(table string) ([]Route, error) {
	var routes []Route
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		fields := strings.Fields(line)
		if i == 0 || len(fields) < 8 {
			continue // the heading
		}
		net, err := strconv.ParseUint(fields[1], 16, 32)
		if err != nil {
			return nil, fmt.Errorf("read route %q: %w", line, err)
		}
		mask, err := strconv.ParseUint(fields[7], 16, 32)
		if err != nil {
			return nil, fmt.Errorf("read route %q: %w", line, err)
		}
		if mask == 0 {
			continue
		}
		var address [4]byte // the file has the numbers as they lie in memory
		binary.LittleEndian.PutUint32(address[:], uint32(net))
		prefix := netip.PrefixFrom(netip.AddrFrom4(address), bits.OnesCount32(uint32(mask)))
		routes = append(routes, Route{Link: fields[0], Net: prefix.Masked()})
	}
	return routes, nil
}

// Taken refuses if one of the wanted ranges overlaps one that is used by another link than our own.
func Taken(want []netip.Prefix, used []Route, own string) error {
	for _, w := range want {
		for _, u := range used {
			if u.Link != own && w.Overlaps(u.Net) {
				return fmt.Errorf("address range %s: the machine uses %s already (link %s); "+
					"the sandbox cannot use another one, take that link or route down", w, u.Net, u.Link)
			}
		}
	}
	return nil
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
