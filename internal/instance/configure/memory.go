// SPDX-License-Identifier: Apache-2.0

// Package configure takes configurations, tries them, writes the server's files and goes back to the last good one
// when a server does not come up.
//
// It knows files and the order of things. What a setting means is the engine's to judge, and how the files look is
// written in package pgconf.
package configure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/antdb-operator/antdb-operator/internal/instance/durable"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// Names of files in the instance manager's folder on the volume.
const (
	settingsName = "antdb.conf"
	hbaName      = "pg_hba.conf"
	acceptedName = "config.json" // the configuration that was accepted last
	provenName   = "proven.json" // the configuration that a server came up with last
)

// SettingsPath is the file that postgresql.conf includes.
func SettingsPath(state string) string { return filepath.Join(state, settingsName) }

// HBAPath is the file with the rules of access.
func HBAPath(state string) string { return filepath.Join(state, hbaName) }

// Read finds the configuration to start with: the one that the pod brings, else the one that was accepted last. It
// returns nil if there is neither.
//
// A file in the pod that cannot be read is no reason not to start: ignored says what was wrong with it.
func Read(podFile, state string) (conf *instanceapi.Config, ignored, err error) {
	text, err := os.ReadFile(podFile)
	if err == nil {
		var c instanceapi.Config
		if err = json.Unmarshal(text, &c); err == nil {
			return &c, nil, nil
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		ignored = fmt.Errorf("read configuration %s: %w", podFile, err)
	}
	conf, err = remembered(state, acceptedName)
	return conf, ignored, err
}

func remembered(state, name string) (*instanceapi.Config, error) {
	var c instanceapi.Config
	found, err := durable.ReadJSON(filepath.Join(state, name), &c)
	if err != nil || !found {
		return nil, err
	}
	return &c, nil
}

// fallback is what a server runs with when the very first configuration does not work: defaults, and nobody let in
// whom the refused lines might have kept out.
func fallback(c instanceapi.Config) instanceapi.Config {
	f := instanceapi.Config{GTMHost: c.GTMHost, SuperuserAccess: c.SuperuserAccess}
	if len(c.HBA) > 0 {
		f.HBA = []string{pgconf.NobodyHBA}
	}
	return f
}
