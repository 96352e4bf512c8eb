// SPDX-License-Identifier: Apache-2.0

// Package pod tells an instance who it is and where its files are.
//
// It reads the environment that the operator gives a pod, and how much memory the pod may use. It asks nobody.
package pod

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Identity is whose data a volume holds.
type Identity struct {
	Cluster    string `json:"cluster"`
	ClusterUID string `json:"clusterUID"`
	Namespace  string `json:"namespace"`
	Node       string `json:"node"`
	Instance   string `json:"instance"`
}

// Launch is what a pod tells the instance manager in it.
type Launch struct {
	Identity
	Role antdb.Role
	// WALVolume says that the write-ahead log has a volume of its own.
	WALVolume bool
	// Join says that the node is added to a running cluster: its data is made as the operator says, and not before.
	Join bool
	// Database and Owner are the application's; empty without spec.bootstrap.
	Database, Owner string
	// Template is the data directory that the image brings along, made by initdb; empty if it brings none.
	Template string
}

// FromEnv reads the environment; every variable that is missing or wrong is named.
func FromEnv(getenv func(string) string) (Launch, error) {
	var problems []error
	required := func(name string) string {
		v := getenv(name)
		if v == "" {
			problems = append(problems, fmt.Errorf("environment variable %s is not set", name))
		}
		return v
	}
	l := Launch{
		Identity: Identity{
			Cluster:    required(instanceapi.EnvCluster),
			ClusterUID: required(instanceapi.EnvClusterUID),
			Namespace:  required(instanceapi.EnvNamespace),
			Node:       required(instanceapi.EnvNode),
			Instance:   required(instanceapi.EnvPodName),
		},
		Role:      antdb.Role(required(instanceapi.EnvRole)),
		WALVolume: strings.EqualFold(getenv(instanceapi.EnvWALVolume), "true"),
		Join:      strings.EqualFold(getenv(instanceapi.EnvJoin), "true"),
		Database:  getenv(instanceapi.EnvDatabase),
		Owner:     getenv(instanceapi.EnvOwner),
		Template:  getenv(instanceapi.EnvTemplate),
	}
	switch l.Role {
	case antdb.RoleGTM, antdb.RoleCoordinator, antdb.RoleDatanode, "":
	default:
		problems = append(problems, fmt.Errorf("environment variable %s is %q: allowed are %s, %s and %s",
			instanceapi.EnvRole, l.Role, antdb.RoleGTM, antdb.RoleCoordinator, antdb.RoleDatanode))
	}
	return l, errors.Join(problems...)
}

// Paths are where an instance finds and keeps its files.
type Paths struct {
	Volume, WALVolume, Sockets                  string
	Certificate, Config, Superuser, Application string
}

// DefaultPaths are the paths in a pod.
func DefaultPaths() Paths {
	return Paths{
		Volume:      naming.PathVolume,
		WALVolume:   naming.PathWALVolume,
		Sockets:     naming.PathSockets,
		Certificate: naming.PathCertificate,
		Config:      naming.PathConfig,
		Superuser:   naming.PathSuperuser,
		Application: naming.PathApplication,
	}
}

// Data is the data directory, PGDATA.
func (p Paths) Data() string { return filepath.Join(p.Volume, "pgdata") }

// State is the folder beside the data directory that holds what the instance manager must remember and the
// configuration files that it writes.
func (p Paths) State() string { return filepath.Join(p.Volume, "conf") }

// WAL is the folder of the write-ahead log on its own volume.
func (p Paths) WAL() string { return filepath.Join(p.WALVolume, "pgwal") }

// HalfMade is the name that a folder has until everything in it is in place.
func HalfMade(folder string) string { return folder + ".init" }
