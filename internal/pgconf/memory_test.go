// SPDX-License-Identifier: Apache-2.0

package pgconf_test

import (
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

func TestSharedBuffersMustFitIntoMemory(t *testing.T) {
	const available = 2 << 30
	for value, refused := range map[string]bool{
		"":                           false,
		"512MB":                      false,
		"2047MB":                     false,
		"2GB":                        true,
		" 4 TB ":                     true,
		"262143":                     false, // blocks of 8 kB
		"262144":                     true,
		"2097152kB":                  true,
		"1073741824":                 true,
		"999999999999999999999999TB": true,
		"much":                       false, // the engine says what is wrong with it
		"2gb":                        false,
		"-1":                         false,
		"2.5GB":                      false,
	} {
		problems := pgconf.CheckMemory(map[string]string{"shared_buffers": value}, available)
		if got := len(problems) > 0; got != refused {
			t.Errorf("%q: %v, want refused %v", value, problems, refused)
		}
		for _, p := range problems {
			if p.Value != value || !strings.Contains(p.Message, "2048 MB") {
				t.Errorf("%q: %+v does not say what is allowed", value, p)
			}
		}
	}
}
