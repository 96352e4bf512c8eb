// SPDX-License-Identifier: Apache-2.0

package instanceapi

// Setting is one setting that a server runs with. CommandSettings prints a list of them as JSON.
type Setting struct {
	Name string `json:"name"`
	// Value with its unit, as SHOW prints it.
	Value string `json:"value"`
	// Source is the engine's word for where the value comes from, such as default, configuration file or command line;
	// File is the file, if it is one.
	Source string `json:"source"`
	File   string `json:"file,omitempty"`
	// PendingRestart says that another value is written down and waits for a restart.
	PendingRestart bool `json:"pendingRestart,omitempty"`
}

// Activity is what a server does at one moment. CommandActivity prints it as JSON.
type Activity struct {
	// AtMicros is the server's clock, in microseconds; two activities give a rate.
	AtMicros int64 `json:"atMicros"`
	// Commits and Rollbacks count since the statistics of the server began.
	Commits   int64 `json:"commits"`
	Rollbacks int64 `json:"rollbacks"`
	// Sessions of clients by their state.
	Sessions map[string]int64 `json:"sessions,omitempty"`
	// Running are sessions that are not idle, those first whose transaction is the oldest.
	Running []Running `json:"running,omitempty"`
}

// Running is a session that does something, or is in a transaction.
type Running struct {
	PID         int64  `json:"pid"`
	Database    string `json:"database"`
	User        string `json:"user"`
	Application string `json:"application,omitempty"`
	State       string `json:"state"`
	// Millis are how long the transaction is open.
	Millis int64 `json:"millis"`
	// Wait is what the session waits for, BlockedBy the processes that hold a lock it wants, separated by commas.
	Wait      string `json:"wait,omitempty"`
	BlockedBy string `json:"blockedBy,omitempty"`
	Query     string `json:"query"`
}
