// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Catalogs shows pgxc_node of gc and all coordinators side by side and marks what differs.
func Catalogs(s Style, cluster string, c *examine.Comparison) string {
	l := &lines{style: s}
	differences := c.Differences()
	verdict := s.paint(green, "all catalogs are the same")
	switch {
	case len(differences) > 0:
		verdict = s.paint(red, Noun(len(differences), "difference"))
	case len(c.Silent) > 0:
		verdict = s.paint(yellow, fmt.Sprintf("the catalogs of %s were not read", strings.Join(slices.Sorted(maps.Keys(c.Silent)), ", ")))
	}
	l.add(s.paint(bold, cluster), "  ", verdict, "; compared with ", c.Against)
	for holders := range slices.Chunk(c.Holders, columns) {
		l.add()
		t := table{heads: append([]string{"NODE", "ROW"}, holders...)}
		for _, r := range c.Rows {
			row := []string{r.Node, s.row(r.Want)}
			for _, h := range holders {
				row = append(row, s.mark(c, r, h))
			}
			t.row(row...)
		}
		t.draw(l)
	}
	if len(differences) > 0 {
		l.add()
	}
	for _, d := range differences {
		switch {
		case d.Have == "":
			l.paragraph("  ", fmt.Sprintf("%s has no row for %s", d.Holder, d.Node))
		case d.Want == "":
			l.paragraph("  ", fmt.Sprintf("%s names what nobody wants: %s", d.Holder, d.Have))
		default:
			l.paragraph("  ", fmt.Sprintf("%s has %s, wanted is %s", d.Holder, d.Have, d.Want))
		}
	}
	for _, h := range slices.Sorted(maps.Keys(c.Silent)) {
		l.paragraph("  ", h+": "+c.Silent[h])
	}
	return l.String()
}

// row is a row without its name.
func (s Style) row(n *topology.Node) string {
	if n == nil {
		return s.paint(yellow, "unwanted")
	}
	return strings.TrimPrefix(n.String(), n.Name+" ")
}

// mark tells how one catalog holds a row.
func (s Style) mark(c *examine.Comparison, r examine.CatalogRow, holder string) string {
	_, has := r.Have[holder]
	switch {
	case !c.Differs(r, holder) && has:
		return "="
	case !c.Differs(r, holder):
		return "-"
	case !has:
		return s.paint(red, "✗ missing")
	case r.Want == nil:
		return s.paint(red, "✗ extra")
	}
	return s.paint(red, "✗ differs")
}
