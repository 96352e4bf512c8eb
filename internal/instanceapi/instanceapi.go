// SPDX-License-Identifier: Apache-2.0

// Package instanceapi is the contract between the operator and the instance manager in each pod: paths, requests and
// responses of the HTTPS API. The client is in the package instanceclient.
//
// It knows the wire and nothing else: no decision is taken here.
package instanceapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Paths of the API. /healthz needs no client certificate; all others do.
const (
	PathHealth      = "/healthz"
	PathStatus      = "/v1/status"      // GET → Status
	PathTopology    = "/v1/topology"    // PUT Topology → TopologyResult
	PathConfig      = "/v1/config"      // PUT Config → ConfigResult
	PathRestart     = "/v1/restart"     // POST Restart → 202
	PathReload      = "/v1/reload"      // POST Reload → 200; what became of it in Status.Reload
	PathBootstrap   = "/v1/bootstrap"   // POST Bootstrap → 202; progress in Status.Bootstrap
	PathCredentials = "/v1/credentials" // POST → 200 when applied, 409 while the changed Secret has not reached the pod
	PathRoles       = "/v1/roles"       // PUT Roles → RolesStatus; coordinators only
	PathReach       = "/v1/reach"       // GET → Reach; coordinators only
	PathEscape      = "/v1/escape"      // POST Escape → 202; gc only
	PathLock        = "/v1/lock"        // PUT Lock → LockStatus; gc only
	PathJoin        = "/v1/join"        // POST Join → 202; progress in Status.Join; joined nodes only
	PathDrain       = "/v1/drain"       // PUT Drain → DrainStatus; coordinators only
	PathMove        = "/v1/move"        // POST Move → 202; progress in Status.Move; gc only
	PathFeed        = "/v1/feed"        // PUT Feed → FeedStatus; datanodes only
	PathSplit       = "/v1/split"       // POST Split → 202; progress in Status.Split; gc only
	PathClean       = "/v1/clean"       // POST Clean → 202; progress in Status.Clean; gc only
	PathEmpty       = "/v1/empty/"      // GET PathEmpty + name of a datanode → Emptiness; gc only
)

// State of an instance.
type State string

// The states of an instance. Refused and Failed hold until somebody acts.
const (
	StateInitializing State = "Initializing" // initdb runs
	StateStarting     State = "Starting"     // the server has been started and does not accept connections yet
	StateRunning      State = "Running"      // the server accepts connections and SQL runs
	StateWaiting      State = "Waiting"      // the server accepts connections, but SQL does not come back
	StateRestarting   State = "Restarting"   // the server is being restarted
	StateStopped      State = "Stopped"      // the server is not running; a crashed one is started again after Backoff
	StateRefused      State = "Refused"      // the volume holds data that is not this instance's; nothing is touched
)

