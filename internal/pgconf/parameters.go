// SPDX-License-Identifier: Apache-2.0

package pgconf

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// Why the operator keeps a setting to itself.
const (
	whyAddress = "nodes find each other by it"
	whyName    = "it is the node's identity in the cluster"
	whySocket  = "the instance manager reaches the server by it"
	whyFile    = "the instance manager writes the configuration files"
)

// Owned maps the settings that a user cannot set to the reason. The API refuses the same names.
func Owned() map[string]string {
	return map[string]string{
		"agtm_host":               whyAddress,
		"agtm_port":               whyAddress,
		"pgxc_node_name":          whyName,
		"adb_node_type":           whyName,
		"listen_addresses":        whyAddress,
		"port":                    whyAddress,
		"unix_socket_directories": whySocket,
		"unix_socket_group":       whySocket,
		"unix_socket_permissions": whySocket,
		"data_directory":          whyFile,
		"config_file":             whyFile,
		"hba_file":                whyFile,
		"ident_file":              whyFile,
		"external_pid_file":       whyFile,
		"include":                 whyFile,
		"include_dir":             whyFile,
		"include_if_exists":       whyFile,
	}
}

// Problem is one setting or one line that cannot be used, with the rule that it breaks.
type Problem struct {
	Name    string
	Value   string
	Message string
}

// A name is written unquoted into the file, so anything else could smuggle in a second setting.
var parameterName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// CheckParameters lists the settings that break a rule of ours, by name. What the values mean is the engine's to judge.
func CheckParameters(parameters map[string]string) []Problem {
	owned := Owned()
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		value := parameters[name]
		switch why, isOwned := owned[strings.ToLower(name)]; {
		case isOwned:
			problems = append(problems, Problem{name, value,
				fmt.Sprintf("parameter %q cannot be set: the operator keeps it, since %s", name, why)})
		case !parameterName.MatchString(name):
			problems = append(problems, Problem{name, value,
				fmt.Sprintf("parameter %q is no name of a setting: allowed are lower-case letters, digits, \"_\" and one \".\"", name)})
		case strings.ContainsRune(value, 0):
			problems = append(problems, Problem{name, value,
				fmt.Sprintf("parameter %q: a value cannot hold a zero byte", name)})
		}
	}
	return problems
}

// Defaults are the settings that a node of the role gets unless the user sets them.
func Defaults(role antdb.Role) map[string]string {
	d := map[string]string{
		// Without prepared transactions every statement over several nodes fails.
		"max_prepared_transactions": "1000",
		// More than the API allows, so that a cluster never needs a restart of all nodes to grow. It costs 376 kB.
		"max_coordinators": "64",
		"max_datanodes":    "64",
		// A standby can be made of any server without a restart, and rewound after a failover.
		"wal_level":       "replica",
		"hot_standby":     "on",
		"max_wal_senders": "10",
		"wal_log_hints":   "on",

		"password_encryption": "scram-sha-256",

		// The engine sets no timeout on connections between nodes: a peer that vanished is noticed by this only.
		"tcp_keepalives_idle":     "15",
		"tcp_keepalives_interval": "5",
		"tcp_keepalives_count":    "3",

		// The instance manager reads the server's messages from its standard error.
		"log_destination":   "stderr",
		"logging_collector": "off",
		"log_line_prefix":   "[%p] %q%u@%d %r ",
	}
	if role == antdb.RoleDatanode {
		// Each session of each coordinator takes a connection here.
		d["max_connections"] = "500"
	}
	return d
}
