// SPDX-License-Identifier: Apache-2.0

package configure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// maxStrikes is how often a server may be killed while it starts with a configuration that never worked before.
const maxStrikes = 2

// strikes counts starts with a configuration that were not seen to end. It is kept on the volume: a container that
// runs out of memory ends with everything in it, this process too.
type strikes struct {
	Hash  string `json:"hash"`
	Count int    `json:"count"`
}

func (k *Keeper) strikesPath() string { return filepath.Join(k.State, "strikes.json") }

// strike counts one more start with a configuration that is not proven. The caller holds mu.
func (k *Keeper) strike() error {
	if k.isProven(*k.started) {
		k.strikes = 0
		return nil
	}
	before, err := k.strikesFor(*k.started)
	if err != nil {
		return err
	}
	k.strikes = before + 1
	if err := durable.WriteJSON(k.strikesPath(), strikes{Hash: k.started.Hash(), Count: k.strikes}); err != nil {
		return fmt.Errorf("count starts: %w", err)
	}
	return nil
}

func (k *Keeper) strikesFor(c instanceapi.Config) (int, error) {
	var s strikes
	if _, err := durable.ReadJSON(k.strikesPath(), &s); err != nil {
		return 0, err
	}
	if s.Hash != c.Hash() {
		return 0, nil
	}
	return s.Count, nil
}

// forgive forgets the count: a server is up.
func (k *Keeper) forgive() error {
	k.strikes = 0
	err := os.Remove(k.strikesPath())
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("forget starts: %w", err)
}
