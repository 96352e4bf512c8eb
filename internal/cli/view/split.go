// SPDX-License-Identifier: Apache-2.0

package view

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// split tells of datanodes that are divided.
func (s Style) split(l *lines, x *v1alpha1.SplitStatus) {
	t := table{heads: []string{"DATANODE", "BECOMES", "SIZE"}, right: map[int]bool{2: true}}
	for _, source := range x.Sources {
		t.row(source.Name, strings.Join(append([]string{source.Name}, source.Into...), ", "), Bytes(source.Bytes))
	}
	t.draw(l)
	var facts []string
	if x.LongestPauseMillis > 0 {
		facts = append(facts, "longest pause "+millis(x.LongestPauseMillis))
	}
	if x.Retries > 0 {
		facts = append(facts, "gave way to applications "+times(x.Retries))
	}
	if len(facts) > 0 {
		l.add(strings.Join(facts, ", "))
	}
}

// SplitPlan tells what dividing datanodes would do.
func SplitPlan(s Style, o *v1alpha1.AntDBOperation) string {
	l := &lines{style: s}
	l.add(s.paint(bold, "Plan for "+o.Spec.Cluster), ", nothing is changed yet")
	l.add()
	x := o.Status.Split
	s.split(l, x)
	l.add()
	var copied int64
	for _, source := range x.Sources {
		copied += source.Bytes * int64(len(source.Into))
	}
	facts := table{}
	facts.row("tables", Count(int64(x.Tables)))
	facts.row("copied", Bytes(copied))
	facts.row("expected pauses", "one, of some seconds")
	facts.body(l, "")
	l.add("Applications go on while datanodes are copied. In the pause all statements of the cluster wait; it begins when no")
	l.add("transaction is open, and is tried again while one is.")
	return l.String()
}
