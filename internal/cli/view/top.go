// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Sample is what one node did between two looks.
type Sample struct {
	Node          string
	Before, After instanceapi.Activity
}

// rate is how many transactions were committed and rolled back in a second.
func (s *Sample) rate() (commits, rollbacks float64) {
	seconds := float64(s.After.AtMicros-s.Before.AtMicros) / 1e6
	if seconds <= 0 {
		return 0, 0
	}
	return max(float64(s.After.Commits-s.Before.Commits)/seconds, 0), max(float64(s.After.Rollbacks-s.Before.Rollbacks)/seconds, 0)
}

// Top shows sessions and transactions of each node, then the oldest transactions and who waits for whose lock, at most
// limit. silent are nodes that were not asked, and why.
func Top(s Style, cluster string, all []Sample, silent []string, limit int) string {
	l := &lines{style: s}
	slices.SortFunc(all, func(a, b Sample) int { return examine.CompareNodes(a.Node, b.Node) })
	t := table{
		heads: []string{"NODE", "SESSIONS", "ACTIVE", "IN TRANSACTION", "IDLE", "BLOCKED", "COMMITS/S", "ROLLBACKS/S"},
		right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true},
	}
	var busy []running
	for i := range all {
		a := &all[i]
		commits, rollbacks := a.rate()
		var sessions, idleIn int64
		for state, n := range a.After.Sessions {
			sessions += n
			if strings.HasPrefix(state, "idle in transaction") {
				idleIn += n
			}
		}
		blocked := 0
		for _, r := range a.After.Running {
			if r.BlockedBy != "" {
				blocked++
			}
			busy = append(busy, running{a.Node, r})
		}
		t.row(a.Node, Count(sessions), Count(a.After.Sessions["active"]), Count(idleIn), Count(a.After.Sessions["idle"]),
			s.paint(blockedTone(blocked), Count(int64(blocked))), fmt.Sprintf("%.1f", commits), fmt.Sprintf("%.1f", rollbacks))
	}
	l.add(s.paint(bold, cluster), "  ", s.Now.Format(time.TimeOnly))
	l.add()
	t.draw(l)
	s.oldest(l, busy, limit)
	s.locks(l, busy)
	for _, text := range silent {
		l.add()
		l.paragraph("", text)
	}
	return l.String()
}

// running is a session of a node.
type running struct {
	node string
	instanceapi.Running
}

func blockedTone(n int) string {
	if n > 0 {
		return red
	}
	return ""
}

// oldest are the transactions that are open for the longest.
func (s Style) oldest(l *lines, all []running, limit int) {
	slices.SortStableFunc(all, func(a, b running) int { return int(min(max(b.Millis-a.Millis, -1), 1)) })
	if len(all) == 0 {
		return
	}
	l.add()
	t := table{heads: []string{"NODE", "PID", "FOR", "STATE", "USER@DATABASE", "WAITS FOR", "QUERY"}, right: map[int]bool{1: true, 2: true}}
	for _, r := range all[:min(limit, len(all))] {
		state := strings.Replace(r.State, "idle in transaction", "idle in tx", 1)
		t.row(r.node, strconv.FormatInt(r.PID, 10), Span(time.Duration(r.Millis)*time.Millisecond), state, r.User+"@"+r.Database, r.Wait, clean(r.Query))
	}
	t.draw(l)
	if more := len(all) - limit; more > 0 {
		l.add("and ", Count(int64(more)), " more: --limit shows them")
	}
}

// locks tells who waits for whose lock.
func (s Style) locks(l *lines, all []running) {
	first := true
	for _, r := range all {
		if r.BlockedBy == "" {
			continue
		}
		if first {
			l.add()
			first = false
		}
		l.paragraph("", fmt.Sprintf("on %s process %d waits for process %s, which holds a lock", r.node, r.PID, strings.ReplaceAll(r.BlockedBy, ",", ", ")))
		for pid := range strings.SplitSeq(r.BlockedBy, ",") {
			for _, holder := range all {
				if holder.node == r.node && strconv.FormatInt(holder.PID, 10) == pid {
					l.add("  ", pid, " ", holder.State, " for ", Span(time.Duration(holder.Millis)*time.Millisecond), ": ", clean(holder.Query))
				}
			}
		}
	}
}
