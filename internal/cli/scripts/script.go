// SPDX-License-Identifier: Apache-2.0

// Package scripts reads scripts for psql as far as is needed to run them in one transaction: where a statement ends, and
// which of them would end the transaction.
//
// It knows how psql takes a text apart. It knows no database, and not what a statement means.
package scripts

import (
	"bytes"
	"fmt"
	"strings"
)

// File is a script, or a part of it.
type File struct {
	Name string
	Text []byte
}

// Script is files that are run one after the other.
type Script struct {
	text  []byte
	parts []part
	found []Finding
}

// part is a file in the text: the line of the text before its first, and how many it has.
type part struct {
	name          string
	before, lines int
}

// Finding is a statement, or a command of psql, that must not stand in a transaction that belongs to somebody else; or
// something open, behind which nobody can tell what is a statement.
type Finding struct {
	// Where is FILE:LINE, What the words that stand there, and Why what they would do.
	Where, What, Why string
}

// Join makes one script of files. A statement at the end of a file ends there.
func Join(files ...File) Script {
	var s Script
	for _, f := range files {
		before := bytes.Count(s.text, newline)
		s.text = append(s.text, f.Text...)
		if len(s.text) > 0 && s.text[len(s.text)-1] != '\n' {
			s.text = append(s.text, '\n')
		}
		s.parts = append(s.parts, part{f.Name, before, bytes.Count(s.text, newline) - before})
		r := reader{text: f.Text, line: 1}
		r.read()
		s.text = append(s.text, r.ending()...)
		for _, x := range r.found {
			s.found = append(s.found, Finding{fmt.Sprintf("%s:%d", f.Name, x.line), x.what, x.why})
		}
	}
	return s
}

var newline = []byte("\n")

// Text is what psql is given.
func (s Script) Text() []byte { return s.text }

// Findings are what would end the transaction that the script is run in or lead out of it, and what is left open.
func (s Script) Findings() []Finding { return s.found }

// Where names the place of a line of the text, from 1 on. What follows a file belongs to its last line: psql finds out there
// that something was left open.
func (s Script) Where(line int) string {
	where := ""
	for _, p := range s.parts {
		if line > p.before {
			where = fmt.Sprintf("%s:%d", p.name, min(line-p.before, p.lines))
		}
	}
	return where
}

// found is a finding before it is given a file.
type found struct {
	line      int
	what, why string
}

// reader reads a text once, from its beginning to its end.
type reader struct {
	text []byte
	at   int
	line int

	// words are the first words of the present statement, in lower case; begun is the line of the first one. begins tells
	// of a statement that has anything in it.
	words  []string
	begun  int
	begins bool
	// copies tells of a statement that is COPY … FROM STDIN.
	copies bool
	// rows tells of a text that ends within the rows of a COPY.
	rows   bool
	parens int
	found  []found
}

// mostWords is how many words of a statement are looked at.
const mostWords = 3

// ending is what must follow a text so that another one can.
func (r *reader) ending() string {
	switch {
	case r.rows:
		return "\\.\n"
	case r.begins:
		return ";\n"
	}
	return ""
}

func (r *reader) read() {
	for r.at < len(r.text) {
		rest := r.text[r.at:]
		if n := blank(rest); n != 0 {
			r.skip(r.closed(n, rest))
			continue
		}
		if n := literal(rest); n != 0 {
			r.part(r.closed(n, rest))
			continue
		}
		switch c := rest[0]; {
		case c == '\\':
			r.command(rest)
		case c == ';' && r.parens == 0:
			r.skip(1)
			r.end()
		case word(c):
			r.word(rest)
		default:
			r.paren(c)
			r.part(1)
		}
	}
	r.note()
}

// never is the length of a quote or a comment that is never closed.
const never = -1

// closed is a length, and that of all the rest for what is never closed, which is noted.
func (r *reader) closed(n int, rest []byte) int {
	if n != never {
		return n
	}
	what := "the comment"
	if rest[0] != '/' {
		what = "the quote"
	}
	r.found = append(r.found, found{r.line, what, "is never closed"})
	return len(rest)
}

// blank is the length of what means nothing: spaces and comments.
func blank(text []byte) int {
	switch {
	case strings.IndexByte(" \t\r\n\f\v", text[0]) >= 0:
		return 1
	case bytes.HasPrefix(text, []byte("--")):
		return lineEnd(text, false)
	case bytes.HasPrefix(text, []byte("/*")):
		return comment(text)
	}
	return 0
}

// literal is the length of a text in quotes of any kind.
func literal(text []byte) int {
	switch c := text[0]; {
	case c == '\'' || c == '"':
		return quoted(text, c, false)
	case (c == 'e' || c == 'E') && len(text) > 1 && text[1] == '\'':
		if n := quoted(text[1:], '\'', true); n != never {
			return 1 + n
		}
		return never
	case c == '$':
		return dollar(text)
	}
	return 0
}

