// SPDX-License-Identifier: Apache-2.0

// Package supervise keeps one server running: it starts it, notices when it accepts connections, stops it in order,
// and starts it again when it crashed.
//
// One goroutine owns the process; everybody else sends it commands. The package runs no SQL and decides nothing about
// clusters.
package supervise

import (
	"log/slog"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/internal/instance/process"
)

// Phase of the server.
type Phase string

// The phases of a server.
const (
	Stopped   Phase = "Stopped"
	Starting  Phase = "Starting"
	Accepting Phase = "Accepting"
	Stopping  Phase = "Stopping"
)

// Mode in which a server runs.
type Mode string

// The modes of a server. In restore mode it takes local connections only and changes nothing but itself.
const (
	Normal  Mode = "normal"
	Restore Mode = "restore"
)

// Snapshot is how the server is.
type Snapshot struct {
	Phase Phase
	Mode  Mode
	// Starts counts the starts since the manager began.
	Starts int
	// LastExit tells how the server ended last when nobody had asked for it.
	LastExit string
}

// Rung is one step of a stop: a signal, and how long to wait before the next one. The last rung waits for ever.
type Rung struct {
	Signal   unix.Signal
	Patience time.Duration
}

// Fast is an orderly stop that becomes an immediate one after patience. It does not stay orderly for ever: a gc that
// waits for its nodes never ends a fast shutdown, and a datanode was seen not to.
func Fast(patience time.Duration) []Rung {
	return append([]Rung{{unix.SIGINT, patience}}, Immediate()...)
}

// Immediate is a stop without a checkpoint; the next start recovers as from a crash.
func Immediate() []Rung {
	return []Rung{{unix.SIGQUIT, 10 * time.Second}, {unix.SIGKILL, 0}}
}

// Options are what a supervisor needs.
type Options struct {
	// Data is the data directory and Sockets the folder of the unix sockets.
	Data, Sockets string
	// Command builds the server's command line.
	Command func(Mode) *exec.Cmd
	// Prepare is called before every start.
	Prepare func(Mode) error
	// FailedStart is called when the server ended before it accepted a connection. gaveUp says that it ended by itself
	// and was not killed. It tells whether it changed something, so that another start is worth trying at once.
	FailedStart func(message string, gaveUp bool) bool
	// StopLadder is how a stop goes just now.
	StopLadder func() []Rung
	// Changed is called with every new snapshot.
	Changed func(Snapshot)

	Children *process.Children
	Output   *Output
	Log      *slog.Logger
	Timing   Timing
}

// Timing holds the durations of a supervisor.
type Timing struct {
	// FirstBackoff is the delay before a crashed server is started again; it doubles up to LastBackoff and begins
	// anew after the server was up for Steady.
	FirstBackoff, LastBackoff, Steady time.Duration
	// Leftovers is how long processes of a dead server may take to leave before they are killed.
	Leftovers time.Duration
}

// DefaultTiming is the timing in a pod.
func DefaultTiming() Timing {
	return Timing{
		FirstBackoff: time.Second,
		LastBackoff:  30 * time.Second,
		Steady:       time.Minute,
		Leftovers:    3 * time.Second,
	}
}
