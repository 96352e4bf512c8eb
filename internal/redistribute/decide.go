// SPDX-License-Identifier: Apache-2.0

package redistribute

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Wish is what shall lie where; instanceapi.Move says what its fields mean.
type Wish struct {
	Onto, From, Off []string
	All             bool
}

// Plan is what has to be done.
type Plan struct {
	// Steps in their order.
	Steps []Step
	// Pinned are tables that stay where they are although the wish would have them elsewhere.
	Pinned []string
	// Blocked tells why nothing may be moved.
	Blocked string
}

// Step moves tables that have to be moved in one transaction.
type Step struct {
	Database string
	Targets  []Target
	// Refused tells why the engine would not move them, or would lose rows.
	Refused     string
	Rows, Bytes int64

	gains, replicated bool
}

// Target is one table, with everything that inherits from it, and the datanodes that it shall lie on.
type Target struct {
	Table Table
	To    []string
	// Rows and Bytes are of everything that moves with it.
	Rows, Bytes int64
	// Childless are the partitioned tables below it, or itself, that have no partition.
	Childless []Table
}

// Name of the step is the name of its tables.
func (s Step) Name() string {
	names := make([]string, 0, len(s.Targets))
	for _, t := range s.Targets {
		names = append(names, t.Table.FullName())
	}
	return strings.Join(names, ", ")
}

// Check refuses a wish that means nothing.
func (w Wish) Check() error {
	switch {
	case len(w.Onto) == 0 && len(w.Off) == 0:
		return fmt.Errorf("a move needs datanodes, either onto or off")
	case len(w.Onto) > 0 && len(w.Off) > 0:
		return fmt.Errorf("a move onto %s and off %s at once is not taken: it is one or the other", list(w.Onto), list(w.Off))
	case len(w.Onto) > 0 && len(w.From) == 0 && !w.All:
		return fmt.Errorf("a move onto %s needs from or all", list(w.Onto))
	}
	return nil
}

// verdict is what a wish means for one table.
type verdict int

const (
	inPlace verdict = iota
	moves
	pinned
)

// judge tells what the wish means for a table, and where the table shall lie.
func (w Wish) judge(t Table) (verdict, []string) {
	to := sorted(w.Onto)
	settled := same(t.Nodes, w.Onto) && (!t.Weighted || !w.All)
	wanted := w.All || same(t.Nodes, w.From)
	if len(w.Off) > 0 {
		to = sorted(slices.DeleteFunc(slices.Clone(t.Nodes), func(n string) bool { return slices.Contains(w.Off, n) }))
		settled, wanted = len(to) == len(t.Nodes), len(to) > 0
	}
	switch {
	case settled:
		return inPlace, t.Nodes
	case !wanted || !t.movable():
		return pinned, t.Nodes
	}
	return moves, to
}

// Decide says what has to be done so that the tables lie as wished. It may be asked again at any time: what is in its
// place is left alone.
//
// Small tables come first: each frees room on the datanodes that it leaves before the biggest one needs room for its
// second copy. A replicated table is on a new datanode before, and leaves an old one after, all that refer to it.
func Decide(tables []Table, w Wish) Plan {
	var p Plan
	for _, members := range group(tables) {
		step, fixed := decide(members, w)
		p.Pinned = append(p.Pinned, fixed...)
		if len(fixed) == 0 && len(step.Targets) > 0 {
			p.Steps = append(p.Steps, step)
		}
	}
	slices.Sort(p.Pinned)
	slices.SortStableFunc(p.Steps, func(a, b Step) int {
		return cmp.Or(a.turn()-b.turn(), cmp.Compare(a.Bytes, b.Bytes), strings.Compare(a.Database, b.Database), strings.Compare(a.Name(), b.Name()))
	})
	if len(w.Off) == 0 {
		return p
	}
	for _, s := range p.Steps {
		if s.Refused != "" {
			p.Blocked = fmt.Sprintf("%s in database %s cannot be taken off %s: %s", s.Name(), s.Database, list(w.Off), s.Refused)
		}
	}
	if len(p.Pinned) > 0 {
		p.Blocked = fmt.Sprintf("nothing is taken off %s: %s lies there and cannot be moved away; give it other datanodes with ALTER TABLE, or drop it",
			list(w.Off), list(p.Pinned))
	}
	return p
}

// turn is before the others for replicated tables that gain a datanode, and after them for those that only lose one.
func (s Step) turn() int {
	switch {
	case !s.replicated:
		return 0
	case s.gains:
		return -1
	}
	return 1
}

// decide says what to do with tables that belong together.
func decide(members []Table, w Wish) (step Step, fixed []string) {
	verdicts := make(map[int64]verdict, len(members))
	targets := make(map[int64][]string, len(members))
	any := false
	for _, t := range members {
		v, to := w.judge(t)
		verdicts[t.ID], targets[t.ID] = v, to
		any = any || v == moves
		if v == pinned {
			fixed = append(fixed, t.WithDatabase())
		}
	}
	if len(fixed) > 0 || !any {
		return Step{}, fixed
	}
	step = Step{Database: members[0].Database, replicated: true}
	for _, root := range roots(members) {
		tree := below(root, members)
		if !slices.ContainsFunc(tree, func(t Table) bool { return verdicts[t.ID] == moves }) {
			continue
		}
		target := Target{Table: root, To: targets[root.ID]}
		for _, t := range tree {
			target.Rows, target.Bytes = target.Rows+t.Rows, target.Bytes+t.Bytes
			if t.Strategy != "" && !slices.ContainsFunc(tree, func(c Table) bool { return slices.Contains(c.Parents, t.ID) }) {
				target.Childless = append(target.Childless, t)
			}
		}
		if root.Copied && (len(tree) > 1 || root.Strategy != "") {
			step.Refused = copiedTree
		}
		step.Rows, step.Bytes = step.Rows+target.Rows, step.Bytes+target.Bytes
		step.replicated = step.replicated && root.Locator == replicated
		step.gains = step.gains || slices.ContainsFunc(target.To, func(n string) bool { return !slices.Contains(root.Nodes, n) })
		step.Targets = append(step.Targets, target)
	}
	return step, nil
}

// copiedTree is why some tables are refused: the engine copies the rows of the parent alone, and then truncates its
// children with it.
const copiedTree = "it has children, and the engine moves it through gc, because it is unlogged or enable_cluster_plan is off: " +
	"that would lose the rows of the children; make it logged, or set enable_cluster_plan = on"

func list(names []string) string { return strings.Join(names, ", ") }

// sorted is the order in which the engine itself keeps the datanodes of a table. It decides which rows lie on which of
// them, so tables that refer to each other need the same.
func sorted(nodes []string) []string { return slices.Sorted(slices.Values(nodes)) }

func same(a, b []string) bool { return slices.Equal(sorted(a), sorted(b)) }
