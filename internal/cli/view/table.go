// SPDX-License-Identifier: Apache-2.0

package view

import "strings"

// gap between two columns.
const gap = 2

// table is columns with a heading. The last column takes what room is left and is cut; the others are as wide as they
// need.
type table struct {
	heads []string
	right map[int]bool // columns of numbers
	rows  [][]string
}

func (t *table) row(cell ...string) { t.rows = append(t.rows, cell) }

func (t *table) draw(l *lines) {
	heads := make([]string, len(t.heads))
	for i, h := range t.heads {
		heads[i] = l.style.paint(bold, h)
	}
	t.write(l, "", append([][]string{heads}, t.rows...))
}

// body draws the rows without the heading.
func (t *table) body(l *lines, indent string) { t.write(l, indent, t.rows) }

// widths of the columns.
func widths(rows [][]string) map[int]int {
	w := map[int]int{}
	for _, row := range rows {
		for i, c := range row {
			w[i] = max(w[i], cells(c))
		}
	}
	return w
}

// width of the table with its heading.
func (t *table) width() int {
	n := gap * (len(t.heads) - 1)
	for _, w := range widths(append([][]string{t.heads}, t.rows...)) {
		n += w
	}
	return n
}

func (t *table) write(l *lines, indent string, rows [][]string) {
	room := widths(rows)
	for _, row := range rows {
		var b strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", room[i]-cells(c))
			switch {
			case t.right[i]:
				b.WriteString(pad + c)
			case i == len(row)-1:
				b.WriteString(c)
			default:
				b.WriteString(c + pad)
			}
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", gap))
			}
		}
		l.add(indent, b.String())
	}
}
