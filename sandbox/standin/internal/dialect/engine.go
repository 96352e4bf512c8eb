// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"encoding/json"
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/conf"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// engineOnly recognises statements that PostgreSQL's grammar does not have.
func engineOnly(text string, toks []token) (Step, bool) {
	verb := toks[0].word
	switch {
	case words(toks, "alter", "node", "data"):
		return refuse("ALTER NODE DATA"), true
	case (verb == "create" || verb == "alter" || verb == "drop") && words(toks[1:], "node"):
		return nodeStep(text, toks), true
	case words(toks, "execute", "direct"):
		return direct(text, toks), true
	case words(toks, "clean", "connection"): // connections to other nodes end with their session
		return Step{Kind: Nodes, Text: "SELECT true", Tag: "CLEAN CONNECTION"}, true
	case words(toks, "create", "barrier"), words(toks, "finish", "active"),
		words(toks, "pause", "cluster"), words(toks, "unpause", "cluster"):
		return refuse(strings.ToUpper(verb + " " + toks[1].word)), true
	case words(toks[1:], "slot"), words(toks[1:], "node") && verb != "alter":
		return refuse(strings.ToUpper(verb + " " + toks[1].word)), true
	case words(toks, "alter", "table"):
		return redistribution(toks)
	}
	return Step{}, false
}

func refuse(what string) Step { return Step{Kind: Refuse, Err: wire.Unsupported(what)} }

// redistribution recognises ALTER TABLE … ADD NODE, DELETE NODE, TO NODE and DISTRIBUTE BY.
func redistribution(toks []token) (Step, bool) {
	for i := range toks {
		for _, w := range []string{"add", "delete", "to"} {
			if words(toks[i:], w, "node") && i+2 < len(toks) && toks[i+2].word == "(" {
				return moveStep(toks, w, i), true
			}
		}
		if words(toks[i:], "distribute", "by") {
			return refuse("ALTER TABLE … DISTRIBUTE BY"), true
		}
	}
	return Step{}, false
}

// moveStep reads ALTER TABLE name ADD, DELETE or TO NODE (node, …), where the verb is the token at a place.
func moveStep(toks []token, verb string, at int) Step {
	p := &parser{toks: toks, at: 2}
	p.take("only")
	name := Ident(p.name())
	if p.take(".") {
		name += "." + Ident(p.name())
	}
	if p.err == nil && p.at != at {
		p.fail()
	}
	p.at = at + 2
	nodes := p.list()
	if p.err == nil && p.at < len(toks) {
		p.fail()
	}
	if p.err != nil {
		return Step{Kind: Refuse, Err: p.err}
	}
	return Step{Kind: Redistribute, Tag: "ALTER TABLE", Forms: &Forms{Tables: []string{name}},
		Text: fmt.Sprintf("SELECT pg_catalog.standin_redistribution(%s, %s, %s)", Literal(name), Literal(verb), Array(nodes))}
}

// nodeStep reads CREATE, ALTER and DROP NODE into a call of the procedure that keeps the catalog.
func nodeStep(text string, toks []token) Step {
	verb := toks[0].word
	p := &parser{toks: toks, at: 2}
	name := p.name()
	master, opts := "NULL", map[string]string{}
	if verb == "create" && p.take("for") {
		master = Literal(p.name())
	}
	if verb != "drop" {
		p.want("with")
		p.want("(")
		for p.err == nil {
			key := p.name()
			opts[key] = "true"
			if p.take("=") {
				opts[key] = p.value()
			}
			if !p.take(",") {
				break
			}
		}
		p.want(")")
	}
	var on []string
	if p.take("on") {
		on = p.list()
	}
	if p.err == nil && p.at < len(toks) {
		p.fail()
	}
	if p.err != nil {
		return Step{Kind: Refuse, Err: p.err}
	}
	js, err := json.Marshal(opts)
	if err != nil {
		return Step{Kind: Refuse, Err: wire.Errorf("XX000", "encode node options: %v", err)}
	}
	st := Step{Kind: Nodes, On: on, Tag: strings.ToUpper(verb) + " NODE"}
	switch verb {
	case "create":
		st.Text = fmt.Sprintf("CALL pg_catalog.standin_create_node(%s, %s, %s)", Literal(name), master, Literal(string(js)))
	case "alter":
		st.Text = fmt.Sprintf("CALL pg_catalog.standin_alter_node(%s, %s)", Literal(name), Literal(string(js)))
	default:
		st.Text = fmt.Sprintf("CALL pg_catalog.standin_drop_node(%s)", Literal(name))
	}
	return st
}

