// SPDX-License-Identifier: Apache-2.0

// Package join makes the content of a node that is added to a running cluster: a coordinator as a copy of another one, a
// datanode as an empty one with the schema of another one.
//
// It works on folders that are marked as half made and never becomes part of the cluster. Whoever calls it gives the
// folders their names, and sees to it that no DDL runs meanwhile.
package join

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instance/process"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// Engine is the part of the engine's programs that is needed.
type Engine interface {
	BaseBackup(ctx context.Context, from, slot, data, wal string) error
	RecoverCopy(ctx context.Context, data string) error
	DumpSchema(ctx context.Context, from, file string) error
	LoadingServer(data, sockets string) *exec.Cmd
	Load(ctx context.Context, sockets, file string) (complaints string, err error)
	Freeze(ctx context.Context, sockets string) error
}

// Filler fills folders.
type Filler struct {
	Engine Engine
	// From is the host of the node that is copied.
	From string
	// Following is how a clone follows it; Major is the engine's PostgreSQL version.
	Following pgconf.Recovery
	Major     int
	// Init makes an empty database.
	Init func(ctx context.Context, data, wal string) error
	// Sockets is the folder of the unix socket of a server that loads.
	Sockets  string
	Children *process.Children
	Output   *supervise.Output
	// Step is told what begins.
	Step func(string)
	// Pause is what follows a first failure to reach the source; it doubles. The source lets a new pod in a moment
	// after that got its address.
	Pause time.Duration
	Log   *slog.Logger
}

// attempts bounds how often the source is tried.
const attempts = 5

func (f Filler) patiently(ctx context.Context, what string, do func() error) error {
	pause := f.Pause
	for i := 1; ; i++ {
		err := do()
		if err == nil || i == attempts || ctx.Err() != nil {
			return err
		}
		f.Log.Warn(what+" did not go through and is tried again", "in", pause.String(), "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		pause *= 2
	}
}

// Copy makes a coordinator.
//
// A copy brings along the two-phase transactions that its source has not decided yet: in a file, and in the log that is
// replayed. A coordinator that started with them would roll them back on the datanodes while the source commits them, and
// rows that were acknowledged would be gone. So both are left out before it is ever started as a coordinator.
func (f Filler) Copy(ctx context.Context, data, wal string) error {
	if err := f.copy(ctx, data, wal, ""); err != nil {
		return err
	}
	f.Step("recovering the copy")
	if err := f.Engine.RecoverCopy(ctx, data); err != nil {
		return fmt.Errorf("recover copy of %s: %w", f.From, err)
	}
	return nothingPrepared(data, f.From)
}

// copy copies the data directory of the source.
func (f Filler) copy(ctx context.Context, data, wal, slot string) error {
	f.Step("copying the data directory of " + f.From)
	err := f.patiently(ctx, "copy of "+f.From, func() error {
		for _, folder := range []string{data, wal} {
			if err := os.RemoveAll(folder); err != nil {
				return err
			}
		}
		return f.Engine.BaseBackup(ctx, f.From, slot, data, wal)
	})
	if err == nil {
		err = forget(data)
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", f.From, err)
	}
	return nil
}

// Clone makes a datanode that follows its source from its first start on, until the restore point comes at which it
// becomes a primary. Transactions that are prepared on the source end on both: the log says how.
func (f Filler) Clone(ctx context.Context, data, wal string) error {
	recovery := f.Following.Render(f.Major)
	if len(recovery.Settings) > 0 {
		return fmt.Errorf("clone %s: following a source is not known for PostgreSQL %d", f.From, f.Major)
	}
	if err := f.copy(ctx, data, wal, f.Following.Slot); err != nil {
		return err
	}
	for name, text := range recovery.Files {
		if err := durable.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("clone %s: %w", f.From, err)
		}
	}
	return nil
}

// undecided is where a coordinator keeps the two-phase transactions that it has not finished.
var undecided = filepath.Join("pg_rxlog", "rxact")

