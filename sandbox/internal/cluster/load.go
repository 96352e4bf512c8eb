// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/daemons"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/image"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/process"
)

// Load puts the images of the given tars on every host that is switched on.
func (s Sandbox) Load(ctx context.Context, tars []string) error {
	if err := checkImages(tars); err != nil {
		return err
	}
	unlock, err := s.lock(ctx, "load")
	if err != nil {
		return err
	}
	defer unlock()
	running, err := s.running()
	if err != nil {
		return err
	}
	if len(workersOf(running)) == 0 {
		return fmt.Errorf("the sandbox of %s has no host switched on: run sandbox up", s.State)
	}
	return s.loadAll(ctx, running, tars)
}

// checkImages finds a tar that is no image before anything is started.
func checkImages(tars []string) error {
	for _, tar := range tars {
		if _, err := image.Contents(tar); err != nil {
			return err
		}
	}
	return nil
}

// loadAll loads all tars into all workers, one host beside the other.
func (s Sandbox) loadAll(ctx context.Context, running map[string]process.Host, tars []string) error {
	hosts := workersOf(running)
	failed := make([]error, len(hosts))
	var all sync.WaitGroup
	for i, h := range hosts {
		all.Go(func() { failed[i] = s.loadHost(ctx, h, tars) })
	}
	all.Wait()
	return errors.Join(failed...)
}

func (s Sandbox) loadHost(ctx context.Context, h process.Host, tars []string) error {
	store := store{socket: fmt.Sprintf("/proc/%d/root%s", h.PID, daemons.ContainerdSocket)}
	err := until(ctx, "containerd of host "+h.Name, 30*time.Second, func(ctx context.Context) (bool, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", store.socket)
		if err != nil {
			return false, err
		}
		return true, conn.Close()
	})
	if err != nil {
		return s.pointAt(err, h.Name, "containerd")
	}
	for _, tar := range tars {
		content, err := image.Contents(tar)
		if err != nil {
			return err
		}
		if store.hasAll(ctx, content) {
			continue
		}
		if err := store.load(ctx, tar); err != nil {
			return fmt.Errorf("load %s into host %s: %w", tar, h.Name, err)
		}
		s.Out.Step("%s loaded into host %s", filepath.Base(tar), h.Name)
	}
	return nil
}
