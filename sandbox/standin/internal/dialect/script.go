// SPDX-License-Identifier: Apache-2.0

// Package dialect knows AntDB's SQL where it differs from PostgreSQL's: it turns the text of a client into steps that
// the front carries out. It refuses to know sessions, nodes and sockets: text in, steps out.
package dialect

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// Kind says who carries a step out.
type Kind int

// The kinds of steps.
const (
	Pass         Kind = iota // the server behind the front, with Text
	Begin                    // likewise; opens a transaction
	Commit                   // the front, because other nodes may have to be prepared first
	Rollback                 // likewise
	Savepoint                // likewise: SAVEPOINT, RELEASE, ROLLBACK TO
	Nodes                    // CREATE, ALTER, DROP NODE: Text is a CALL, On the other nodes that shall run it too
	Direct                   // EXECUTE DIRECT: Text on node On[0]
	Spread                   // DDL: see Forms
	Copy                     // COPY FROM STDIN: see Forms.Copy
	TableAs                  // CREATE TABLE AS, SELECT INTO: see Forms.Into
	Truncate                 // on all datanodes
	Vacuum                   // on all datanodes, outside transactions; Text is what is left to do here
	Redistribute             // ALTER TABLE ADD, DELETE, TO NODE: Text asks what it means
	Refuse                   // Err
)

// Step is one statement.
type Step struct {
	Kind  Kind
	Text  string // what is to be run
	Tag   string // the command tag that the client gets, if not the server's
	On    []string
	Forms *Forms
	Err   *wire.Error
	// Guard is the command tag under which pgxc_lock_for_backup refuses the statement; empty for what it lets through.
	Guard string
	// LiftsReadOnly tells that a session on a datanode would leave its read-only state.
	LiftsReadOnly bool
}

// Script is a text of one or more statements.
type Script struct {
	Steps []Step
	// Whole is set when the server behind the front can take all of it as one text.
	Whole string
	// Reloads and Looks tell that the text applies, or shows, the configuration files.
	Reloads, Looks bool
	// Strict tells that the text speaks of repeatable reads.
	Strict bool
}

// Managed tells whether the front has to carry out any of the steps itself.
func (s *Script) Managed() bool { return s.Whole == "" && len(s.Steps) > 0 }

// Guarded tells whether the server behind is to run something that a locked cluster refuses.
func (s *Script) Guarded() bool {
	for _, st := range s.Steps {
		if st.Kind == Pass && st.Guard != "" {
			return true
		}
	}
	return false
}

// Parse reads a text. What it cannot read it passes on: the server reports the error better.
func Parse(text string) *Script {
	toks, err := lex(text)
	if err != nil {
		return &Script{Whole: text, Steps: []Step{{Text: text}}}
	}
	s := &Script{
		Reloads: has(toks, "pg_reload_conf"),
		Looks:   has(toks, "pg_file_settings", "pg_show_all_file_settings", "pg_hba_file_rules"),
		Strict:  has(toks, "repeatable", "default_transaction_isolation", "transaction_isolation"),
	}
	parts := statements(toks)
	plain := true
	for _, part := range parts {
		st := parseStep(text, part)
		st.Guard = guarded(part, st)
		plain = plain && st.Kind == Pass || len(parts) == 1 && st.Kind == Begin
		s.Steps = append(s.Steps, st)
	}
	switch {
	case len(parts) == 0:
		s.Whole = text
	case plain && len(parts) == 1:
		s.Whole = s.Steps[0].Text
	case plain:
		for _, st := range s.Steps {
			s.Whole += st.Text + ";"
		}
	}
	return s
}

// local are the first words of statements that the server behind the front runs alone.
var local = map[string]bool{
	"select": true, "insert": true, "update": true, "delete": true, "with": true, "values": true, "table": true, "merge": true,
	"(": true, "explain": true, "prepare": true, "execute": true, "deallocate": true, "declare": true, "fetch": true, "move": true,
	"close": true, "listen": true, "notify": true, "unlisten": true, "lock": true, "vacuum": true, "analyze": true, "discard": true,
	"load": true, "checkpoint": true, "do": true, "call": true, "reset": true, "set": true, "show": true, "copy": true,
}

func parseStep(text string, toks []token) Step {
	first, last := toks[0], toks[len(toks)-1]
	src := text[first.start:last.end]
	if st, ok := engineOnly(text, toks); ok {
		return st
	}
	if st, ok := transaction(toks, src); ok {
		return st
	}
	switch {
	case words(toks, "show") || words(toks, "set") || words(toks, "reset") || words(toks, "alter", "system"):
		return setting(text, toks)
	case words(toks, "copy"):
		return copyFrom(text, toks)
	case words(toks, "truncate"), words(toks, "vacuum"):
		return parsed(src, toks)
	case (words(toks, "select") || words(toks, "with") || words(toks, "(")) && has(toks, "into"):
		return parsed(rewrite(text, toks), toks)
	case local[first.word]:
		return Step{Text: rewrite(text, toks), LiftsReadOnly: liftsReadOnly(toks)}
	}
	return parsed(text[first.start:last.end], toks)
}

// transaction recognises transaction control.
func transaction(toks []token, src string) (Step, bool) {
	lifts := has(toks, "write")
	second := ""
	if len(toks) > 1 {
		second = toks[1].word
	}
	switch toks[0].word {
	case "begin", "start":
		return Step{Kind: Begin, Text: src, LiftsReadOnly: lifts}, true
	case "commit", "end":
		if second == "prepared" {
			return Step{Text: src}, true
		}
		if has(toks, "chain") {
			return refuse("COMMIT AND CHAIN"), true
		}
		return Step{Kind: Commit, Text: src}, true
	case "prepare":
		if second == "transaction" {
			return Step{Kind: Refuse, Err: wire.Unsupported("PREPARE TRANSACTION by a client")}, true
		}
	case "rollback", "abort":
		if second == "prepared" {
			return Step{Text: src}, true
		}
		if has(toks, "to") {
			return Step{Kind: Savepoint, Text: src}, true
		}
		return Step{Kind: Rollback, Text: src}, true
	case "savepoint", "release":
		return Step{Kind: Savepoint, Text: src}, true
	}
	return Step{}, false
}

// parsed handles what needs PostgreSQL's grammar: DDL.
func parsed(src string, toks []token) Step {
	d, cut, err := cutDistribution(src, toks)
	if err != nil {
		return Step{Kind: Refuse, Err: err}
	}
	tree, perr := pg.Parse(cut)
	if perr != nil || len(tree.Stmts) != 1 {
		return Step{Text: src}
	}
	st := ddl(tree.Stmts[0].Stmt, cut, d)
	if st.Text == "" {
		st.Text = cut
	}
	return st
}
