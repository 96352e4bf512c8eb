// SPDX-License-Identifier: Apache-2.0

package pod_test

import (
	"testing"
	"testing/fstest"

	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
)

func TestMemoryIsTheSmallerOfLimitAndHost(t *testing.T) {
	const host = "MemTotal:        4194304 kB\nMemFree:          100 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  uint64
	}{
		"nothing to read":         {nil, 0},
		"no limit":                {map[string]string{"proc/meminfo": host, "sys/fs/cgroup/memory.max": "max\n"}, 4 << 30},
		"limit, cgroup version 2": {map[string]string{"proc/meminfo": host, "sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30},
		"limit, cgroup version 1": {map[string]string{"proc/meminfo": host, "sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n"}, 512 << 20},
		"no limit, version 1":     {map[string]string{"proc/meminfo": host, "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 4 << 30},
		"only a limit":            {map[string]string{"sys/fs/cgroup/memory.max": "1024\n"}, 1024},
	} {
		root := fstest.MapFS{}
		for file, text := range c.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := pod.Memory(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
