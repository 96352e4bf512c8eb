// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// token is one lexical element. Identifiers and keywords carry their folded name, everything else its source text.
type token struct {
	kind       pg.Token
	word       string // lower-case unless quoted
	start, end int
	ident      bool // an identifier or a keyword
}

// lex splits a text with PostgreSQL's own scanner; comments are left out.
func lex(text string) ([]token, error) {
	res, err := pg.Scan(text)
	if err != nil {
		return nil, err
	}
	out := make([]token, 0, len(res.Tokens))
	for _, t := range res.Tokens {
		if t.Token == pg.Token_SQL_COMMENT || t.Token == pg.Token_C_COMMENT {
			continue
		}
		src := text[t.Start:t.End]
		k := token{kind: t.Token, word: src, start: int(t.Start), end: int(t.End)}
		switch {
		case t.Token == pg.Token_IDENT && strings.HasPrefix(src, `"`):
			k.word, k.ident = strings.ReplaceAll(strings.Trim(src, `"`), `""`, `"`), true
		case t.Token == pg.Token_IDENT || t.KeywordKind != pg.KeywordKind_NO_KEYWORD:
			k.word, k.ident = strings.ToLower(src), true
		}
		out = append(out, k)
	}
	return out, nil
}

// str is the content of a string constant.
func (t token) str() (string, bool) {
	if t.kind != pg.Token_SCONST || !strings.HasPrefix(t.word, "'") {
		return "", false
	}
	return strings.ReplaceAll(t.word[1:len(t.word)-1], "''", "'"), true
}

// statements cuts a token list at semicolons outside parentheses and outside BEGIN ATOMIC bodies.
func statements(toks []token) [][]token {
	var out [][]token
	depth, atomic, from := 0, 0, 0
	for i, t := range toks {
		switch {
		case t.word == "(":
			depth++
		case t.word == ")":
			depth--
		case t.ident && t.word == "atomic":
			atomic++
		case t.ident && t.word == "end" && atomic > 0:
			atomic--
		case t.kind == pg.Token_ASCII_59 && depth <= 0 && atomic == 0:
			if i > from {
				out = append(out, toks[from:i])
			}
			from = i + 1
		}
	}
	if from < len(toks) {
		out = append(out, toks[from:])
	}
	return out
}

// words reports whether the tokens begin with the given words.
func words(toks []token, want ...string) bool {
	if len(toks) < len(want) {
		return false
	}
	for i, w := range want {
		if toks[i].word != w {
			return false
		}
	}
	return true
}

// has reports whether one of the tokens is one of the identifiers.
func has(toks []token, names ...string) bool {
	for _, t := range toks {
		if !t.ident {
			continue
		}
		for _, n := range names {
			if t.word == n {
				return true
			}
		}
	}
	return false
}

// edit replaces a part of the source text.
type edit struct {
	start, end int
	text       string
}

// splice applies edits, given in source order, to text[from:to].
func splice(text string, from, to int, edits []edit) string {
	var b strings.Builder
	for _, e := range edits {
		b.WriteString(text[from:e.start])
		b.WriteString(e.text)
		from = e.end
	}
	b.WriteString(text[from:to])
	return b.String()
}

// Literal writes a string constant.
func Literal(s string) string {
	q := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return " E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}

// Ident writes a name so that it means itself.
func Ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
