// SPDX-License-Identifier: Apache-2.0

package instanceapi

import "github.com/antdb-operator/antdb-operator/internal/topology"

// Feed asks a datanode to keep its write-ahead log for those that are being made as copies of it: a replication slot for
// each. Slots of ours that the last Feed does not name are dropped, whoever asked for them. It is a lease, so that the log
// does not fill the volume after an operator went away: without another one all slots are dropped after FeedLeaseSeconds.
type Feed struct {
	Slots []string `json:"slots"`
	// Close says that the copies are about to become primaries: the less the log has to write down then, the shorter is
	// the pause.
	Close bool `json:"close,omitempty"`
}

// FeedStatus tells which slots of ours there are.
type FeedStatus struct {
	Slots []string `json:"slots"`
}

// FeedLeaseSeconds is how long the slots of a datanode outlive the last Feed. A copy of a big datanode takes hours, and an
// operator may be away for some of that.
const FeedLeaseSeconds = 3600

// Split asks gc to divide the rows of datanodes with new ones that are copies of them and follow them: pause the
// cluster, let the copies become primaries at exactly that state, register them on gc and all coordinators, and divide
// the tables of all databases, in one session. It goes on by itself; the status tells how far it is. What is divided
// already is found in the catalogs, so that it may be asked for again at any time.
type Split struct {
	Token string `json:"token"`
	Pairs []Pair `json:"pairs"`
	// Mark is the name of the restore point at which the copies become primaries.
	Mark string `json:"mark"`
	// PlanOnly finds out whether it can be done, and changes nothing. The nodes of Pairs need not exist yet.
	PlanOnly bool `json:"planOnly,omitempty"`
	// MaxPauseMillis bounds how long all statements of the cluster are held back while transactions that run come to their
	// end. After that it is tried again later.
	MaxPauseMillis int64 `json:"maxPauseMillis"`
	// Cancel stops between two tries. What has become of it, the phase tells.
	Cancel bool `json:"cancel,omitempty"`
}

// Pair is a datanode and one that is a copy of it.
type Pair struct {
	Source string `json:"source"`
	// Target is the row of the new datanode in the catalogs.
	Target topology.Node `json:"target"`
}

// SplitPhase says how far a split is.
type SplitPhase string

// The phases of a split.
const (
	SplitNone    SplitPhase = ""
	SplitRunning SplitPhase = "Running"
	SplitPlanned SplitPhase = "Planned" // PlanOnly, and the plan is in the status
	SplitDone    SplitPhase = "Done"    // every catalog says so
	// SplitCancelled and SplitFailed: nothing is divided. Copies that have become primaries are of no use any more.
	SplitCancelled SplitPhase = "Cancelled"
	SplitFailed    SplitPhase = "Failed"
)

// SplitStatus tells of the split that was asked for last.
type SplitStatus struct {
	Token string     `json:"token,omitempty"`
	Phase SplitPhase `json:"phase,omitempty"`
	// Message says what is done, waited for, or went wrong.
	Message string `json:"message,omitempty"`
	// Refusals tell, of a plan, why it cannot be done.
	Refusals []string `json:"refusals,omitempty"`
	// Bytes that each source holds in all databases, of a plan.
	Bytes map[string]int64 `json:"bytes,omitempty"`
	// Tables that are divided, in all databases.
	Tables int `json:"tables"`
	// LongestPauseMillis is the longest time that statements were held back; Retries counts tries that gave way to
	// transactions of applications.
	LongestPauseMillis int64 `json:"longestPauseMillis"`
	Retries            int   `json:"retries"`
}

// Clean asks gc to remove the rows that a split left on datanodes where they do not belong any more. Until then they take
// up space and are hidden by the engine. It goes on by itself.
type Clean struct {
	Token string `json:"token"`
}

// CleanPhase says how far a clean is.
type CleanPhase string

// The phases of a clean.
const (
	CleanNone    CleanPhase = ""
	CleanRunning CleanPhase = "Running"
	CleanDone    CleanPhase = "Done" // nothing is left in any database
	CleanFailed  CleanPhase = "Failed"
)

// CleanStatus tells of the clean that was asked for last.
type CleanStatus struct {
	Token   string     `json:"token,omitempty"`
	Phase   CleanPhase `json:"phase,omitempty"`
	Message string     `json:"message,omitempty"`
	// Left is how many tables are not clean yet.
	Left int `json:"left"`
}
