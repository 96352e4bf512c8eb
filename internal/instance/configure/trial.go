// SPDX-License-Identifier: Apache-2.0

package configure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// try lets our rules and then the engine look at a candidate, away from the files of the server.
func (k *Keeper) try(ctx context.Context, c instanceapi.Config) (problems []pgconf.Problem, err error) {
	problems = append(pgconf.CheckParameters(c.Parameters), pgconf.CheckHBA(c.HBA)...)
	if k.Memory > 0 {
		problems = append(problems, pgconf.CheckMemory(c.Parameters, k.Memory)...)
	}
	if len(problems) > 0 {
		return problems, nil
	}
	main, err := os.ReadFile(filepath.Join(k.Data, "postgresql.conf"))
	if err != nil {
		return nil, fmt.Errorf("try configuration: %w", err)
	}
	folder, err := os.MkdirTemp("", "antdb-candidate-")
	if err != nil {
		return nil, fmt.Errorf("try configuration: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	settings, file := filepath.Join(folder, settingsName), filepath.Join(folder, "postgresql.conf")
	err = errors.Join(
		os.WriteFile(settings, []byte(pgconf.Settings(k.own(c), c.Parameters)), 0o600),
		os.WriteFile(file, []byte(pgconf.WithInclude(string(main), SettingsPath(k.State), settings)), 0o600),
	)
	if err != nil {
		return nil, fmt.Errorf("try configuration: %w", err)
	}
	problems, err = k.Checker.CheckSettings(ctx, k.Data, file)
	for i, p := range problems {
		if p.Value == "" {
			problems[i].Value = c.Parameters[p.Name]
		}
	}
	return problems, err
}

func (k *Keeper) own(c instanceapi.Config) pgconf.Own {
	own := k.Own
	own.GTMHost = c.GTMHost
	own.HBAFile = HBAPath(k.State)
	return own
}

// reject records a configuration that is not used.
func (k *Keeper) reject(c instanceapi.Config, problems []pgconf.Problem) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.noteRejected(c, problems)
}

// noteRejected is reject for a caller that holds mu.
func (k *Keeper) noteRejected(c instanceapi.Config, problems []pgconf.Problem) {
	k.status.RejectedHash, k.status.Rejected = c.Hash(), nil
	for _, p := range problems {
		k.Log.Warn("configuration refused", "hash", k.status.RejectedHash, "name", p.Name, "value", p.Value, "why", p.Message)
		k.status.Rejected = append(k.status.Rejected, instanceapi.Rejected(p))
	}
}

// Prepare writes the files for a start.
func (k *Keeper) Prepare() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == nil {
		return ErrNone
	}
	if err := k.stripOwned(); err != nil {
		return err
	}
	if err := k.write(*k.current); err != nil {
		return err
	}
	k.started = k.current
	if err := k.strike(); err != nil { // no reason not to start
		k.Log.Warn("start not counted", "error", err)
	}
	return nil
}

// CameUp remembers that a server came up with the configuration it was started with.
func (k *Keeper) CameUp() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.suspect = nil
	if k.started == k.current {
		k.status.PendingRestart = nil
	}
	return errors.Join(k.prove(), k.forgive())
}

// prove remembers that what the server was started with works. The caller holds mu.
func (k *Keeper) prove() error {
	if k.started == nil || k.isProven(*k.started) {
		return nil
	}
	if err := durable.WriteJSON(filepath.Join(k.State, provenName), k.started); err != nil {
		return fmt.Errorf("remember good configuration: %w", err)
	}
	k.proven = k.started
	return nil
}

// FailedStart decides what to do about a server that ended before it was up. gaveUp says that it ended by itself; one
// that was killed, most likely since there was not enough memory, gets a second chance. FailedStart returns true if
// the server should be started again at once, with the configuration that worked before.
//
// When that one does not come up either, it was not the configuration, and the newer one is used again.
func (k *Keeper) FailedStart(message string, gaveUp bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !gaveUp && k.strikes < maxStrikes {
		return false
	}
	if k.suspect != nil {
		k.status.RejectedHash, k.status.Rejected = "", nil
		k.resume(*k.suspect)
		k.suspect = nil
		return false
	}
	if k.started == nil || k.isProven(*k.started) {
		return false
	}
	next := k.standIn(*k.started)
	if next.Hash() == k.started.Hash() {
		return false
	}
	suspect := *k.started
	k.noteRejected(suspect, pgconf.Complaints("FATAL:  "+message))
	k.suspect = &suspect
	return k.resume(next)
}

// standIn is what to run with in place of a configuration that does not work. The caller holds mu.
func (k *Keeper) standIn(c instanceapi.Config) instanceapi.Config {
	if k.proven != nil {
		return *k.proven
	}
	return fallback(c)
}

// isProven tells that a server came up with the configuration before. The caller holds mu.
func (k *Keeper) isProven(c instanceapi.Config) bool {
	return k.proven != nil && k.proven.Hash() == c.Hash()
}

// resume makes c current without asking anybody. The caller holds mu.
func (k *Keeper) resume(c instanceapi.Config) bool {
	if err := k.accept(c); err != nil {
		k.Log.Error("configuration not changed", "error", err)
		return false
	}
	return true
}
