// SPDX-License-Identifier: Apache-2.0

package instanceapi

// Lock asks gc to hold the lock that keeps DDL out of the whole cluster, or to give it up. The lock is a lease: it is
// given up LeaseSeconds after it was asked for last, so that it does not outlive an operator that went away.
type Lock struct {
	Token string `json:"token"`
	Hold  bool   `json:"hold"`
	// Renew only prolongs a lock that this instance holds, and never takes one: an instance manager that was restarted
	// does not know that it lost it.
	Renew bool `json:"renew,omitempty"`
}

// LeaseSeconds is how long a lock, or a drain of a coordinator, outlives the last request for it.
const LeaseSeconds = 120

// LockState is what became of a lock.
type LockState string

// The states of a lock.
const (
	LockNone   LockState = ""       // nobody asked for it, or it was given up as asked
	LockTaking LockState = "Taking" // it is being taken; Message says what keeps it
	LockHeld   LockState = "Held"
	// LockLost: it was held and was lost before anybody gave it up: its session or gc ended, or the lease ran out. DDL
	// may have run since. A lock with the same Token is never taken again.
	LockLost LockState = "Lost"
)

// LockStatus tells of the lock that was asked for last.
type LockStatus struct {
	Token   string    `json:"token,omitempty"`
	State   LockState `json:"state,omitempty"`
	Message string    `json:"message,omitempty"`
}

// JoinKind says where the content of a node that is added comes from.
type JoinKind string

// The kinds of joining.
const (
	// JoinCopy makes a coordinator as a physical copy of another one.
	JoinCopy JoinKind = "Copy"
	// JoinSchema makes an empty datanode that holds the schema and the roles of another one.
	JoinSchema JoinKind = "Schema"
	// JoinClone makes a datanode as a physical copy of another one that follows it, until the restore point Mark comes in
	// the log: there it becomes a primary. It needs no lock: the log carries DDL too.
	JoinClone JoinKind = "Clone"
)

// Join asks the instance of a node that is added to make its data. An instance with EnvJoin makes none before it is
// asked. The same Token is obeyed once; another one throws away what was made before, unless that is kept. Copy and Schema
// must be asked for only while the lock that keeps DDL out is held.
type Join struct {
	Token string   `json:"token"`
	Kind  JoinKind `json:"kind"`
	// From is the host of the node that is copied.
	From string `json:"from"`
	// Slot on From keeps the log for a Clone.
	Slot string `json:"slot,omitempty"`
	// Mark is the name of the restore point at which a Clone becomes a primary.
	Mark string `json:"mark,omitempty"`
	// Keep says that what was made with this Token is part of the cluster from now on, and is never thrown away.
	Keep bool `json:"keep,omitempty"`
}

// JoinPhase says how far a join is.
type JoinPhase string

// The phases of a join.
const (
	JoinNone    JoinPhase = ""        // the node is no joined one
	JoinWaiting JoinPhase = "Waiting" // the volume is empty and nobody asked yet
	JoinRunning JoinPhase = "Running"
	JoinMade    JoinPhase = "Made" // the data is there, and the server may be started with it
	JoinFailed  JoinPhase = "Failed"
	JoinKept    JoinPhase = "Kept" // it is part of the cluster for good
)

// JoinStatus is how far the join of a node is.
type JoinStatus struct {
	Token string    `json:"token,omitempty"`
	Phase JoinPhase `json:"phase,omitempty"`
	// Step in words, and Error what went wrong.
	Step  string `json:"step,omitempty"`
	Error string `json:"error,omitempty"`
}

// Drain asks a coordinator to take no new sessions and to let its present ones finish. It says at once that it does not
// serve, so that the application Service leaves it out. After GraceSeconds the sessions that are left are ended. It is a
// lease like a lock: without another request it is over, and applications are let in again.
type Drain struct {
	Token        string `json:"token"`
	GraceSeconds int64  `json:"graceSeconds"`
	// Stop ends the drain: applications are let in again.
	Stop bool `json:"stop,omitempty"`
}

