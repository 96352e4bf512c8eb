// SPDX-License-Identifier: Apache-2.0

package legacy

import (
	"fmt"
	"strings"
)

// setting is one variable of a file for the shell.
type setting struct {
	name   string
	values []string
	// array tells `x=(a)` from `x=a`.
	array bool
	line  int
}

// parseShell reads assignments of plain words. Nothing is executed: what only a shell could give a meaning (variables,
// substitutions, commands) is an error that names the line.
func parseShell(text string) ([]setting, error) {
	p := &parser{text: []rune(strings.ReplaceAll(text, "\r\n", "\n")), line: 1}
	var out []setting
	for {
		p.blanks(true)
		if p.end() {
			return out, nil
		}
		s, err := p.assignment()
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
}

type parser struct {
	text []rune
	at   int
	line int
}

func (p *parser) end() bool { return p.at >= len(p.text) }

// peek is the next character; a line break at the end.
func (p *parser) peek() rune {
	if p.end() {
		return '\n'
	}
	return p.text[p.at]
}

func (p *parser) next() rune {
	r := p.peek()
	if r == '\n' {
		p.line++
	}
	p.at++
	return r
}

// blanks skips blanks and comments, and with lines also line breaks and semicolons.
func (p *parser) blanks(lines bool) {
	for !p.end() {
		switch r := p.peek(); {
		case r == ' ' || r == '\t' || lines && (r == '\n' || r == ';'):
			p.next()
		case r == '#' && (p.at == 0 || strings.ContainsRune(" \t\n;(", p.text[p.at-1])):
			for p.peek() != '\n' {
				p.next()
			}
		default:
			return
		}
	}
}

func (p *parser) refuse(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...))
}

// assignment reads NAME=VALUE or NAME=(VALUE…), after export, declare or readonly.
func (p *parser) assignment() (setting, error) {
	s := setting{line: p.line}
	for {
		s.name = p.identifier()
		if s.name != "export" && s.name != "declare" && s.name != "readonly" && s.name != "typeset" {
			break
		}
		p.blanks(false)
		for p.peek() == '-' { // options of declare
			for !strings.ContainsRune(" \t\n", p.peek()) {
				p.next()
			}
			p.blanks(false)
		}
	}
	if s.name == "" || p.peek() != '=' {
		return s, p.refuse(s.line, "%q is no assignment of the form name=value or name=(value …); it is read, not executed", p.restOfLine())
	}
	p.next()
	if p.peek() == '(' {
		p.next()
		s.array = true
		return s, p.array(&s)
	}
	word, err := p.word()
	s.values = []string{word}
	if err == nil && !strings.ContainsRune(" \t\n;", p.peek()) {
		err = p.refuse(s.line, "cannot read what follows %s=%s", s.name, word)
	}
	p.blanks(false)
	if err == nil && !strings.ContainsRune("\n;", p.peek()) {
		err = p.refuse(s.line, "%q after an assignment would be a command; it is read, not executed", p.restOfLine())
	}
	return s, err
}

func (p *parser) array(s *setting) error {
	for {
		p.blanks(true)
		switch {
		case p.end():
			return p.refuse(s.line, "the bracket after %s=( is not closed", s.name)
		case p.peek() == ')':
			p.next()
			return nil
		case p.peek() == '[':
			return p.refuse(p.line, "%s: elements with a number ([0]=…) cannot be read: write them in their order", s.name)
		}
		word, err := p.word()
		if err != nil {
			return err
		}
		s.values = append(s.values, word)
	}
}

func (p *parser) identifier() string {
	from := p.at
	for !p.end() {
		r := p.peek()
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (p.at == from || r < '0' || r > '9') {
			break
		}
		p.next()
	}
	return string(p.text[from:p.at])
}

func (p *parser) restOfLine() string {
	end := p.at
	for end < len(p.text) && p.text[end] != '\n' {
		end++
	}
	begin := p.at
	for begin > 0 && p.text[begin-1] != '\n' {
		begin--
	}
	return strings.TrimSpace(string(p.text[begin:end]))
}

// word reads one word with its quotes.
func (p *parser) word() (string, error) {
	var b strings.Builder
	from := p.line
	for {
		switch r := p.peek(); r {
		case ' ', '\t', '\n', ';', ')':
			return b.String(), nil
		case '\'':
			p.next()
			for p.peek() != '\'' {
				if p.end() {
					return "", p.refuse(from, "a quotation mark is not closed")
				}
				b.WriteRune(p.next())
			}
			p.next()
		case '"':
			if err := p.quoted(&b); err != nil {
				return "", err
			}
		case '\\':
			p.next()
			if r := p.next(); r != '\n' {
				b.WriteRune(r)
			}
		case '$', '`', '(', '<', '>', '|', '&', '*', '?', '{', '[':
			return "", p.refuse(p.line, "%q would have to be executed by a shell, which is not done: write the value itself", string(r))
		default:
			b.WriteRune(p.next())
		}
	}
}

func (p *parser) quoted(b *strings.Builder) error {
	from := p.line
	p.next()
	for {
		switch r := p.peek(); {
		case p.end():
			return p.refuse(from, "a quotation mark is not closed")
		case r == '"':
			p.next()
			return nil
		case r == '$' || r == '`':
			return p.refuse(p.line, "%q would have to be executed by a shell, which is not done: write the value itself", string(r))
		case r == '\\':
			p.next()
			escaped := p.next()
			if !strings.ContainsRune("\"\\$`\n", escaped) {
				b.WriteRune('\\')
			}
			if escaped != '\n' {
				b.WriteRune(escaped)
			}
		default:
			b.WriteRune(p.next())
		}
	}
}
