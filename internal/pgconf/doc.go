// SPDX-License-Identifier: Apache-2.0

// Package pgconf writes the configuration files of a server as text: its settings, pg_hba.conf and the recovery
// settings of PostgreSQL 11 and of 12 and later. It also holds the rules about which settings a user may set.
//
// It knows syntax, quoting and the rules. It reads and writes no file, asks no server, and does not know which values
// an engine accepts: only the engine itself does.
package pgconf

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Quote writes a value of a configuration file.
//
// Line breaks are escaped, since the engine's reader ends a quoted value at the end of a line and would take the rest
// for the next setting.
func Quote(value string) string {
	return "'" + strings.NewReplacer(
		`'`, `''`,
		`\`, `\\`,
		"\n", `\n`,
		"\r", `\r`,
		"\t", `\t`,
	).Replace(value) + "'"
}

var engineVersion = regexp.MustCompile(`PostgreSQL\) ([0-9]+)`)

// Major takes the PostgreSQL major version out of what `postgres --version` prints.
func Major(version string) (int, error) {
	m := engineVersion.FindStringSubmatch(version)
	if m == nil {
		return 0, fmt.Errorf("read engine version %q: expected text such as \"postgres (PostgreSQL) 11.10\"", version)
	}
	major, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, fmt.Errorf("read engine version %q: %w", version, err)
	}
	return major, nil
}
