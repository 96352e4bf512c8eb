// SPDX-License-Identifier: Apache-2.0

// Package machine is the first process of a sandbox host, its PID 1: it makes the host's private view of
// the file system, keeps the host's daemons running and reaps what falls to it. It knows no Kubernetes;
// everything it does is written in its Spec.
package machine

import (
	"encoding/json"
	"fmt"
	"os"
)

// Spec is one host.
type Spec struct {
	Name    string            `json:"name"`
	Stamp   string            `json:"stamp"`   // identity of what the files named here contain
	Cgroups []string          `json:"cgroups"` // cgroup.procs files to enter before anything else
	Network []string          `json:"network"` // lines for ip -batch, once the cable is plugged in
	Sysctl  map[string]string `json:"sysctl"`  // settings of the host's own network
	Binds   []Bind            `json:"binds"`   // directories of the host in place of the machine's
	Share   bool              `json:"share"`   // whether mounts made in the root reach pods
	Daemons []Daemon          `json:"daemons"`
}

// Bind puts one directory in the place of another.
type Bind struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Daemon is a program that must always run.
type Daemon struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
	Log     string   `json:"log"`
	// After is an address that must answer first, as unix:PATH, tcp:HOST:PORT or https://PAGE: a daemon that
	// starts before what it needs ends with an error, or backs off and loses seconds.
	After string `json:"after,omitempty"`
}

// Read reads a spec.
func Read(path string) (Spec, error) {
	var s Spec
	data, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("read host: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read host %s: %w", path, err)
	}
	return s, nil
}

// Encode is the text that Read reads.
func (s Spec) Encode() ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode host %s: %w", s.Name, err)
	}
	return append(data, '\n'), nil
}
