// SPDX-License-Identifier: Apache-2.0

package configure

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// write writes the server's files. The caller holds mu.
func (k *Keeper) write(c instanceapi.Config) error {
	text := pgconf.Settings(k.own(c), c.Parameters)
	if err := durable.WriteFile(SettingsPath(k.State), []byte(text), 0o600); err != nil {
		return err
	}
	_, err := k.writeAccess(c)
	return err
}

// writeAccess writes pg_hba.conf if it changes. The caller holds mu.
func (k *Keeper) writeAccess(c instanceapi.Config) (changed bool, err error) {
	text := pgconf.HBA(pgconf.Access{Peers: k.peers, Closed: k.closed, SuperuserAccess: c.SuperuserAccess, Lines: c.HBA})
	if text == k.access {
		return false, nil
	}
	if err := durable.WriteFile(HBAPath(k.State), []byte(text), 0o600); err != nil {
		return false, err
	}
	k.access = text
	return true, nil
}

// SetPeers lets exactly these addresses in without a password. Calling it again with the same ones repairs what could
// not be written before.
func (k *Keeper) SetPeers(peers []netip.Addr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.peers = slices.Clone(peers)
	if k.current == nil {
		return nil
	}
	changed, err := k.writeAccess(*k.current)
	if err != nil {
		return fmt.Errorf("let peers in: %w", err)
	}
	if changed {
		k.Log.Info("addresses of the cluster changed", "peers", peers)
		k.Server.Reload()
	}
	return nil
}

// CloseDoor lets nobody in but the cluster itself, or opens to others again.
func (k *Keeper) CloseDoor(closed bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = closed
	if k.current == nil {
		return nil
	}
	changed, err := k.writeAccess(*k.current)
	if err != nil {
		return fmt.Errorf("change who is let in: %w", err)
	}
	if changed {
		k.Server.Reload()
	}
	return nil
}

// stripOwned takes the settings that the operator keeps out of what ALTER SYSTEM left; the server reads that last of
// all.
func (k *Keeper) stripOwned() error {
	path := filepath.Join(k.Data, "postgresql.auto.conf")
	auto, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what ALTER SYSTEM set: %w", err)
	}
	text, removed := pgconf.WithoutOwned(string(auto))
	if len(removed) == 0 {
		return nil
	}
	k.Log.Warn("settings that the operator keeps were set by ALTER SYSTEM and are removed", "names", removed)
	return durable.WriteFile(path, []byte(text), 0o600)
}

// quoteLines puts the text of a line of pg_hba.conf where the server names its number. The caller holds mu.
func (k *Keeper) quoteLines(problems []pgconf.Problem) {
	lines := strings.Split(k.access, "\n")
	for i, p := range problems {
		if n, err := strconv.Atoi(p.Value); p.Name == pgconf.HBAProblem && err == nil && 0 < n && n <= len(lines) {
			problems[i].Value = lines[n-1]
		}
	}
}