// Status is what an instance tells.
type Status struct {
	Cluster  string     `json:"cluster"`
	Node     string     `json:"node"`
	Instance string     `json:"instance"`
	Role     antdb.Role `json:"role"`
	// Primary is false for a standby.
	Primary bool  `json:"primary"`
	State   State `json:"state"`
	// Accepting says that the server accepts connections, as the postmaster itself tells.
	Accepting bool `json:"accepting"`
	// Serving says that SQL runs within a deadline and that, on gc and coordinators, the catalog is right.
	Serving bool `json:"serving"`
	// Reason is a CamelCase word and Message a sentence for why the instance does not serve.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Version of the engine as `postgres --version` prints it.
	Version string `json:"version,omitempty"`
	// SystemIdentifier and Timeline come from pg_controldata; LSN is the present write position. The position is
	// never copied into a cluster's status, since it moves by itself.
	SystemIdentifier string `json:"systemIdentifier,omitempty"`
	Timeline         int64  `json:"timeline,omitempty"`
	LSN              string `json:"lsn,omitempty"`
	// Starts counts the starts of the server since the pod began; more than one means it was restarted.
	Starts int `json:"starts"`
	// LastExit tells how the server ended last, when that was not asked for.
	LastExit string `json:"lastExit,omitempty"`
	// RestartedFor is the Token of the last restart that was asked for and done, RestartingFor that of one under way: the
	// server has not accepted connections since.
	RestartedFor  string `json:"restartedFor,omitempty"`
	RestartingFor string `json:"restartingFor,omitempty"`
	// Reload is the last reload that was asked for, since the instance manager began.
	Reload    *ReloadStatus  `json:"reload,omitempty"`
	Catalog   *CatalogStatus `json:"catalog,omitempty"`
	Config    ConfigStatus   `json:"config"`
	Bootstrap BootstrapState `json:"bootstrap"`
	// StaleCredentials names roles whose password in the database is not the one in the mounted Secret. Told by
	// coordinators only.
	StaleCredentials []string `json:"staleCredentials,omitempty"`
	// Roles tells of the roles that a coordinator was given; nil before, and after it was told to forget them.
	Roles *RolesStatus `json:"roles,omitempty"`
	// EscapedFor is the Token of the last escape that was asked for and done.
	EscapedFor string `json:"escapedFor,omitempty"`
	// SchemaDigest is equal on two coordinators that hold the same user-defined objects and roles. Empty while SQL
	// does not run.
	SchemaDigest string `json:"schemaDigest,omitempty"`
	// Lock and Move are told by gc, Drain by coordinators, Join by nodes that were added to a running cluster.
	Lock  *LockStatus  `json:"lock,omitempty"`
	Move  *MoveStatus  `json:"move,omitempty"`
	Drain *DrainStatus `json:"drain,omitempty"`
	Join  *JoinStatus  `json:"join,omitempty"`
	// Split and Clean are told by gc. Slots are those for copies that a datanode has, told by datanodes.
	Split *SplitStatus `json:"split,omitempty"`
	Clean *CleanStatus `json:"clean,omitempty"`
	Slots []string     `json:"slots,omitempty"`
	// StalePrepared are the gids of prepared transactions that are on this server for longer than ten seconds.
	StalePrepared []string `json:"stalePrepared,omitempty"`
	// Volume is the file system of the data directory. Like LSN it never wakes the operator.
	Volume *Volume `json:"volume,omitempty"`
}

// CatalogStatus is what gc or a coordinator tells of its pgxc_node.
type CatalogStatus struct {
	// WantGeneration and WantHash name the topology that the instance was given last.
	WantGeneration int64  `json:"wantGeneration"`
	WantHash       string `json:"wantHash"`
	// Have is the hash of the rows that the catalog holds; empty while it cannot be read.
	Have string `json:"have,omitempty"`
	// Drift is what differed when a difference was found last that nobody had asked for, and DriftSeen counts such
	// findings since the pod began.
	Drift     []string `json:"drift,omitempty"`
	DriftSeen int      `json:"driftSeen"`
	// Error tells why the catalog could not be made equal.
	Error string `json:"error,omitempty"`
	// ComparedFor is the CompareFor of the last topology that had one and that the catalog equals since, and Repaired tells
	// the rows that differed before. Since the instance manager began.
	ComparedFor string   `json:"comparedFor,omitempty"`
	Repaired    []string `json:"repaired,omitempty"`
}

// ConfigStatus is what an instance tells of its configuration.
type ConfigStatus struct {
	// Hash of the Config that the server runs with.
	Hash string `json:"hash,omitempty"`
	// PendingRestart names parameters that are written but wait for a restart.
	PendingRestart []string `json:"pendingRestart,omitempty"`
	// RejectedHash is the hash of the Config that the server refused, and Rejected what it said.
	RejectedHash string     `json:"rejectedHash,omitempty"`
	Rejected     []Rejected `json:"rejected,omitempty"`
}

// Rejected is one parameter that the server refused. Name is empty if the server's message named none.
type Rejected struct {
	Name    string `json:"name,omitempty"`
	Value   string `json:"value,omitempty"`
	Message string `json:"message"`
}

// Config is the configuration of one instance, as far as the operator decides it. The instance adds what it knows
// itself (paths, its name, addresses of its peers).
type Config struct {
	// Parameters of postgresql.conf, already merged for the node.
	Parameters map[string]string `json:"parameters"`
	// HBA lines for clients.
	HBA []string `json:"hba"`
	// GTMHost is where gc is reached: agtm_host.
	GTMHost string `json:"gtmHost"`
	// SuperuserAccess lets the superuser in over the network.
	SuperuserAccess bool `json:"superuserAccess"`
}

