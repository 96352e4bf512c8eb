// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instance/engine"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
	"github.com/antdb-operator/antdb-operator/internal/scram"
)

// Initializer is the part of the engine that makes data directories.
type Initializer interface {
	InitDB(ctx context.Context, data, wal, passwordFile string) error
	Adopt(ctx context.Context, data, verifier string) error
	Control(ctx context.Context, data string) (engine.Control, error)
}

// Maker makes a data directory.
type Maker struct {
	Engine Initializer
	Self   pod.Identity
	// Template is a data directory that the image brings along, to copy in place of running initdb; empty if there is none.
	Template string
	// Fill puts the content into the half-made folders; nil calls Init. wal is empty for the usual place.
	Fill func(ctx context.Context, data, wal string) error
	// Join is the token of the join that asked for it, if one did.
	Join string
	// Data is the data directory to make and WAL the folder of its log; empty for the usual place.
	Data, WAL string
	// PasswordFile holds the superuser's password. It is read where it is, so that no copy can be left behind.
	PasswordFile string
	// Settings is the file that postgresql.conf shall include.
	Settings string
	Log      *slog.Logger
}

// Make carries a Make step out. Everything is made under names that mark it as half made and gets its own name at the
// very end, the data directory last.
func (m Maker) Make(ctx context.Context, step Make) error {
	for _, path := range step.Remove {
		m.Log.Warn("removing what was left half made", "path", path)
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove half-made folder: %w", err)
		}
	}
	data, wal := pod.HalfMade(m.Data), ""
	if m.WAL != "" {
		wal = pod.HalfMade(m.WAL)
	}
	fill := m.Fill
	if fill == nil {
		fill = m.Init
	}
	if err := fill(ctx, data, wal); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	control, err := m.Engine.Control(ctx, data)
	if err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if err := m.furnish(data, wal, Mark{Identity: m.Self, SystemIdentifier: control.SystemIdentifier, Join: m.Join}); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if wal != "" {
		if err := rename(wal, m.WAL); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
	}
	if err := rename(data, m.Data); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	m.Log.Info("data directory made", "path", m.Data, "systemIdentifier", control.SystemIdentifier)
	return nil
}

// Init fills folders with an empty database.
func (m Maker) Init(ctx context.Context, data, wal string) error {
	password, err := readPassword(m.PasswordFile)
	if err != nil {
		return err
	}
	if err := m.empty(ctx, data, wal, password); err != nil {
		return err
	}
	if wal != "" {
		if err := durable.SyncVolume(wal); err != nil {
			return err
		}
	}
	return durable.SyncVolume(data)
}

// empty copies the template, and runs initdb where there is none or it is of no use.
func (m Maker) empty(ctx context.Context, data, wal, password string) error {
	if m.Template != "" {
		err := m.fromTemplate(ctx, data, wal, password)
		if err == nil {
			m.Log.Info("the image's template copied", "template", m.Template)
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		m.Log.Warn("the image's template is of no use, running initdb", "template", m.Template, "error", err)
		if err := errors.Join(os.RemoveAll(data), os.RemoveAll(wal)); err != nil {
			return err
		}
	}
	return m.Engine.InitDB(ctx, data, wal, m.PasswordFile)
}

// Discard marks a finished data directory as half made, so that the next look at the volume removes it.
func Discard(data string) error {
	half := pod.HalfMade(data)
	if err := os.RemoveAll(half); err != nil {
		return fmt.Errorf("discard %s: %w", data, err)
	}
	if err := rename(data, half); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("discard %s: %w", data, err)
	}
	return nil
}

// furnish adds what the instance manager needs in a data directory.
func (m Maker) furnish(data, wal string, mark Mark) error {
	main := filepath.Join(data, "postgresql.conf")
	text, err := os.ReadFile(main)
	if err != nil {
		return fmt.Errorf("include settings: %w", err)
	}
	text = []byte(pgconf.WithInclude(string(text), m.Settings, m.Settings))
	if err := durable.WriteFile(main, text, 0o600); err != nil {
		return err
	}
	if wal != "" {
		if err := relink(filepath.Join(data, "pg_wal"), m.WAL); err != nil {
			return err
		}
		if err := durable.WriteJSON(filepath.Join(wal, MarkName), mark); err != nil {
			return err
		}
	}
	return durable.WriteJSON(filepath.Join(data, MarkName), mark)
}

// relink points the log's link at the name that the folder is about to get.
func relink(link, target string) error {
	if err := errors.Join(os.Remove(link), os.Symlink(target, link)); err != nil {
		return fmt.Errorf("link write-ahead log: %w", err)
	}
	return durable.SyncDir(filepath.Dir(link))
}

func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(to))
}

func readPassword(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read superuser's password: %w", err)
	}
	line := scram.FirstLine(text)
	if strings.TrimSpace(line) == "" {
		return "", fmt.Errorf("read superuser's password: %s has no text in its first line: the Secret's key \"password\" must not be empty", file)
	}
	return line, nil
}
