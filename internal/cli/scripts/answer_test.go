// SPDX-License-Identifier: Apache-2.0

package scripts_test

import (
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/cli/scripts"
)

func TestTheLastMessageOfAServerIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		said string
		want scripts.Error
		none bool
	}{
		"an error": {
			said: "psql:<stdin>:3: ERROR:  42P01: relation \"x\" does not exist\nLINE 1: select * from x;\n                      ^\nLOCATION:  parserOpenTable, parse_relation.c:1180\n",
			want: scripts.Error{Line: 3, Code: "42P01", Text: `relation "x" does not exist`},
		},
		"after a notice": {
			said: "psql:<stdin>:1: NOTICE:  42P07: relation \"t\" already exists, skipping\nLOCATION:  x\npsql:<stdin>:12: ERROR:  22012: division by zero\n",
			want: scripts.Error{Line: 12, Code: "22012", Text: "division by zero"},
		},
		"with what is said beside it": {
			said: "psql:<stdin>:2: ERROR:  2BP01: role \"a\" cannot be dropped because some objects depend on it\nDETAIL:  owner of table t\nHINT:  Use it.\n",
			want: scripts.Error{Line: 2, Code: "2BP01", Text: `role "a" cannot be dropped because some objects depend on it: owner of table t: Use it.`},
		},
		"in another language": {
			said: "psql:<stdin>:2: FEHLER:  42601: Syntaxfehler\r\n",
			want: scripts.Error{Line: 2, Code: "42601", Text: "Syntaxfehler"},
		},
		"after what failed before": {
			said: "psql:<stdin>:3: ERROR:  42P01: relation \"x\" does not exist\nDETAIL:  none\npsql:<stdin>:6: ERROR:  25P02: current transaction is aborted\n",
			want: scripts.Error{Line: 3, Code: "42P01", Text: `relation "x" does not exist: none`},
		},
		"psql's own words": {said: "psql: could not connect to server: No such file or directory\n", none: true},
		"nothing":          {none: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := scripts.LastError(c.said)
			if ok == c.none || got != c.want {
				t.Errorf("found %+v, %t", got, ok)
			}
		})
	}
}
