// SPDX-License-Identifier: Apache-2.0

package configure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"

	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// ErrNone says that no configuration is there.
var ErrNone = errors.New("no configuration was given yet")

// Checker lets the engine read a candidate configuration file.
type Checker interface {
	CheckSettings(ctx context.Context, data, configFile string) ([]pgconf.Problem, error)
}

// Server is the running server, as far as a configuration concerns it.
type Server interface {
	// FileErrors lists what the server would refuse in the files as they are on disk. known is false while the server
	// cannot be asked.
	FileErrors(context.Context) (problems []pgconf.Problem, known bool)
	// Reload makes the server read its files again, some time.
	Reload()
	// ReloadNow waits until it did and names the settings that wait for a restart. known is false while the server
	// cannot be asked; it is made to reload all the same.
	ReloadNow(context.Context) (pending []string, known bool)
}

// Keeper keeps the configuration of one server.
type Keeper struct {
	Own pgconf.Own
	// Data is the data directory and State the instance manager's folder beside it.
	Data, State string
	// Memory is how many bytes the server may use; 0 if that is not known.
	Memory  uint64
	Checker Checker
	Server  Server
	Log     *slog.Logger

	apply sync.Mutex // held while a configuration is tried

	mu      sync.Mutex // guards what follows
	current *instanceapi.Config
	// started is what the server was started with last, and proven what one came up with.
	started, proven *instanceapi.Config
	// suspect did not come up and is stood in for by current.
	suspect *instanceapi.Config
	strikes int
	peers   []netip.Addr
	// closed says that nobody but the cluster itself is let in.
	closed bool
	// access is the text of pg_hba.conf as it was written last.
	access string
	status instanceapi.ConfigStatus
}

// Status is what the instance tells of its configuration.
func (k *Keeper) Status() instanceapi.ConfigStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Known tells whether there is a configuration.
func (k *Keeper) Known() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current != nil
}

// GTMHost is where gc is reached.
func (k *Keeper) GTMHost() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == nil {
		return ""
	}
	return k.current.GTMHost
}

// Begin takes the configuration to start with. One that the engine refuses, or under which the server was killed again
// and again, is replaced by the last that worked.
func (k *Keeper) Begin(ctx context.Context, c instanceapi.Config) error {
	proven, err := remembered(k.State, provenName)
	if err != nil {
		k.Log.Warn("the last good configuration cannot be read and is forgotten", "error", err)
	}
	k.mu.Lock()
	k.proven = proven
	isProven := k.isProven(c)
	k.mu.Unlock()
	var problems []pgconf.Problem
	if !isProven {
		if problems, err = k.suspicions(ctx, c); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(problems) > 0 {
		k.noteRejected(c, problems)
		c = k.standIn(c)
	}
	return k.accept(c)
}

// suspicions lists what speaks against starting with a configuration that never worked before.
func (k *Keeper) suspicions(ctx context.Context, c instanceapi.Config) ([]pgconf.Problem, error) {
	count, err := k.strikesFor(c)
	if err != nil {
		return nil, err
	}
	if count >= maxStrikes {
		return []pgconf.Problem{{Message: fmt.Sprintf("the server was started with it %d times and was killed each time "+
			"before it was up: is there enough memory for it?", count)}}, nil
	}
	return k.try(ctx, c)
}

// Apply tries a configuration and gives it to the server. The server's files are untouched until the engine itself
// has read the candidate without complaint.
func (k *Keeper) Apply(ctx context.Context, c instanceapi.Config) (instanceapi.ConfigResult, error) {
	k.apply.Lock()
	defer k.apply.Unlock()
	hash := c.Hash()
	if known := k.alreadyKnown(hash); known {
		return instanceapi.ConfigResult{ConfigStatus: k.Status()}, nil
	}
	problems, err := k.try(ctx, c)
	if err != nil {
		return instanceapi.ConfigResult{}, err
	}
	if len(problems) == 0 {
		problems, err = k.install(ctx, c)
		if err != nil {
			return instanceapi.ConfigResult{}, err
		}
	}
	if len(problems) > 0 {
		k.reject(c, problems)
		return instanceapi.ConfigResult{ConfigStatus: k.Status()}, nil
	}
	k.Log.Info("configuration accepted", "hash", hash)
	if pending, known := k.Server.ReloadNow(ctx); known {
		k.NotePending(pending)
		if len(pending) == 0 { // all of it is in effect
			k.mu.Lock()
			defer k.mu.Unlock()
			k.started = k.current
			return instanceapi.ConfigResult{ConfigStatus: k.status, Changed: true}, k.prove()
		}
	}
	return instanceapi.ConfigResult{ConfigStatus: k.Status(), Changed: true}, nil
}

// Renew writes the files of the present configuration anew, whatever stands there, makes the server read them, and tells to
// what it objects, as far as it can be asked.
func (k *Keeper) Renew(ctx context.Context) ([]pgconf.Problem, error) {
	k.apply.Lock()
	defer k.apply.Unlock()
	k.mu.Lock()
	if k.current == nil {
		k.mu.Unlock()
		return nil, ErrNone
	}
	k.access = ""
	err := k.write(*k.current)
	k.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	problems, _ := k.Server.FileErrors(ctx)
	if pending, known := k.Server.ReloadNow(ctx); known {
		k.NotePending(pending)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.quoteLines(problems)
	return problems, nil
}

// alreadyKnown tells that there is nothing to do: the server has this configuration or has refused it.
func (k *Keeper) alreadyKnown(hash string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if hash == k.status.RejectedHash {
		return true
	}
	if hash != k.status.Hash {
		return false
	}
	k.status.RejectedHash, k.status.Rejected = "", nil
	return true
}

// install writes the files, lets a running server look at them and takes them back if it objects.
func (k *Keeper) install(ctx context.Context, c instanceapi.Config) ([]pgconf.Problem, error) {
	k.mu.Lock()
	before := k.current
	err := k.write(c)
	k.mu.Unlock()
	var problems []pgconf.Problem
	if err == nil {
		problems, _ = k.Server.FileErrors(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.quoteLines(problems)
	if err == nil && len(problems) == 0 {
		k.status.RejectedHash, k.status.Rejected, k.suspect = "", nil, nil
		return nil, k.accept(c)
	}
	if before != nil {
		err = errors.Join(err, k.write(*before))
	}
	return problems, err
}

// accept makes c the current configuration, on disk too. The caller holds mu.
func (k *Keeper) accept(c instanceapi.Config) error {
	if err := durable.WriteJSON(filepath.Join(k.State, acceptedName), c); err != nil {
		return fmt.Errorf("remember configuration: %w", err)
	}
	k.current = &c
	k.status.Hash = c.Hash()
	return nil
}

// NotePending takes the names of settings that wait for a restart, as the server tells them.
func (k *Keeper) NotePending(names []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.PendingRestart = nil
	if len(names) > 0 {
		k.status.PendingRestart = names
	}
}
