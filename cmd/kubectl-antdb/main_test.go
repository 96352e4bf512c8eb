// SPDX-License-Identifier: Apache-2.0

// The tests give command lines to the program itself.
package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kubectl-antdb": main})
}

func TestCommandLines(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		e.Setenv("KUBECONFIG", e.WorkDir+"/none")
		return nil
	}})
}
