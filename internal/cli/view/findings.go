// SPDX-License-Identifier: Apache-2.0

package view

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
)

// Findings tells what is wrong with a cluster, why, and what to run. unknown is what could not be read.
func Findings(s Style, cluster string, found []examine.Finding, unknown []string) string {
	l := &lines{style: s}
	count := map[examine.Weight]int{}
	for _, f := range found {
		count[f.Weight]++
	}
	var sum []string
	for _, w := range []examine.Weight{examine.Problem, examine.Warning, examine.Note} {
		if n := count[w]; n > 0 {
			sum = append(sum, Noun(n, string(w)))
		}
	}
	if len(sum) == 0 {
		sum = append(sum, s.paint(green, "nothing is wrong"))
	}
	l.add(s.paint(bold, cluster), "  ", strings.Join(sum, ", "))
	for _, f := range found {
		l.add()
		mark, tone := "✗", red
		switch f.Weight {
		case examine.Warning:
			mark, tone = "!", yellow
		case examine.Note:
			mark, tone = "·", ""
		case examine.Problem:
		}
		l.add(s.paint(tone, mark+" "+f.What))
		l.paragraph("  ", f.Why)
		for _, command := range f.Run {
			l.add("  → ", command)
		}
	}
	if len(unknown) > 0 {
		l.add()
		l.paragraph("", "Not looked at: "+strings.Join(unknown, ", "))
	}
	return l.String()
}