// direct reads EXECUTE DIRECT ON (node) 'statement'.
func direct(text string, toks []token) Step {
	p := &parser{toks: toks, at: 2}
	p.want("on")
	nodes := p.list()
	sql := p.value()
	if p.err == nil && p.at < len(toks) {
		p.fail()
	}
	if p.err != nil {
		return Step{Kind: Refuse, Err: p.err}
	}
	if len(nodes) != 1 {
		return refuse("EXECUTE DIRECT on more than one node")
	}
	inner := Parse(sql)
	if len(inner.Steps) != 1 {
		return Step{Kind: Refuse, Err: wire.Errorf("42601", "EXECUTE DIRECT cannot execute multiple queries")}
	}
	in, err := lex(sql)
	if err != nil || !(words(in, "select") || words(in, "show") || words(in, "with") || words(in, "values") || words(in, "table") || words(in, "explain")) {
		return Step{Kind: Refuse, Err: wire.Errorf("0A000", "EXECUTE DIRECT cannot execute this utility query")}
	}
	return Step{Kind: Direct, On: nodes, Text: inner.Steps[0].Text}
}

// parser reads the engine's own statements token by token; after the first error it stays there.
type parser struct {
	toks []token
	at   int
	err  *wire.Error
}

func (p *parser) fail() {
	if p.err != nil {
		return
	}
	if p.at < len(p.toks) {
		p.err = wire.Errorf("42601", "syntax error at or near %q", p.toks[p.at].word)
		p.err.Position = int32(p.toks[p.at].start + 1)
		return
	}
	p.err = wire.Errorf("42601", "syntax error at end of input")
}

func (p *parser) take(word string) bool {
	if p.err == nil && p.at < len(p.toks) && p.toks[p.at].word == word {
		p.at++
		return true
	}
	return false
}

func (p *parser) want(word string) {
	if !p.take(word) {
		p.fail()
	}
}

// name takes an identifier.
func (p *parser) name() string {
	if p.err != nil || p.at >= len(p.toks) || !p.toks[p.at].ident {
		p.fail()
		return ""
	}
	p.at++
	return p.toks[p.at-1].word
}

// value takes a string, a number or a word.
func (p *parser) value() string {
	if p.err != nil || p.at >= len(p.toks) {
		p.fail()
		return ""
	}
	t := p.toks[p.at]
	p.at++
	if s, ok := t.str(); ok {
		return s
	}
	if !t.ident && t.kind != pg.Token_ICONST {
		p.at--
		p.fail()
	}
	return t.word
}

// list takes (name, …) or a single name.
func (p *parser) list() []string {
	if !p.take("(") {
		return []string{p.name()}
	}
	out := []string{p.name()}
	for p.take(",") {
		out = append(out, p.name())
	}
	p.want(")")
	return out
}

