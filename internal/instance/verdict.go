// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/check"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Reasons why an instance does not serve, and ReasonServing for when it does.
const (
	ReasonServing         = "Serving"
	ReasonInitializing    = "Initializing"
	ReasonVolumeRefused   = "VolumeRefused"
	ReasonNoConfiguration = "NoConfiguration"
	ReasonStarting        = "Starting"
	ReasonRestarting      = "Restarting"
	ReasonServerStopped   = "ServerStopped"
	ReasonShuttingDown    = "ShuttingDown"
	ReasonNoAnswer        = "NoAnswer"
	ReasonNoTopology      = "NoTopology"
	ReasonCatalogDiffers  = "CatalogDiffers"
	ReasonDraining        = "Draining"
	ReasonJoining         = "Joining"
)

// facts are all that a verdict depends on.
type facts struct {
	role antdb.Role
	// preparing tells what goes on before the first start; it is empty afterwards. volumeOurs says that the volume
	// holds nothing of anybody else, and volumeReady that its data directory is in order.
	preparing   string
	volumeOurs  bool
	volumeReady bool
	refused     string
	// configured says that there is a configuration to start with.
	configured   bool
	server       supervise.Snapshot
	restarting   string
	shuttingDown bool
	// draining says that applications shall leave, and joining that the node is not part of the cluster for good yet.
	draining bool
	joining  bool
	check    check.Report
	// given, equal and catalogError speak of the catalog of gc and coordinators.
	given, equal bool
	catalogError string
	// escapeError tells why the last escape of gc did not go through.
	escapeError string
}

// verdict is what an instance says of itself.
type verdict struct {
	state   instanceapi.State
	serving bool
	reason  string
	message string
}

// judge decides whether an instance serves.
func judge(f facts) verdict {
	switch {
	case f.shuttingDown:
		return verdict{instanceapi.StateStopped, false, ReasonShuttingDown, "the pod is ending"}
	case f.refused != "":
		return verdict{instanceapi.StateRefused, false, ReasonVolumeRefused, f.refused}
	case f.preparing != "":
		return verdict{instanceapi.StateInitializing, false, ReasonInitializing, f.preparing}
	case !f.configured:
		return verdict{instanceapi.StateStopped, false, ReasonNoConfiguration, "the operator has not given a configuration yet"}
	case f.restarting != "":
		return verdict{instanceapi.StateRestarting, false, ReasonRestarting, f.restarting}
	case f.server.Phase != supervise.Accepting:
		return judgeServer(f.server)
	case f.check.State != check.Good:
		return judgeCheck(f)
	case f.joining:
		return verdict{instanceapi.StateRunning, false, ReasonJoining, "the node is being added and is not part of the cluster yet"}
	case f.role.HoldsCatalog():
		return judgeCatalog(f)
	}
	return verdict{instanceapi.StateRunning, true, ReasonServing, ""}
}

// comingUp is said until the first statement has come back.
const comingUp = "the server has not come up yet"

func judgeServer(s supervise.Snapshot) verdict {
	if s.Phase == supervise.Starting {
		return verdict{instanceapi.StateStarting, false, ReasonStarting, comingUp}
	}
	message := "the server does not run"
	if s.LastExit != "" {
		message = "the server ended by itself: " + s.LastExit
	}
	return verdict{instanceapi.StateStopped, false, ReasonServerStopped, message}
}

func judgeCheck(f facts) verdict {
	if f.check.State == check.Unknown {
		return verdict{instanceapi.StateStarting, false, ReasonStarting, comingUp}
	}
	message := "statements do not come back: the server waits for a snapshot from gc"
	if f.role == antdb.RoleGTM {
		message = "statements do not come back: gc waits until every registered node has connected to it"
	}
	if f.check.Error != "" {
		message = "statements do not come back: " + f.check.Error
	}
	if f.escapeError != "" {
		message += "; the last escape did not go through: " + f.escapeError
	}
	return verdict{instanceapi.StateWaiting, false, ReasonNoAnswer, message}
}

func judgeCatalog(f facts) verdict {
	v := verdict{state: instanceapi.StateRunning}
	switch {
	case !f.given:
		v.reason, v.message = ReasonNoTopology, "the operator has not given a topology yet"
	case f.equal && f.draining:
		v.reason, v.message = ReasonDraining, "no new sessions of applications are let in, and those that are left come to their end"
	case f.equal:
		v.serving, v.reason = true, ReasonServing
	case f.catalogError != "":
		v.reason, v.message = ReasonCatalogDiffers, f.catalogError
	default:
		v.reason, v.message = ReasonCatalogDiffers, "pgxc_node is not yet known to equal the topology"
	}
	return v
}
