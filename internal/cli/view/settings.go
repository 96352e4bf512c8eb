// SPDX-License-Identifier: Apache-2.0

package view

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
)

// Settings shows the settings that nodes run with, where each comes from, and those that wait for a restart. asked are
// the nodes that were asked.
func Settings(s Style, cluster string, all []examine.Effective, asked int) string {
	l := &lines{style: s}
	pending := 0
	t := table{heads: []string{"PARAMETER", "VALUE", "FROM", "NODES"}}
	const longest = 32 // values such as shared_preload_libraries may be long; -o yaml prints them whole
	for _, e := range all {
		nodes, value := strings.Join(e.Nodes, ", "), Clip(clean(e.Value), longest)
		if len(e.Nodes) == asked && asked > 1 {
			nodes = "all"
		}
		if e.PendingRestart {
			pending++
			value = s.paint(yellow, value+" *")
		}
		t.row(e.Name, value, e.From, nodes)
	}
	l.add(s.paint(bold, cluster), "  ", Noun(len(all), "setting"), " of ", Noun(asked, "node"))
	l.add()
	t.draw(l)
	if pending > 0 {
		l.add()
		l.add("* another value is written down and waits for a restart")
	}
	return l.String()
}
