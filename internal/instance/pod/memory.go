// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"io/fs"
	"strconv"
	"strings"
)

// Memory is how many bytes of memory the pod may use: the smaller of its limit and of its host's memory, read from
// cgroup (both versions) and proc below root. It is 0 if neither can be read.
func Memory(root fs.FS) uint64 {
	least := uint64(0)
	consider := func(bytes uint64, err error) {
		if err == nil && bytes > 0 && (least == 0 || bytes < least) {
			least = bytes
		}
	}
	for _, file := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if text, err := fs.ReadFile(root, file); err == nil {
			consider(strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)) // "max" is no limit
		}
	}
	if text, err := fs.ReadFile(root, "proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
				kilobytes, err := strconv.ParseUint(fields[1], 10, 54)
				consider(kilobytes<<10, err)
			}
		}
	}
	return least
}