// DrainStatus tells of a drain.
type DrainStatus struct {
	Token string `json:"token,omitempty"`
	// Sessions of applications that are still there.
	Sessions int `json:"sessions"`
	// Done says that no session is left and none is let in.
	Done bool `json:"done"`
	// Undecided are the gids of two-phase transactions that this coordinator has not finished.
	Undecided []string `json:"undecided,omitempty"`
}

// Move asks gc to move rows between datanodes, table by table, in every database. It goes on by itself; the status tells
// how far it is. It may be asked for again at any time: what is in its place already is left alone.
type Move struct {
	Token string `json:"token"`
	// Onto are all datanodes that shall hold rows. Tables that lie on exactly the datanodes From are spread over Onto.
	// With All, every table is, whatever datanodes it lies on.
	Onto []string `json:"onto,omitempty"`
	From []string `json:"from,omitempty"`
	All  bool     `json:"all,omitempty"`
	// Off are datanodes that shall hold nothing: every table that lies on one of them is taken off it. A table that lies
	// on no other one is pinned, and nothing is moved.
	Off []string `json:"off,omitempty"`
	// PlanOnly computes what would be moved and moves nothing.
	PlanOnly bool `json:"planOnly,omitempty"`
	// MaxPauseMillis bounds how long one table may wait for its locks while all statements of the cluster are held back.
	MaxPauseMillis int64 `json:"maxPauseMillis"`
	// Cancel stops after the table that is being moved.
	Cancel bool `json:"cancel,omitempty"`
}

// MovePhase says how far a move is.
type MovePhase string

// The phases of a move.
const (
	MoveNone      MovePhase = ""
	MoveRunning   MovePhase = "Running"
	MovePlanned   MovePhase = "Planned" // PlanOnly, and the plan is in the status
	MoveDone      MovePhase = "Done"
	MoveCancelled MovePhase = "Cancelled"
	MoveFailed    MovePhase = "Failed" // it is not tried again before it is asked for with another Token
)

// MoveStatus tells of the move that was asked for last. Numbers of it do not wake the operator, which asks while an
// operation runs.
type MoveStatus struct {
	Token string    `json:"token,omitempty"`
	Phase MovePhase `json:"phase,omitempty"`
	// Message says what is done, waited for, or went wrong.
	Message     string `json:"message,omitempty"`
	TablesTotal int    `json:"tablesTotal"`
	TablesDone  int    `json:"tablesDone"`
	RowsTotal   int64  `json:"rowsTotal"`
	RowsDone    int64  `json:"rowsDone"`
	BytesTotal  int64  `json:"bytesTotal"`
	BytesDone   int64  `json:"bytesDone"`
	SecondsLeft int64  `json:"secondsLeft"`
	// LongestPauseMillis is the longest time that statements were held back; Retries counts tables that were put off.
	LongestPauseMillis int64 `json:"longestPauseMillis"`
	Retries            int   `json:"retries"`
	// Pinned are tables that are left where a user put them (of Onto), or that keep the move from beginning (of Off).
	Pinned []string `json:"pinned,omitempty"`
	// Tables are the biggest ones, at most 50.
	Tables []TableMove `json:"tables,omitempty"`
}

// TableMove is one table of a move.
type TableMove struct {
	Database string `json:"database"`
	Table    string `json:"table"` // schema.name
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"`
	// State is Waiting, Running, Done or Failed.
	State   string `json:"state"`
	Message string `json:"message,omitempty"`
}

// HeldTable is what one server holds of one table. The command CommandTables prints a list of them as JSON. Rows are an
// estimate.
type HeldTable struct {
	Database string `json:"database"`
	Table    string `json:"table"` // schema.name
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"`
}

// Emptiness answers, on gc, whether a datanode still holds anything.
type Emptiness struct {
	// Tables of all databases that lie on the datanode, at most 50, as database.schema.name.
	Tables []string `json:"tables,omitempty"`
}

// Volume is what a file system holds, in bytes.
type Volume struct {
	Capacity int64 `json:"capacity"`
	Free     int64 `json:"free"`
}
