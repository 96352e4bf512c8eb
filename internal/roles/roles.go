// SPDX-License-Identifier: Apache-2.0

// Package roles treats the roles of a database as values: those that somebody wants, those that a server holds, and the
// SQL that makes them equal.
//
// It never runs a statement and knows no database connection. A role that is not among the wanted ones is none of its
// business.
package roles

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Attributes are what a role may do.
type Attributes struct {
	Login      bool `json:"login,omitempty"`
	Superuser  bool `json:"superuser,omitempty"`
	CreateDB   bool `json:"createDB,omitempty"`
	CreateRole bool `json:"createRole,omitempty"`
	Inherit    bool `json:"inherit,omitempty"`
	// ConnectionLimit is how many sessions the role may have on one node; -1 for any number.
	ConnectionLimit int64 `json:"connectionLimit"`
}

// Role is a role as it is wanted. All that is said of it counts, and so does what is not said: a role without a comment
// shall have none.
type Role struct {
	Attributes

	Name string `json:"name"`
	// Absent says that there shall be no such role. Nothing else is looked at then.
	Absent   bool     `json:"absent,omitempty"`
	Comment  string   `json:"comment,omitempty"`
	MemberOf []string `json:"memberOf,omitempty"`
	// Verifier is what the server shall store as the role's password. Without one the password is left alone, unless
	// NoPassword says that there shall be none.
	Verifier   string `json:"verifier,omitempty"`
	NoPassword bool   `json:"noPassword,omitempty"`
}

// Held is a role as a server holds it.
type Held struct {
	Attributes

	Name     string
	Comment  string
	MemberOf []string
	// Verifier is what is stored as the role's password; empty for none.
	Verifier string
}

// Step is what makes one role equal, or a part of that, in one transaction.
type Step struct {
	Role string
	// SQL may hold a verifier and is not for a log. Why is.
	SQL []string
	Why string
}

// Diff lists the steps that make roles equal to those that are wanted: first what each of them is, then of which others
// they are members, since those may be new too, then those that shall not be there. A role that is equal has no step.
func Diff(have []Held, want []Role) []Step {
	held := map[string]Held{}
	for _, h := range have {
		held[h.Name] = h
	}
	var are, members, drops []Step
	for _, w := range want {
		h, exists := held[w.Name]
		switch {
		case w.Absent && exists:
			drops = append(drops, Step{w.Name, []string{"DROP ROLE " + topology.Identifier(w.Name)}, "it shall not be there"})
		case !w.Absent:
			are = appendStep(are, be(w, h, exists))
			members = appendStep(members, join(w, h))
		}
	}
	return slices.Concat(are, members, drops)
}

func appendStep(all []Step, s Step) []Step {
	if len(s.SQL) == 0 {
		return all
	}
	return append(all, s)
}

// option is one attribute of a role: how a person and how a statement say it.
type option struct{ name, word string }

// options are the attributes in the order in which they are written.
func (a Attributes) options() []option {
	word := func(is bool, word string) option {
		if is {
			return option{strings.ToLower(word), word}
		}
		return option{strings.ToLower(word), "NO" + word}
	}
	return []option{
		word(a.Login, "LOGIN"), word(a.Superuser, "SUPERUSER"), word(a.CreateDB, "CREATEDB"), word(a.CreateRole, "CREATEROLE"),
		word(a.Inherit, "INHERIT"), {"connection limit", "CONNECTION LIMIT " + strconv.FormatInt(a.ConnectionLimit, 10)},
	}
}

// be makes the role itself.
func be(w Role, h Held, exists bool) Step {
	verb, why := "ALTER", []string{}
	if !exists {
		verb, why = "CREATE", []string{"it is missing"}
	}
	var words []string
	for i, o := range w.options() {
		if exists && o == h.options()[i] {
			continue
		}
		words = append(words, o.word)
		if exists {
			why = append(why, o.name)
		}
	}
	switch {
	case w.Verifier != "" && w.Verifier != h.Verifier:
		words, why = append(words, "PASSWORD "+topology.Literal(w.Verifier)), append(why, "password")
	case w.NoPassword && h.Verifier != "":
		words, why = append(words, "PASSWORD NULL"), append(why, "no password")
	}
	s := Step{Role: w.Name}
	if len(words) > 0 {
		s.SQL = append(s.SQL, verb+" ROLE "+topology.Identifier(w.Name)+" WITH "+strings.Join(words, " "))
	}
	if w.Comment != h.Comment {
		text := "NULL"
		if w.Comment != "" {
			text = topology.Literal(w.Comment)
		}
		s.SQL, why = append(s.SQL, "COMMENT ON ROLE "+topology.Identifier(w.Name)+" IS "+text), append(why, "comment")
	}
	s.Why = strings.Join(why, ", ")
	return s
}

// join makes the role a member of those others that are wanted, and of no more.
func join(w Role, h Held) Step {
	s, why := Step{Role: w.Name}, []string{}
	for _, group := range lacking(w.MemberOf, h.MemberOf) {
		s.SQL = append(s.SQL, fmt.Sprintf("GRANT %s TO %s", topology.Identifier(group), topology.Identifier(w.Name)))
		why = append(why, "member of "+group)
	}
	for _, group := range lacking(h.MemberOf, w.MemberOf) {
		s.SQL = append(s.SQL, fmt.Sprintf("REVOKE %s FROM %s", topology.Identifier(group), topology.Identifier(w.Name)))
		why = append(why, "no member of "+group)
	}
	s.Why = strings.Join(why, ", ")
	return s
}

// lacking are those of some names that others do not hold, each once, sorted.
func lacking(of, in []string) []string {
	missing := map[string]bool{}
	for _, name := range of {
		if !slices.Contains(in, name) {
			missing[name] = true
		}
	}
	return slices.Sorted(maps.Keys(missing))
}
