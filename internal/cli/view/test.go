// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
)

// Test shows what works and what does not, with times: servers, Services, the ways to datanodes, and catalogs.
func Test(s Style, cluster string, r *examine.Result) string {
	l := &lines{style: s}
	total, failed := len(r.All()), r.Failed()
	tone := green
	if failed > 0 {
		tone = red
	}
	l.add(s.paint(bold, cluster), "  ", s.paint(tone, fmt.Sprintf("%d of %d checks passed", total-failed, total)))
	l.add()
	s.checks(l, "INSTANCE", r.Instances)
	if len(r.Services) > 0 {
		l.add()
		s.checks(l, "SERVICE", r.Services)
		l.add("Services are tried from ", r.Services[0].From)
	}
	s.paths(l, r.Paths)
	l.add()
	t := table{}
	s.agreement(&t, "node catalog", r.Catalogs)
	s.agreement(&t, "objects", r.Objects)
	t.body(l, "")
	return l.String()
}

func (s Style) upDown(c examine.Check) string {
	if c.Up {
		return s.paint(green, "UP")
	}
	return s.paint(red, "DOWN")
}

// checks is a table with a line for each check.
func (s Style) checks(l *lines, head string, all []examine.Check) {
	t := table{heads: []string{head, "STATE", "TIME", "MESSAGE"}, right: map[int]bool{2: true}}
	for _, c := range all {
		t.row(c.To, s.upDown(c), Micros(c.Micros), clean(c.Message))
	}
	t.draw(l)
}

// columns is how many datanodes stand side by side.
const columns = 8

// paths is a table with a line for each coordinator and a column for each datanode, and below it why some are DOWN.
func (s Style) paths(l *lines, all []examine.Check) {
	var from, to []string
	cell := map[[2]string]examine.Check{}
	for _, c := range all {
		if !slices.Contains(from, c.From) {
			from = append(from, c.From)
		}
		if !slices.Contains(to, c.To) {
			to = append(to, c.To)
		}
		cell[[2]string{c.From, c.To}] = c
	}
	for some := range slices.Chunk(to, columns) {
		l.add()
		t := table{heads: append([]string{"FROM"}, some...), right: map[int]bool{}}
		for _, f := range from {
			row := []string{f}
			for i, name := range some {
				t.right[i+1] = true
				c, tried := cell[[2]string{f, name}]
				switch {
				case !tried:
					row = append(row, "-")
				case c.Up:
					row = append(row, Micros(c.Micros))
				default:
					row = append(row, s.paint(red, "DOWN"))
				}
			}
			t.row(row...)
		}
		t.draw(l)
	}
	for _, f := range from {
		s.reasons(l, f, all)
	}
}

// reasons tells why the ways from one node are DOWN, once for each reason.
func (s Style) reasons(l *lines, from string, all []examine.Check) {
	var order []string
	by := map[string][]string{}
	for _, c := range all {
		if c.From != from || c.Up {
			continue
		}
		if by[c.Message] == nil {
			order = append(order, c.Message)
		}
		by[c.Message] = append(by[c.Message], c.To)
	}
	for _, message := range order {
		to := by[message][0]
		if n := len(by[message]); n > 1 {
			to += " and " + strconv.Itoa(n-1) + " more"
		}
		l.paragraph("  ", from+" → "+to+": "+message)
	}
}

func (s Style) agreement(t *table, what string, c examine.Check) {
	text := "the same on " + c.To
	if c.To == "" {
		text = "not known anywhere"
	}
	t.row(s.paint(bold, what), s.upDown(c), text+after("; ", c.Message))
}

// Micros writes a short time that was measured; nothing for zero.
func Micros(n int64) string {
	const milli, second = 1000, 1000 * 1000
	switch {
	case n <= 0:
		return ""
	case n < 10*milli:
		return strconv.FormatFloat(float64(n)/milli, 'f', 1, 64) + "ms"
	case n < second:
		return strconv.FormatInt(n/milli, 10) + "ms"
	}
	return (time.Duration(n) * time.Microsecond).Round(100 * time.Millisecond).String()
}
