// SPDX-License-Identifier: Apache-2.0

package examine

import (
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Check is one thing that was tried.
type Check struct {
	// From is empty for a statement on the server itself.
	From string `json:"from,omitempty"`
	To   string `json:"to"`
	Up   bool   `json:"up"`
	// Micros is how long it took.
	Micros  int64  `json:"micros,omitempty"`
	Message string `json:"message,omitempty"`
}

// Result is the result of all checks of a cluster.
type Result struct {
	Instances []Check `json:"instances"`
	Services  []Check `json:"services"`
	// Paths are statements from gc and each coordinator to each datanode.
	Paths []Check `json:"paths"`
	// Catalogs tells whether pgxc_node is as it shall be, Objects whether users' objects and roles are the same
	// everywhere. To names the holders that agree.
	Catalogs Check `json:"catalogs"`
	Objects  Check `json:"objects"`
}

// All checks.
func (r *Result) All() []Check {
	return slices.Concat(r.Instances, r.Services, r.Paths, []Check{r.Catalogs, r.Objects})
}

// Failed counts the checks that failed.
func (r *Result) Failed() int {
	n := 0
	for _, c := range r.All() {
		if !c.Up {
			n++
		}
	}
	return n
}

// Test judges whether a cluster works.
func Test(f *Facts) Result {
	var r Result
	for _, node := range f.nodes() {
		r.Instances = append(r.Instances, instanceCheck(f, node))
	}
	r.Services = services(f)
	for _, from := range f.holders() {
		r.Paths = append(r.Paths, paths(f, from)...)
	}
	r.Catalogs, r.Objects = catalogCheck(f), objectCheck(f)
	return r
}

func attempt(from, to string, a instanceapi.Attempt) Check {
	return Check{From: from, To: to, Up: a.Error == "" && !a.Left, Micros: a.Micros, Message: a.Error}
}

func instanceCheck(f *Facts, node string) Check {
	p, ok := f.Probes[node]
	switch {
	case !ok:
		return Check{To: node, Message: "it was not asked"}
	case p.Err != "":
		return Check{To: node, Message: p.Err}
	case p.SQL.Left:
		return Check{To: node, Message: "it waits for registered nodes and is not asked, since a session would hang"}
	}
	return attempt("", node, p.SQL)
}

// services are tried by one instance, since pods need no password.
func services(f *Facts) []Check {
	var out []Check
	for _, node := range f.nodes() {
		for _, a := range f.Probes[node].AskedFor {
			tried, ok := f.Probes[node].Addresses[a.HostPort]
			if !ok {
				tried.Error = "it was not tried: " + silence(f.Probes[node])
			}
			out = append(out, attempt(node, a.Service, tried))
		}
	}
	return out
}

// paths are the statements from one node to all datanodes: those that the cluster has, and those that only a catalog
// names.
func paths(f *Facts, from string) []Check {
	tried := f.Probes[from].Datanodes
	names := f.nodes(antdb.RoleDatanode)
	for name := range tried {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, CompareNodes)
	var out []Check
	for _, to := range names {
		if a, ok := tried[to]; ok {
			out = append(out, attempt(from, to, a))
			continue
		}
		why := "its catalog does not name " + to
		if !f.answers(from) {
			why = "no statement runs on " + from
		}
		out = append(out, Check{From: from, To: to, Message: why})
	}
	return out
}

func catalogCheck(f *Facts) Check {
	c := Compare(f)
	var wrong, right []string
	for _, d := range c.Differences() {
		if !slices.Contains(wrong, d.Holder) {
			wrong = append(wrong, d.Holder)
		}
	}
	for _, h := range c.Holders {
		if !slices.Contains(wrong, h) {
			right = append(right, h)
		}
	}
	out := Check{To: strings.Join(right, ", "), Up: len(wrong) == 0 && len(c.Silent) == 0}
	var words []string
	if len(wrong) > 0 {
		words = append(words, "differs on "+strings.Join(wrong, ", "))
	}
	if silent := silents(f, c.Silent); len(silent) > 0 {
		words = append(words, "cannot be read on "+strings.Join(silent, ", "))
	}
	out.Message = strings.Join(words, "; ")
	return out
}

func silents(f *Facts, silent map[string]string) []string {
	var out []string
	for _, h := range f.holders() {
		if _, ok := silent[h]; ok {
			out = append(out, h)
		}
	}
	return out
}

func objectCheck(f *Facts) Check {
	groups := Schemas(f)
	known := 0
	for _, g := range groups {
		known += len(g)
	}
	out := Check{Up: len(groups) == 1 && known == len(f.holders())}
	if len(groups) > 0 {
		out.To = strings.Join(groups[0], ", ")
	}
	switch {
	case len(groups) > 1:
		out.Message = "differ on " + strings.Join(slices.Concat(groups[1:]...), ", ")
	case !out.Up:
		out.Message = "cannot be read everywhere"
	}
	return out
}
