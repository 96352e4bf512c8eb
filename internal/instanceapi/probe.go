// SPDX-License-Identifier: Apache-2.0

package instanceapi

import (
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Probe is what an instance finds out about its server at one moment. CommandProbe prints it as JSON.
type Probe struct {
	Node string     `json:"node"`
	Role antdb.Role `json:"role"`
	// SQL is a statement over the server's socket that needs a snapshot from gc. Without it nothing that SQL tells is
	// here.
	SQL Attempt `json:"sql"`
	// LSN is the present position in the write-ahead log.
	LSN string `json:"lsn,omitempty"`
	// Catalog is the server's own pgxc_node, SchemaDigest is equal on servers that hold the same user-defined objects
	// and roles. Both are told by gc and coordinators.
	Catalog      []topology.Node `json:"catalog,omitempty"`
	SchemaDigest string          `json:"schemaDigest,omitempty"`
	// Datanodes tells how a statement reached each datanode that the catalog names; gc and coordinators only.
	Datanodes map[string]Attempt `json:"datanodes,omitempty"`
	// Addresses tells how a statement reached each address that was asked for.
	Addresses map[string]Attempt `json:"addresses,omitempty"`
	// Prepared are two-phase transactions that are prepared here.
	Prepared []Prepared `json:"prepared,omitempty"`
	// Volumes by their kind, data and wal; WALBytes is the size of the write-ahead log.
	Volumes  map[string]Volume `json:"volumes,omitempty"`
	WALBytes int64             `json:"walBytes,omitempty"`
	// Databases are told when they are asked for, by datanodes only: a coordinator adds up over all datanodes.
	Databases []DatabaseSize `json:"databases,omitempty"`
	// CertificateUntil is the end of the certificate of the instance API, in RFC 3339.
	CertificateUntil string `json:"certificateUntil,omitempty"`
	// Problems are what could not be found out.
	Problems []string `json:"problems,omitempty"`
}

// Attempt is one try: how long it took, or why it failed.
type Attempt struct {
	Micros int64  `json:"micros,omitempty"`
	Error  string `json:"error,omitempty"`
	// Left says that it was not tried.
	Left bool `json:"left,omitempty"`
}

// Prepared is one transaction between the two phases of its commit.
type Prepared struct {
	GID      string `json:"gid"`
	Database string `json:"database"`
	Owner    string `json:"owner"`
	Seconds  int64  `json:"seconds"`
}

// DatabaseSize is what a server holds of one database.
type DatabaseSize struct {
	Database string `json:"database"`
	Bytes    int64  `json:"bytes"`
}

// Flags of CommandProbe. After them come addresses to try, as HOST:PORT.
const (
	// ProbeWithoutSQL opens no session: on a gc that waits for its nodes each would hang until it goes on.
	ProbeWithoutSQL = "-without-sql"
	// ProbeSizes measures databases.
	ProbeSizes = "-sizes"
)
