// SPDX-License-Identifier: Apache-2.0

package owner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Lock makes this process the only one on the machine that changes a sandbox, until it ends or unlock is
// called. If another one is at work, wait is told what that is, once, and Lock waits for its end.
func Lock(ctx context.Context, dir, what string, wait func(holder string)) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make owner directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := acquire(ctx, f, wait); err != nil {
		_ = f.Close()
		return nil, err
	}
	// The text is for whoever waits; the lock itself is the kernel's and ends with this process.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(what), 0)
	}
	return func() { _ = f.Close() }, nil
}

func acquire(ctx context.Context, f *os.File, wait func(holder string)) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for told := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("lock: %w", err)
		}
		if !told {
			holder, _ := io.ReadAll(io.NewSectionReader(f, 0, 4096))
			wait(strings.TrimSpace(string(holder)))
			told = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