// Hash names a configuration; equal configurations have equal hashes.
func (c Config) Hash() string {
	text, err := json.Marshal(c)
	if err != nil { // strings and a boolean always marshal
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// Topology asks for a node catalog.
type Topology struct {
	Generation int64 `json:"generation"`
	// CompareFor is the id of a request to compare the catalog now, whatever is known of it. It is answered when SQL runs.
	CompareFor string `json:"compareFor,omitempty"`
	topology.Topology
}

// TopologyResult tells what was done.
type TopologyResult struct {
	// Hash of what the catalog holds now; empty while the server is coming up, which applies it as soon as SQL runs.
	Hash string `json:"hash"`
	// Ran lists the statements that ran, with their reasons.
	Ran []topology.Statement `json:"ran,omitempty"`
}

// ConfigResult tells how a configuration was taken.
type ConfigResult struct {
	ConfigStatus
	// Changed says that the server was given something new.
	Changed bool `json:"changed"`
}

// Restart asks for a restart of the server. The same Token is obeyed once.
type Restart struct {
	Token  string `json:"token"`
	Reason string `json:"reason"`
}

// Reload asks the instance to write the files of its server anew, and to make the server read them and gc and coordinators
// make their pool of connections anew. The same Token is obeyed once.
type Reload struct {
	Token string `json:"token"`
}

// ReloadStatus is what became of a reload; Error is empty if all went well.
type ReloadStatus struct {
	Token string `json:"token"`
	Error string `json:"error,omitempty"`
}

// Bootstrap asks a coordinator to fill a new cluster. It is journaled in the database: each step is done once.
type Bootstrap struct {
	Database               string   `json:"database"`
	Owner                  string   `json:"owner"`
	PostInitSQL            []string `json:"postInitSQL,omitempty"`
	PostInitApplicationSQL []string `json:"postInitApplicationSQL,omitempty"`
}

// BootstrapPhase says how far a bootstrap is.
type BootstrapPhase string

// The phases of a bootstrap.
const (
	BootstrapNone    BootstrapPhase = ""
	BootstrapRunning BootstrapPhase = "Running"
	BootstrapDone    BootstrapPhase = "Done"
	BootstrapFailed  BootstrapPhase = "Failed"
)

// BootstrapState is how far a bootstrap is on the coordinator that was asked.
type BootstrapState struct {
	Phase BootstrapPhase `json:"phase,omitempty"`
	// Step that runs or failed, in words, and Error what the server said.
	Step  string `json:"step,omitempty"`
	Error string `json:"error,omitempty"`
}

// Reach tells how a statement through a coordinator reached each other node; an empty text means that it did.
type Reach struct {
	Datanodes map[string]string `json:"datanodes"`
	// Coordinators are the others and gc. Instance managers of older pods do not ask them.
	Coordinators map[string]string `json:"coordinators,omitempty"`
}

// Lost are the nodes that were not reached, with what was said of each.
func (r Reach) Lost() map[string]string {
	lost := map[string]string{}
	for _, nodes := range []map[string]string{r.Datanodes, r.Coordinators} {
		for node, why := range nodes {
			if why != "" {
				lost[node] = why
			}
		}
	}
	return lost
}

// Escape asks gc to forget coordinators that it waits for: stop, start in restore mode, DROP NODE, start. The same
// Token is obeyed once.
type Escape struct {
	Token string   `json:"token"`
	Drop  []string `json:"drop"`
	// Topology is what gc shall hold from then on; it takes the place of the last one that gc was given, so that the
	// dropped rows are not taken for drift and created again.
	Topology Topology `json:"topology"`
}

// ErrNotYet is returned where the instance answers 409: what was asked for is not possible yet, and an event of the
// instance will tell when it is.
var ErrNotYet = errors.New("not yet")

// Problem is the body of every response that is not 2xx.
type Problem struct {
	Error string `json:"error"`
}
