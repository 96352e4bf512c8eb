// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"os"
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/instance/engine"
)

// With other options the template of an image would be of no use, and nobody would notice but by the time it takes.
func TestImagesMakeTheirTemplatesWithTheOptionsOfInitdb(t *testing.T) {
	want := strings.Join(engine.InitOptions(), " ")
	for _, file := range []string{"Makefile", "deploy/images/Dockerfile.antdb", "deploy/images/Dockerfile.standin"} {
		text, err := os.ReadFile("../../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s does not have %s", file, want)
		}
	}
}
