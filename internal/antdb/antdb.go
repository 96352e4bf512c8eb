// SPDX-License-Identifier: Apache-2.0

// Package antdb holds the nouns of an AntDB cluster: roles, node types, node names.
//
// It knows the words and their spelling on the engine's command line and in its catalog. It knows nothing of
// Kubernetes and imports only the standard library.
package antdb

import (
	"fmt"
	"regexp"
	"strconv"
)

// Port is where every server of a cluster listens.
const Port = 5432

// Superuser is the bootstrap superuser. Coordinators and datanodes connect to gc as this very name, which is
// written into the engine.
const Superuser = "postgres"

// InitialDatabase is a database that initdb makes beside the usual ones, and that users may drop.
const InitialDatabase = "antdb"

// MaxHostBytes is the length of pgxc_node.node_host, a column of type name.
const MaxHostBytes = 63

// Role is what a node does in its cluster.
type Role string

// The roles of a cluster.
const (
	RoleGTM         Role = "gtm"
	RoleCoordinator Role = "coordinator"
	RoleDatanode    Role = "datanode"
)

// Flag is the command-line flag that gives a server its role. The engine stores the role nowhere else and refuses to
// start without the flag.
func (r Role) Flag() string {
	if r == RoleGTM {
		return "--gtm_coord"
	}
	return "--" + string(r)
}

// HoldsCatalog tells whether nodes of the role must hold the full pgxc_node.
func (r Role) HoldsCatalog() bool { return r == RoleGTM || r == RoleCoordinator }

// prefix of the node names of a role.
func (r Role) prefix() string {
	switch r {
	case RoleCoordinator:
		return "cn"
	case RoleDatanode:
		return "dn"
	case RoleGTM:
	}
	return ""
}

// GTMNode is the name of the one gtm_coord.
const GTMNode = "gc"

// NodeName is the name of the n-th node of a role, counted from 1.
func NodeName(r Role, n int) string {
	if r == RoleGTM {
		return GTMNode
	}
	return r.prefix() + strconv.Itoa(n)
}

var numbered = regexp.MustCompile(`^(cn|dn)([1-9][0-9]*)$`)

// ParseNodeName returns the role and the number of a node; gc is number 1.
func ParseNodeName(name string) (Role, int, error) {
	if name == GTMNode {
		return RoleGTM, 1, nil
	}
	m := numbered.FindStringSubmatch(name)
	if m == nil {
		return "", 0, fmt.Errorf("node name %q: allowed are gc, cn1, cn2, … and dn1, dn2, …", name)
	}
	n, err := strconv.Atoi(m[2])
	if err != nil {
		return "", 0, fmt.Errorf("node name %q: %w", name, err)
	}
	if m[1] == "cn" {
		return RoleCoordinator, n, nil
	}
	return RoleDatanode, n, nil
}

// NodeType is pgxc_node.node_type.
type NodeType string

// The node types of the catalog. A gtm_coord is a coordinator with nodeis_gtm set.
const (
	TypeCoordinator NodeType = "C"
	TypeDatanode    NodeType = "D"
)

// Word is the type as CREATE NODE spells it.
func (t NodeType) Word() string {
	if t == TypeDatanode {
		return "datanode"
	}
	return "coordinator"
}

// TypeOf is the node type of a role.
func TypeOf(r Role) NodeType {
	if r == RoleDatanode {
		return TypeDatanode
	}
	return TypeCoordinator
}
