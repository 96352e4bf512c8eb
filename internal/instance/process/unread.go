// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Unread is how many bytes wait in each TCP connection that a process holds, by the connection's inode; those in which
// nothing waits are left out.
func Unread(pid int) (map[string]int, error) {
	held, err := sockets(pid)
	if err != nil {
		return nil, err
	}
	waiting := map[string]int{}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		text, err := os.ReadFile(procfs(pid, table))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without this version of IP
		}
		if err != nil {
			return nil, err
		}
		for inode, n := range queued(text) {
			if held[inode] {
				waiting[inode] = n
			}
		}
	}
	return waiting, nil
}

// sockets are the inodes of all sockets that a process holds.
func sockets(pid int) (map[string]bool, error) {
	entries, err := os.ReadDir(procfs(pid, "fd"))
	if err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for _, e := range entries {
		to, err := os.Readlink(procfs(pid, "fd/"+e.Name()))
		if inode, ok := strings.CutPrefix(to, "socket:["); err == nil && ok {
			held[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return held, nil
}

// queued reads the established connections in which something waits to be read out of a table of the kernel's.
func queued(table []byte) map[string]int {
	const established = "01"
	const state, queues, inode = 3, 4, 9 // fields of a line
	out := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || fields[state] != established {
			continue
		}
		_, received, _ := strings.Cut(fields[queues], ":")
		if n, err := strconv.ParseInt(received, 16, 64); err == nil && n > 0 {
			out[fields[inode]] = int(n)
		}
	}
	return out
}