// skip goes on over bytes and counts their lines.
func (r *reader) skip(n int) {
	r.line += bytes.Count(r.text[r.at:r.at+n], newline)
	r.at += n
}

// part goes on over bytes of a statement.
func (r *reader) part(n int) {
	if !r.begins {
		r.begins, r.begun = true, r.line
	}
	r.skip(n)
}

func (r *reader) paren(c byte) {
	switch c {
	case '(':
		r.parens++
	case ')':
		r.parens = max(0, r.parens-1)
	}
}

// lineEnd is how far it is to the end of the line; over tells whether the line break is gone over too.
func lineEnd(text []byte, over bool) int {
	n := bytes.IndexByte(text, '\n')
	if n < 0 {
		return len(text)
	}
	if over {
		n++
	}
	return n
}

// comment is the length of a comment, which may hold others.
func comment(text []byte) int {
	depth := 0
	for i := 0; i < len(text)-1; i++ {
		switch {
		case text[i] == '/' && text[i+1] == '*':
			depth++
			i++
		case text[i] == '*' && text[i+1] == '/':
			depth--
			i++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return never
}

// quoted is the length of a quoted text. A doubled quote ends it and begins another one, which comes to the same.
func quoted(text []byte, quote byte, escapes bool) int {
	for i := 1; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return never
}

// dollar is the length of a text in dollar quotes; 0 if none begins here.
func dollar(text []byte) int {
	n := 1
	for n < len(text) && word(text[n]) && text[n] != '$' {
		n++
	}
	if n == len(text) || text[n] != '$' || n > 1 && text[1] >= '0' && text[1] <= '9' {
		return 0
	}
	tag := text[:n+1]
	end := bytes.Index(text[len(tag):], tag)
	if end < 0 {
		return never
	}
	return len(tag) + end + len(tag)
}

// word tells whether a byte belongs to a name or a number.
func word(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func (r *reader) word(rest []byte) {
	n := 1
	for n < len(rest) && word(rest[n]) {
		n++
	}
	r.part(n)
	w := strings.ToLower(string(rest[:n]))
	if len(r.words) < mostWords {
		r.words = append(r.words, w)
	}
	if w == "stdin" && r.words[0] == "copy" {
		r.copies = true
	}
}

// note looks at the statement that has been read.
func (r *reader) note() {
	if what, why := leaves(r.words); what != "" {
		r.found = append(r.found, found{r.begun, what, why})
	}
}

// end ends a statement. The rows of a COPY follow it.
func (r *reader) end() {
	r.note()
	if r.copies {
		r.skip(lineEnd(r.text[r.at:], true))
		for r.rows = true; r.rows && r.at < len(r.text); {
			row := r.text[r.at : r.at+lineEnd(r.text[r.at:], true)]
			r.skip(len(row))
			r.rows = string(bytes.TrimRight(row, "\r\n")) != `\.`
		}
	}
	r.words, r.begins, r.copies, r.parens = nil, false, false, 0
}

// leaves tells of a statement that ends its transaction.
func leaves(words []string) (what, why string) {
	first, second, third := at(words, 0), at(words, 1), at(words, 2)
	const ends = "ends the transaction"
	switch {
	case first == "commit" || first == "end" || first == "abort":
		return strings.ToUpper(first), ends
	case first == "rollback" && second != "to" && third != "to":
		return "ROLLBACK", ends
	case first == "prepare" && second == "transaction":
		return "PREPARE TRANSACTION", ends
	}
	return "", ""
}

func at(words []string, n int) string {
	if n < len(words) {
		return words[n]
	}
	return ""
}

// command reads a command of psql, which goes to the end of its line.
func (r *reader) command(rest []byte) {
	line := rest[:lineEnd(rest, false)]
	name, _, _ := strings.Cut(strings.TrimPrefix(string(line), `\`), " ")
	switch name = strings.TrimRight(name, "\t\r"); {
	case strings.HasPrefix(name, ";"): // the next statement goes to the server together with this one
		r.skip(2)
		r.end()
		return
	case name == "" || name[0] == ':' || name[0] == '\\':
		r.part(min(2, len(rest)))
		return
	}
	if what, why := leads(name); what != "" {
		r.found = append(r.found, found{r.line, what, why})
	}
	r.skip(len(line))
	switch {
	case name == "r" || name == "reset":
		r.words, r.begins, r.copies, r.parens = nil, false, false, 0
	case strings.HasPrefix(name, "g") || name == "crosstabview" || name == "watch": // they send the statement
		r.end()
	case name == "copy" && bytes.Contains(bytes.ToLower(line), []byte("stdin")):
		r.copies = true
		r.end()
	}
}

// leads tells of a command that leads out of the transaction, or that cannot be seen through.
func leads(name string) (what, why string) {
	switch name {
	case "c", "connect":
		return `\` + name, "begins another session, which is in no transaction"
	case "i", "ir", "include", "include_relative":
		return `\` + name, "reads a file of the pod, which holds none of yours: give each file with -f"
	}
	return "", ""
}
