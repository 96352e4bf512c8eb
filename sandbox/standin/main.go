// SPDX-License-Identifier: Apache-2.0

// Command standin stands in for AntDB cluster edition over a PostgreSQL 15: called as initdb, postgres, pg_ctl,
// pg_basebackup, pg_rewind, pg_dump or pg_dumpall it behaves as AntDB's program of that name. See README.md.
package main

import (
	"os"
	"path/filepath"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/engine"
)

func main() {
	os.Exit(engine.Main(filepath.Base(os.Args[0]), os.Args[1:]))
}
