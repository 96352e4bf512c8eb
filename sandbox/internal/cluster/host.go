// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/cgroup"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/daemons"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/machine"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/network"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/owner"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/process"
)

// Power switches one host off as a power failure would, or on again.
func (s Sandbox) Power(ctx context.Context, name string, on bool) error {
	return s.withHost(ctx, name, func(h layout.Host, running map[string]process.Host) error {
		now, isOn := running[name]
		switch {
		case on && isOn:
			s.Out.Step("host %s is on already", name)
			return nil
		case on:
			if err := s.powerOn(ctx, h); err != nil {
				return err
			}
			s.Out.Step("host %s is on", name)
			return s.recordHosts()
		case !isOn:
			s.Out.Step("host %s is off already", name)
			return nil
		}
		if err := s.powerOff(ctx, h, now); err != nil {
			return err
		}
		s.Out.Step("host %s is off", name)
		return s.recordHosts()
	})
}

// Cut takes one host off the network; with the address of a pod of the host only that pod.
func (s Sandbox) Cut(ctx context.Context, name, pod string) error {
	return s.withRunning(ctx, name, func(h layout.Host, now process.Host) error {
		if pod == "" {
			if err := network.Cut(ctx, h); err != nil {
				return err
			}
			s.Out.Step("host %s is cut off the network", name)
			return nil
		}
		if err := network.CutPod(ctx, now.PID, pod); err != nil {
			return fmt.Errorf("cut a pod of host %s: %w", name, err)
		}
		s.Out.Step("pod %s of host %s is cut off the network", pod, name)
		return nil
	})
}

// Join puts one host and all its pods on the network again.
func (s Sandbox) Join(ctx context.Context, name string) error {
	return s.withRunning(ctx, name, func(h layout.Host, now process.Host) error {
		if err := network.Join(ctx, h, now.PID); err != nil {
			return err
		}
		s.Out.Step("host %s is on the network", name)
		return nil
	})
}

func (s Sandbox) withRunning(ctx context.Context, name string, do func(h layout.Host, now process.Host) error) error {
	return s.withHost(ctx, name, func(h layout.Host, running map[string]process.Host) error {
		now, on := running[name]
		if !on {
			return fmt.Errorf("host %s is off: start it first", name)
		}
		return do(h, now)
	})
}

// withHost runs do with the lock held, if the sandbox is up and has such a host.
func (s Sandbox) withHost(ctx context.Context, name string, do func(h layout.Host, running map[string]process.Host) error) error {
	workers, err := s.workers()
	if err != nil {
		return err
	}
	h, err := layout.Find(name, workers)
	if err != nil {
		return err
	}
	unlock, err := s.lock(ctx, "host")
	if err != nil {
		return err
	}
	defer unlock()
	scene, err := s.scene()
	if err != nil {
		return err
	}
	switch verdict, state := owner.Judge(scene); {
	case verdict == owner.Foreign:
		return ForeignError{state}
	// With all hosts switched off one by one, the record still says that this sandbox is up.
	case verdict == owner.Mine, verdict == owner.Dead && state == string(s.State):
	default:
		return fmt.Errorf("the sandbox of %s is not up: run sandbox up", s.State)
	}
	running, err := s.running()
	if err != nil {
		return err
	}
	return do(h, running)
}

// powerOn starts a host from the spec that was written for it.
func (s Sandbox) powerOn(ctx context.Context, h layout.Host) error {
	spec, err := machine.Read(s.State.Host(h.Name, machine.SpecFile))
	if err != nil {
		return err
	}
	for _, d := range spec.Daemons {
		if _, err := os.Stat(d.Command[0]); err != nil {
			return fmt.Errorf("start host %s: %s is gone (run sandbox up): %w", h.Name, d.Name, err)
		}
	}
	tree, err := cgroup.Detect(cgroupDir)
	if err != nil {
		return err
	}
	if err := tree.RemoveHost(ctx, h.Name); err != nil {
		return err
	}
	if _, err := tree.Make(h.Name); err != nil {
		return err
	}
	log := s.State.Host(h.Name, "log", "host.log")
	return machine.Start(ctx, h.Name, string(s.State), log, func(pid int) error { return network.Attach(ctx, h, pid) })
}

func (s Sandbox) powerOff(ctx context.Context, h layout.Host, now process.Host) error {
	if err := process.Kill(ctx, now); err != nil {
		return err
	}
	if err := network.Detach(ctx, h); err != nil {
		return err
	}
	tree, err := cgroup.Detect(cgroupDir)
	if err != nil {
		return err
	}
	return tree.RemoveHost(ctx, h.Name)
}

// settle brings one host to the wanted text: it starts it, restarts it if its text has changed, and leaves
// it alone otherwise. It says whether the host was started.
func (s Sandbox) settle(ctx context.Context, h layout.Host, text daemons.Text, running map[string]process.Host) (started bool, err error) {
	want, err := text.Spec.Encode()
	if err != nil {
		return false, err
	}
	path := s.State.Host(h.Name, machine.SpecFile)
	if now, on := running[h.Name]; on {
		// The spec on disk is the one the host was started with: it is written below only while the host is off.
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, want) {
			return false, network.Join(ctx, h, now.PID)
		}
		s.Out.Step("restarting host %s: its configuration has changed", h.Name)
		if err := s.powerOff(ctx, h, now); err != nil {
			return false, err
		}
	}
	for _, dir := range append(text.Dirs, s.State.Host(h.Name, "log")) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return false, fmt.Errorf("make directory of host %s: %w", h.Name, err)
		}
	}
	for file, content := range text.Files {
		if err := replace(file, content); err != nil {
			return false, err
		}
	}
	if err := replace(path, want); err != nil {
		return false, err
	}
	return true, s.powerOn(ctx, h)
}

// recordHosts notes the running hosts in the owner record.
func (s Sandbox) recordHosts() error {
	record, err := owner.Read(owner.Dir)
	if err != nil || record == nil {
		return err
	}
	running, err := s.running()
	if err != nil {
		return err
	}
	record.Hosts = nil
	for _, h := range layout.Hosts(layout.MaxWorkers) {
		if now, on := running[h.Name]; on {
			record.Hosts = append(record.Hosts, now)
		}
	}
	return owner.Write(owner.Dir, record)
}
