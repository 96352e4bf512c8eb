// SPDX-License-Identifier: Apache-2.0

package pgconf

import (
	"regexp"
	"strings"
)

var (
	complaint = regexp.MustCompile(`(?:LOG|ERROR|FATAL|WARNING|HINT|DETAIL):\s+(.*)$`)
	named     = regexp.MustCompile(`parameter "([^"]+)"`)
	valued    = regexp.MustCompile(`parameter "[^"]+": "([^"]*)"`)
)

// Complaints takes what a server says of its configuration file apart, one problem for each setting. A final remark
// that the file contains errors is left out when something precise came before it.
func Complaints(messages string) []Problem {
	var problems []Problem
	for line := range strings.Lines(messages) {
		m := complaint.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil {
			continue
		}
		text := strings.TrimSpace(m[1])
		if last := len(problems) - 1; last >= 0 && isAside(line) {
			problems[last].Message += ": " + text
			continue
		}
		if strings.Contains(line, "FATAL:") && len(problems) > 0 {
			continue
		}
		p := Problem{Message: text}
		if n := named.FindStringSubmatch(text); n != nil {
			p.Name = n[1]
		}
		if v := valued.FindStringSubmatch(text); v != nil {
			p.Value = v[1]
		}
		problems = append(problems, p)
	}
	return problems
}

// isAside tells that a line explains the one before it.
func isAside(line string) bool {
	return strings.Contains(line, "HINT:") || strings.Contains(line, "DETAIL:")
}
