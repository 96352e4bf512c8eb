// SPDX-License-Identifier: Apache-2.0

// Package view turns the objects of the API into text for people: tables, trees, bars.
//
// It is pure: what it says follows from the objects, the time and the style that it is given. It knows no Kubernetes
// client, no terminal and no command line.
package view

import (
	"strings"
	"time"

	"golang.org/x/text/width"
)

// DefaultWidth is what fits where the width is not known.
const DefaultWidth = 100

// Style is how text is drawn.
type Style struct {
	// Width in cells that a line may have; DefaultWidth without it.
	Width int
	// Colour allows escape sequences. Nothing is told by colour alone.
	Colour bool
	// Now is the time that ages and estimates refer to.
	Now time.Time
}

func (s Style) width() int {
	if s.Width <= 0 {
		return DefaultWidth
	}
	return s.Width
}

// The tones that a word may have.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s Style) paint(tone, text string) string {
	if !s.Colour || tone == "" || text == "" {
		return text
	}
	return "\x1b[" + tone + "m" + text + "\x1b[0m"
}

// cells is the room that a text takes on a screen; escape sequences take none, Chinese characters two cells.
func cells(text string) int {
	n, escape := 0, false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			n += runeCells(r)
		}
	}
	return n
}

func runeCells(r rune) int {
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// Clip cuts a line to a width and marks the cut.
func Clip(line string, limit int) string {
	if cells(line) <= limit {
		return line
	}
	var b strings.Builder
	n, escape, painted := 0, false, false
	for _, r := range line {
		switch {
		case r == '\x1b':
			escape, painted = true, true
		case escape:
			escape = r != 'm'
		default:
			if n += runeCells(r); n > limit-1 {
				b.WriteRune('…')
				if painted {
					b.WriteString("\x1b[0m")
				}
				return b.String()
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// clean makes a message fit on one line: what comes from a server may hold line breaks and control characters.
func clean(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)), " ")
}

// wrap breaks a text into lines of at most limit cells; a word that is longer has a line of its own.
func wrap(text string, limit int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(clean(text)) {
		switch {
		case line == "":
			line = word
		case cells(line)+1+cells(word) <= limit:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// lines collects text.
type lines struct {
	strings.Builder
	style Style
}

func (l *lines) add(parts ...string) {
	l.WriteString(Clip(strings.TrimRight(strings.Join(parts, ""), " "), l.style.width()))
	l.WriteByte('\n')
}

// paragraph adds a text under a first word, broken where the width ends.
func (l *lines) paragraph(indent, text string) {
	for _, line := range wrap(text, max(l.style.width()-cells(indent), 20)) {
		l.add(indent, line)
	}
}
