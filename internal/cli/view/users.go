// SPDX-License-Identifier: Apache-2.0

package view

import (
	"slices"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// User is a role of a cluster's database, or one that shall be.
type User struct {
	instanceapi.HeldRole

	Namespace string `json:"namespace"`
	Cluster   string `json:"cluster"`
	// Exists is false for a role that is wanted and not there yet, or that is not wanted and not there.
	Exists bool `json:"exists"`
	// KeptBy is operator, spec.bootstrap or spec.managed, and empty for a role that nobody keeps.
	KeptBy string `json:"keptBy,omitempty"`
	// Secret holds the password, if the role is kept with one.
	Secret  string `json:"secret,omitempty"`
	State   string `json:"state,omitempty"`
	Message string `json:"message,omitempty"`
}

// may are the attributes of a role in words.
func (u User) may() string {
	var words []string
	for _, w := range []struct {
		is   bool
		word string
	}{
		{!u.Exists, "not there"}, {u.Login, "login"}, {u.Superuser, "superuser"},
		{u.CreateDB && !u.Superuser, "createdb"}, {u.CreateRole && !u.Superuser, "createrole"}, // a superuser may anyway
		{u.Exists && !u.Inherit, "noinherit"}, {u.Exists && u.ConnectionLimit >= 0, "limit " + strconv.FormatInt(u.ConnectionLimit, 10)},
	} {
		if w.is {
			words = append(words, w.word)
		}
	}
	return dash(strings.Join(words, ", "))
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// stateTone warns of a role that is not as it shall be.
func stateTone(state string) string {
	switch state {
	case "Failed":
		return red
	case "Pending":
		return yellow
	}
	return ""
}

// Users is a line for each role. Why one is not as it is described stands below.
func Users(s Style, all []User) string {
	l := &lines{style: s}
	several := slices.ContainsFunc(all, func(u User) bool { return u.Cluster != all[0].Cluster || u.Namespace != all[0].Namespace })
	t := table{heads: []string{"ROLE", "STATE", "MAY", "MEMBER OF", "KEPT BY", "SECRET"}}
	if several {
		t.heads = append([]string{"CLUSTER"}, t.heads...)
	}
	for _, u := range all {
		row := []string{u.Name, s.paint(stateTone(u.State), dash(u.State)), u.may(), dash(strings.Join(u.MemberOf, ", ")), dash(u.KeptBy), dash(u.Secret)}
		if several {
			row = append([]string{u.Namespace + "/" + u.Cluster}, row...)
		}
		t.row(row...)
	}
	t.draw(l)
	for _, u := range all {
		if u.Message != "" {
			l.add()
			l.add(u.Name, ": ", u.State)
			l.paragraph("  ", u.Message)
		}
	}
	return l.String()
}
