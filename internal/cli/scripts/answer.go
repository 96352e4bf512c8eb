// SPDX-License-Identifier: Apache-2.0

package scripts

import (
	"regexp"
	"strconv"
	"strings"
)

// Error is what a server answered to a statement.
type Error struct {
	// Line of the text that psql was given, on which the statement ends.
	Line int
	// Code is the SQLSTATE.
	Code, Text string
}

// message is how psql begins to tell of one, if it is to be verbose: psql:<stdin>:3: ERROR:  42P01: relation …
var message = regexp.MustCompile(`^psql:<stdin>:([0-9]+): \S+:  ([0-9A-Z]{5}): (.*)$`)

// aborted is what a server answers in a transaction in which something has failed before.
const aborted = "25P02"

// LastError finds the last message of the server in what psql wrote to standard error: psql, told to stop at errors, has
// none after it but those that only tell of an earlier one. Details and hints belong to it, the place in the engine's source
// does not.
func LastError(said string) (e Error, ok bool) {
	for line := range strings.Lines(said) {
		line = strings.TrimRight(line, "\r\n")
		if m := message.FindStringSubmatch(line); m != nil && (m[2] != aborted || !ok) {
			n, err := strconv.Atoi(m[1])
			e, ok = Error{Line: n, Code: m[2], Text: m[3]}, err == nil
			continue
		}
		for _, more := range []string{"DETAIL:", "HINT:"} {
			if rest, found := strings.CutPrefix(line, more); found && ok {
				e.Text += ": " + strings.TrimSpace(rest)
			}
		}
	}
	return e, ok
}
