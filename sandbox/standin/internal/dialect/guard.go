// SPDX-License-Identifier: Apache-2.0

package dialect

import "strings"

// unguarded are the first words of statements that a locked cluster lets through; whatever is not here counts as DDL.
var unguarded = map[string]bool{
	"begin": true, "start": true, "commit": true, "end": true, "rollback": true, "abort": true, "savepoint": true, "release": true,
	"truncate": true, "cluster": true, "reindex": true, "clean": true,
}

// guarded is the command tag by which pgxc_lock_for_backup refuses a statement, empty when it lets it through.
func guarded(toks []token, st Step) string {
	verb := toks[0].word
	switch {
	case st.Kind == Nodes, words(toks, "create", "barrier"), unguarded[verb]:
		return ""
	case st.Kind == TableAs && verb != "create":
		return "CREATE TABLE"
	case words(toks, "declare"):
		return "DECLARE CURSOR"
	case words(toks, "call"):
		return "CALL"
	case local[verb]:
		return ""
	case words(toks, "create", "temp", "table"), words(toks, "create", "temporary", "table"):
		if !has(toks, "as") {
			return ""
		}
	}
	return commandTag(toks)
}

// noise are words between a verb and its object that a command tag leaves out.
var noise = map[string]bool{
	"or": true, "replace": true, "unique": true, "temp": true, "temporary": true, "unlogged": true, "global": true, "local": true,
	"recursive": true, "trusted": true, "procedural": true, "constraint": true,
}

// commandTag is the tag of a utility statement, read off its first words.
func commandTag(toks []token) string {
	verb := toks[0].word
	if verb != "create" && verb != "alter" && verb != "drop" {
		return strings.ToUpper(verb + longer[verb])
	}
	rest := toks[1:]
	for len(rest) > 1 && noise[rest[0].word] {
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return strings.ToUpper(verb)
	}
	object := rest[0].word
	switch {
	case object == "user" && !(len(rest) > 1 && rest[1].word == "mapping"), object == "group":
		object = "role"
	case object == "table" && verb == "create" && has(toks, "as") && !has(toks, "references"):
		object = "table as"
	case len(rest) > 1 && twoWords[object]:
		object += " " + rest[1].word
	}
	return strings.ToUpper(verb + " " + object)
}

// longer is what a tag adds to its verb.
var longer = map[string]string{
	"reassign": " owned", "refresh": " materialized view", "security": " label", "import": " foreign schema", "finish": " backend",
}

// twoWords begin the names of kinds of objects that have two.
var twoWords = map[string]bool{
	"materialized": true, "foreign": true, "event": true, "default": true, "text": true, "access": true, "user": true, "operator": true,
}
