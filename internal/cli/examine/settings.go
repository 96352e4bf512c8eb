// SPDX-License-Identifier: Apache-2.0

package examine

import (
	"path"
	"slices"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// Effective is one setting as some nodes run with it.
type Effective struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// From is where the value comes from: a field of the spec, the operator, initdb, ALTER SYSTEM, the engine's default.
	From           string   `json:"from"`
	PendingRestart bool     `json:"pendingRestart,omitempty"`
	Nodes          []string `json:"nodes"`
}

// Where a setting may come from, besides the spec.
const (
	FromOperator    = "operator"
	FromInitdb      = "initdb"
	FromAlterSystem = "ALTER SYSTEM"
	FromDefault     = "default"
)

// Settings joins the settings of nodes: equal ones of several nodes are one. all also tells those that have their
// default.
func Settings(c *v1alpha1.AntDBCluster, of map[string][]instanceapi.Setting, all bool) []Effective {
	type key struct {
		name, value, from string
		pending           bool
	}
	at := map[key]int{}
	var out []Effective
	names := make([]string, 0, len(of))
	for node := range of {
		names = append(names, node)
	}
	slices.SortFunc(names, CompareNodes)
	for _, node := range names {
		for _, s := range of[node] {
			k := key{s.Name, s.Value, origin(c, node, s), s.PendingRestart}
			if !all && (k.from == FromDefault || s.Source == "override") && !s.PendingRestart {
				continue
			}
			i, ok := at[k]
			if !ok {
				i = len(out)
				at[k] = i
				out = append(out, Effective{Name: s.Name, Value: s.Value, From: k.from, PendingRestart: s.PendingRestart})
			}
			out[i].Nodes = append(out[i].Nodes, node)
		}
	}
	slices.SortStableFunc(out, func(a, b Effective) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return CompareNodes(a.Nodes[0], b.Nodes[0])
	})
	return out
}

// origin is where a setting of a node comes from. The nearest place of the spec wins, as it does for the operator.
func origin(c *v1alpha1.AntDBCluster, node string, s instanceapi.Setting) string {
	inFile := s.Source == "configuration file"
	if _, owned := pgconf.Owned()[s.Name]; owned && (inFile || s.Source == "command line") {
		return FromOperator
	}
	switch {
	case !inFile && s.Source == "command line":
		return FromOperator
	case !inFile:
		return s.Source
	case path.Base(s.File) == "postgresql.auto.conf":
		return FromAlterSystem
	}
	role, _, err := antdb.ParseNodeName(node)
	if err != nil {
		return s.Source
	}
	if field := field(c, role, node, s.Name); field != "" {
		return field
	}
	if path.Base(s.File) == "postgresql.conf" {
		return FromInitdb
	}
	return FromOperator
}

// field is the place in the spec that sets a parameter of a node; empty if none does.
func field(c *v1alpha1.AntDBCluster, role antdb.Role, node, name string) string {
	word, r, overrides := "spec.gtm", &c.Spec.GTM.RoleSpec, []v1alpha1.NodeOverride(nil)
	switch role {
	case antdb.RoleCoordinator:
		word, r, overrides = "spec.coordinators", &c.Spec.Coordinators.RoleSpec, c.Spec.Coordinators.Overrides
	case antdb.RoleDatanode:
		word, r, overrides = "spec.datanodes", &c.Spec.Datanodes.RoleSpec, c.Spec.Datanodes.Overrides
	case antdb.RoleGTM:
	}
	for _, o := range overrides {
		if _, set := o.Parameters[name]; set && o.Name == node {
			return word + ".overrides"
		}
	}
	if _, set := r.Parameters[name]; set {
		return word
	}
	if _, set := c.Spec.Parameters[name]; set {
		return "spec.parameters"
	}
	return ""
}
