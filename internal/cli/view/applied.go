// SPDX-License-Identifier: Apache-2.0

package view

import (
	"slices"
	"strings"
	"time"
)

// What became of a script in a cluster.
const (
	ApplyDone   = "applied"
	ApplyTried  = "rolled back"
	ApplyNamed  = "not run"
	ApplyFailed = "failed"
)

// Applied is what became of a script in one cluster.
type Applied struct {
	Namespace string `json:"namespace"`
	Cluster   string `json:"cluster"`
	Database  string `json:"database"`
	// Node is the coordinator that it went through.
	Node   string `json:"node,omitempty"`
	Result string `json:"result"`
	Millis int64  `json:"millis"`
	// Where it failed, as FILE:LINE, with which SQLSTATE and which words.
	Where string `json:"where,omitempty"`
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
	// Output and Said are what psql wrote to standard output and to standard error.
	Output string `json:"output,omitempty"`
	Said   string `json:"said,omitempty"`
}

// why it failed, in a sentence.
func (a Applied) why() string {
	text := a.Error
	if a.Where != "" {
		text = a.Where + ": " + text
	}
	if a.Code != "" {
		text += " (SQLSTATE " + a.Code + ")"
	}
	return text
}

// Applications is a line for each cluster, with the reason below where the script failed, and what psql printed if all is
// set.
func Applications(s Style, results []Applied, all bool) string {
	l := &lines{style: s}
	t := table{heads: []string{"CLUSTER", "DATABASE", "THROUGH", "RESULT", "TIME"}, right: map[int]bool{4: true}}
	several := slices.ContainsFunc(results, func(a Applied) bool { return a.Namespace != results[0].Namespace })
	name := func(a Applied) string {
		if several {
			return a.Namespace + "/" + a.Cluster
		}
		return a.Cluster
	}
	for _, a := range results {
		tone, took := "", "-"
		switch a.Result {
		case ApplyFailed:
			tone = red
		case ApplyDone:
			tone = green
		}
		if a.Millis > 0 || a.Result == ApplyDone || a.Result == ApplyTried {
			took = Span(time.Duration(a.Millis) * time.Millisecond)
		}
		t.row(name(a), a.Database, dash(a.Node), s.paint(tone, a.Result), took)
	}
	t.draw(l)
	for _, a := range results {
		if a.Error != "" {
			l.add()
			l.add(name(a), ":")
			l.paragraph("  ", a.why())
		}
		if text := strings.TrimRight(a.Output+a.Said, "\n"); all && text != "" {
			l.add()
			l.add(s.paint(bold, name(a)))
			l.WriteString(text + "\n")
		}
	}
	return l.String()
}