// setting handles SHOW, SET, RESET and ALTER SYSTEM of settings that the child knows under another name.
func setting(text string, toks []token) Step {
	src := text[toks[0].start:toks[len(toks)-1].end]
	st := Step{Text: rewrite(text, toks), LiftsReadOnly: liftsReadOnly(toks)}
	i := 1
	for i < len(toks) && (toks[i].word == "session" || toks[i].word == "local" || toks[0].word == "alter" && i < 3) {
		i++
	}
	if i >= len(toks) || !toks[i].ident {
		return st
	}
	shown, ok := conf.Shown(toks[i].word)
	if !ok {
		return st
	}
	name := toks[i].word
	p, antdb := conf.Lookup(name)
	switch toks[0].word {
	case "show":
		return Step{Text: fmt.Sprintf("SELECT pg_catalog.current_setting(%s) AS %s", Literal(shown), Ident(name)), Tag: "SHOW"}
	case "alter":
		if !antdb {
			return Step{Text: src}
		}
		return refuse("ALTER SYSTEM for AntDB's own settings: write them to postgresql.conf")
	}
	if !antdb {
		return Step{Text: src}
	}
	if p.Context != "user" && p.Context != "superuser" {
		msg := "parameter %q cannot be changed now"
		if p.Context != "sighup" {
			msg = "parameter %q cannot be changed without restarting the server"
		}
		return Step{Kind: Refuse, Err: wire.Errorf("55P02", msg, name)}
	}
	if v := toks[len(toks)-1]; toks[0].word == "set" && v.word != "default" {
		value := v.word
		if s, ok := v.str(); ok {
			value = s
		}
		if _, err := p.Check(value); err != nil {
			return Step{Kind: Refuse, Err: wire.Errorf("22023", "%v", err)}
		}
	}
	return Step{Text: splice(text, toks[0].start, toks[len(toks)-1].end, []edit{{toks[i].start, toks[i].end, shown}})}
}

func liftsReadOnly(toks []token) bool {
	if has(toks, "set_config") {
		for _, t := range toks {
			if s, ok := t.str(); ok && strings.HasSuffix(strings.ToLower(s), "transaction_read_only") {
				return true
			}
		}
		return false
	}
	return toks[0].word == "set" && has(toks, "write", "transaction_read_only", "default_transaction_read_only")
}

// unqualified is where a name begins that may be qualified by pg_catalog.
func unqualified(toks []token, i int) int {
	if i >= 2 && toks[i-1].word == "." && toks[i-2].word == "pg_catalog" {
		return i - 2
	}
	return i
}

// sizes are the functions that a coordinator answers with the sum over datanodes.
var sizes = map[string]bool{
	"pg_relation_size": true, "pg_table_size": true, "pg_indexes_size": true, "pg_total_relation_size": true, "pg_database_size": true,
}

// rewrite replaces, inside a statement that PostgreSQL understands otherwise, what only AntDB knows: the hidden
// columns xc_node_id and oid of pgxc_node, which tables users partitioned, sequences that gc serves, sizes of tables, and
// AntDB's names as arguments of current_setting and set_config.
func rewrite(text string, toks []token) string {
	var edits []edit
	oid := has(toks, "oid")
	for i, t := range toks {
		call := i+1 < len(toks) && toks[i+1].word == "("
		switch {
		case !t.ident:
		case t.word == "pgxc_node" && oid && !(i+1 < len(toks) && toks[i+1].word == "."):
			edits = append(edits, edit{toks[unqualified(toks, i)].start, t.end, "pg_standin.pgxc_node"})
		case t.word == "pg_partitioned_table":
			edits = append(edits, edit{toks[unqualified(toks, i)].start, t.end, "pg_standin." + t.word})
		case t.word == "xc_node_id" && !call && !(i > 0 && toks[i-1].word == "as"):
			from, qualifier := i, ""
			for from >= 2 && toks[from-1].word == "." && toks[from-2].ident {
				from -= 2
			}
			if from < i {
				qualifier = text[toks[from].start:t.start]
			}
			edits = append(edits, edit{toks[from].start, t.end, "pg_catalog.xc_node_id(" + qualifier + "tableoid)"})
		case (t.word == "nextval" || t.word == "setval") && call:
			edits = append(edits, edit{t.start, t.end, "adb_" + t.word})
		case sizes[t.word] && call:
			edits = append(edits, edit{toks[unqualified(toks, i)].start, t.end, "pg_standin." + t.word})
		case (t.word == "current_setting" || t.word == "set_config") && call && i+2 < len(toks):
			if name, ok := toks[i+2].str(); ok {
				if shown, ok := conf.Shown(name); ok {
					edits = append(edits, edit{toks[i+2].start, toks[i+2].end, Literal(shown)})
				}
			}
		}
	}
	return splice(text, toks[0].start, toks[len(toks)-1].end, edits)
}
