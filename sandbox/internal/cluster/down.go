// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/owner"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/preflight"
)

// Down switches every host off and removes all that the sandbox has in the kernel. With purge it removes
// the state too. A sandbox of another state is left alone.
func (s Sandbox) Down(ctx context.Context, purge bool) error {
	if err := preflight.Rights(procDir); err != nil {
		return err
	}
	unlock, err := s.lock(ctx, "down")
	if err != nil {
		return err
	}
	defer unlock()
	scene, err := s.scene()
	if err != nil {
		return err
	}
	switch verdict, state := owner.Judge(scene); verdict {
	case owner.Foreign:
		s.Out.Step("not up; another sandbox is, with its state in %s", state)
	case owner.Free:
		s.Out.Step("not up")
	case owner.Mine, owner.Dead:
		if err := s.switchOff(ctx, scene); err != nil {
			return err
		}
		s.Out.Step("down: no process, link, route or control group is left")
	}
	if purge {
		return s.purge()
	}
	return nil
}

func (s Sandbox) switchOff(ctx context.Context, scene owner.Scene) error {
	var failed []error
	for _, now := range scene.Running {
		h, err := layout.Find(now.Name, layout.MaxWorkers)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		failed = append(failed, s.powerOff(ctx, h, now))
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return sweep(ctx, scene.Record)
}

// purge removes what the sandbox wrote, by name: the state directory may hold other people's files.
func (s Sandbox) purge() error {
	for _, name := range []string{"hosts", "volumes", "pki", "bin", "kubeconfig", settingsFile} {
		if err := os.RemoveAll(s.State.Path(name)); err != nil {
			return fmt.Errorf("remove state: %w", err)
		}
	}
	// Only if it is empty now.
	_ = os.Remove(string(s.State))
	s.Out.Step("state removed")
	return nil
}
