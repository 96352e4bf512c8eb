// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// Holding is what one datanode holds of one table.
type Holding struct {
	Node     string `json:"node"`
	Database string `json:"database"`
	Table    string `json:"table"`
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"`
}

// tally is a sum over holdings, by datanode.
type tally struct {
	name  string
	rows  map[string]int64
	bytes map[string]int64
	total int64
}

func (t *tally) add(h Holding) {
	t.rows[h.Node] += h.Rows
	t.bytes[h.Node] += h.Bytes
	t.total += h.Bytes
}

func newTally(name string) *tally {
	return &tally{name: name, rows: map[string]int64{}, bytes: map[string]int64{}}
}

// Skew shows rows and bytes of each datanode, first of all tables together and then of the biggest ones, at most limit.
// A datanode of nodes that holds nothing is shown as well.
func Skew(s Style, cluster string, nodes []string, all []Holding, limit int) string {
	l := &lines{style: s}
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, byNumber)
	sum, tables := newTally("all tables"), map[string]*tally{}
	for _, h := range all {
		sum.add(h)
		key := h.Database + " " + h.Table
		if tables[key] == nil {
			tables[key] = newTally(key)
		}
		tables[key].add(h)
	}
	order := make([]*tally, 0, len(tables))
	for _, t := range tables {
		order = append(order, t)
	}
	slices.SortFunc(order, func(a, b *tally) int {
		if a.total != b.total {
			return int(min(max(b.total-a.total, -1), 1))
		}
		return strings.Compare(a.name, b.name)
	})
	l.add(s.paint(bold, cluster), ": ", Noun(len(order), "table"), " on ", Noun(len(nodes), "datanode"), ", ", Bytes(sum.total))
	if len(order) == 0 {
		return l.String()
	}
	l.add()
	chart(l, sum, nodes)
	for _, t := range order[:min(limit, len(order))] {
		l.add()
		chart(l, t, nodes)
	}
	if more := len(order) - limit; more > 0 {
		l.add()
		l.add(fmt.Sprintf("and %s: --limit %d shows all", Noun(more, "smaller table"), len(order)))
	}
	return l.String()
}

// chart is one line for each datanode, and how far the fullest is above an even share.
func chart(l *lines, t *tally, nodes []string) {
	// What a line holds besides its bar: name, rows, size, share.
	const room, besides = 100, 60
	var most int64
	fullest := ""
	for _, n := range nodes {
		if b := t.bytes[n]; b > most || fullest == "" {
			most, fullest = b, n
		}
	}
	verdict := "holds nothing"
	if t.total > 0 {
		over := float64(most)*float64(len(nodes))/float64(t.total) - 1
		verdict = fmt.Sprintf("%s holds %s more than an even share", fullest, percent(over))
		if over < 0.01 {
			verdict = "even"
		}
	}
	l.add(l.style.paint(bold, t.name), "  ", verdict)
	rows := table{right: map[int]bool{1: true, 2: true, 3: true}}
	for _, n := range nodes {
		of, length := 0.0, 0.0
		if t.total > 0 {
			of = float64(t.bytes[n]) / float64(t.total)
		}
		if most > 0 {
			length = float64(t.bytes[n]) / float64(most)
		}
		rows.row(n, Count(t.rows[n])+" rows", Bytes(t.bytes[n]), percent(of),
			strings.TrimRight(bar(length, min(l.style.width(), room)-besides), "░"))
	}
	rows.body(l, "  ")
}

// byNumber orders dn2 before dn10.
func byNumber(a, b string) int {
	_, x, errA := antdb.ParseNodeName(a)
	_, y, errB := antdb.ParseNodeName(b)
	if errA != nil || errB != nil || x == y {
		return strings.Compare(a, b)
	}
	return x - y
}
