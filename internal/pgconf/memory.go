// SPDX-License-Identifier: Apache-2.0

package pgconf

import (
	"fmt"
	"regexp"
	"strconv"
)

// sharedBuffers is the setting that a server allocates in full when it starts.
const sharedBuffers = "shared_buffers"

var memoryValue = regexp.MustCompile(`^\s*([0-9]+)\s*(B|kB|MB|GB|TB)?\s*$`)

// CheckMemory refuses shared buffers that cannot fit into the memory that a server may use, in bytes. A server that
// tried would be killed while it starts, and where its pod has no limit other pods of its host with it.
//
// A value that is no number with a unit is left to the engine.
func CheckMemory(parameters map[string]string, available uint64) []Problem {
	value := parameters[sharedBuffers]
	m := memoryValue.FindStringSubmatch(value)
	if m == nil {
		return nil
	}
	number, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return nil
	}
	unit := map[string]float64{"": 8 << 10, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}[m[2]]
	if number*unit < float64(available) {
		return nil
	}
	return []Problem{{sharedBuffers, value, fmt.Sprintf("parameter %q: %s does not fit into the memory that the pod may use, "+
		"which is %d MB: the smaller of its limit and of its host's memory", sharedBuffers, value, available>>20)}}
}