// forget removes what is the source's own: its undecided transactions and the lock files of its sockets.
func forget(data string) error {
	own, err := filepath.Glob(filepath.Join(data, ".s.*"))
	if err != nil {
		return err
	}
	for _, path := range append(own, filepath.Join(data, undecided)) {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// nothingPrepared refuses a copy that holds prepared transactions: nobody would ever tell it how they ended.
func nothingPrepared(data, from string) error {
	files, err := os.ReadDir(filepath.Join(data, "pg_twophase"))
	if err != nil {
		return fmt.Errorf("look for prepared transactions: %w", err)
	}
	if len(files) > 0 {
		return fmt.Errorf("%s holds %d prepared transactions, which a copy could never finish: end them on %s first", from, len(files), from)
	}
	return nil
}

// Schema makes a datanode.
func (f Filler) Schema(ctx context.Context, data, wal string) error {
	f.Step("making an empty data directory")
	if err := f.Init(ctx, data, wal); err != nil {
		return err
	}
	file := filepath.Join(data, "antdb-schema.sql")
	f.Step("reading the schema of " + f.From)
	err := f.patiently(ctx, "dump of "+f.From, func() error { return f.Engine.DumpSchema(ctx, f.From, file) })
	if err != nil {
		return fmt.Errorf("dump the schema of %s: %w", f.From, err)
	}
	f.Step("loading the schema of " + f.From)
	if err := f.whileLoading(ctx, data, func(ctx context.Context) error { return f.load(ctx, file) }); err != nil {
		return fmt.Errorf("load the schema of %s: %w", f.From, err)
	}
	return os.Remove(file)
}

// load runs the dump and freezes what it made. The rows carry transaction numbers of this server's own, and the cluster's
// snapshots may list the same numbers as still running.
func (f Filler) load(ctx context.Context, file string) error {
	complaints, err := f.Engine.Load(ctx, f.Sockets, file)
	if err != nil {
		return err
	}
	if err := unexpected(complaints); err != nil {
		return err
	}
	return f.Engine.Freeze(ctx, f.Sockets)
}

// own matches complaints about what initdb makes in every database and the dump makes again.
var own = regexp.MustCompile(`ERROR:  (role "postgres"|schema "dbms_(lock|output)"|function "(sleep|put_line)") already exists`)

// unexpected is the first complaint that is about something else.
func unexpected(complaints string) error {
	for line := range strings.Lines(complaints) {
		serious := strings.Contains(line, "ERROR:") || strings.Contains(line, "FATAL:") || strings.Contains(line, "error:")
		if serious && !own.MatchString(line) {
			return fmt.Errorf("it was refused: %s", strings.TrimSpace(line))
		}
	}
	return nil
}

// lastStop is how long the server that loaded may take to write everything down.
const lastStop = 5 * time.Minute

// whileLoading runs a server in restore mode as long as do takes.
func (f Filler) whileLoading(ctx context.Context, data string, do func(context.Context) error) error {
	life, end := context.WithCancel(ctx)
	s := supervise.New(supervise.Options{
		Data: data, Sockets: f.Sockets,
		Command:     func(supervise.Mode) *exec.Cmd { return f.Engine.LoadingServer(data, f.Sockets) },
		Prepare:     func(supervise.Mode) error { return nil },
		FailedStart: func(string, bool) bool { return false },
		StopLadder:  supervise.Immediate,
		Changed:     func(supervise.Snapshot) {},
		Children:    f.Children, Output: f.Output, Log: f.Log, Timing: supervise.DefaultTiming(),
	})
	over := make(chan struct{})
	go func() { defer close(over); s.Run(life) }()
	defer func() { end(); <-over }()
	return s.Do(ctx, func(ctx context.Context, c supervise.Control) error {
		c.Start(supervise.Restore)
		defer c.Stop(supervise.Fast(lastStop))
		if err := c.AwaitAccepting(ctx); err != nil {
			return err
		}
		return do(ctx)
	})
}
