// SPDX-License-Identifier: Apache-2.0

package instanceapi

// Environment of an instance manager: what a pod tells it of itself. Everything else comes by file or by the API.
const (
	EnvCluster    = "ANTDB_CLUSTER"     // name of the AntDBCluster
	EnvClusterUID = "ANTDB_CLUSTER_UID" // its UID; a volume that carries another one is refused
	EnvNode       = "ANTDB_NODE"        // name in pgxc_node
	EnvRole       = "ANTDB_ROLE"        // gtm, coordinator or datanode
	EnvWALVolume  = "ANTDB_WAL_VOLUME"  // "true" when a WAL volume is mounted
	EnvJoin       = "ANTDB_JOIN"        // "true" for a node added to a running cluster: see Join
	EnvPodName    = "POD_NAME"
	EnvNamespace  = "POD_NAMESPACE"
	EnvDatabase   = "ANTDB_BOOTSTRAP_DATABASE" // the application's database and
	EnvOwner      = "ANTDB_BOOTSTRAP_OWNER"    // its owner; empty without spec.bootstrap
	EnvTemplate   = "ANTDB_TEMPLATE"           // a data directory to copy in place of running initdb; the image sets it
)

// Command line of the instance manager binary. Copy is what the init container runs, the others what people run in a
// datanode's container.
const (
	CommandRun      = "run"
	CommandCopy     = "copy"
	CommandTables   = "tables"
	CommandProbe    = "probe"
	CommandSettings = "settings"
	CommandActivity = "activity"
	CommandRoles    = "roles"
	CommandPassword = "password"
)
