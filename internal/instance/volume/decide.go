// SPDX-License-Identifier: Apache-2.0

// Package volume decides what to do with the volumes that an instance finds, and makes a new data directory so that a
// crash at any moment leaves either nothing or something that is known to be half made.
//
// It never touches data that is not this instance's own. It starts no server.
package volume

import (
	"fmt"

	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
)

// Mark is the file in a data directory, and in a folder of write-ahead log on its own volume, that tells whose it is.
type Mark struct {
	pod.Identity
	SystemIdentifier string `json:"systemIdentifier"`
	// Join is the token of the join that made the data of a node that was added to a running cluster.
	Join string `json:"join,omitempty"`
}

// Folder is what a volume holds under the name of a finished folder.
type Folder struct {
	// Exists is false for an empty folder too: a new volume may come with one.
	Exists bool
	// Mark is nil if the folder has none that can be read.
	Mark *Mark
	// Unreadable tells why a mark that is there cannot be read.
	Unreadable string
	// Major is the PostgreSQL version of a data directory; empty if it is none.
	Major string
}

// Facts are what is found.
type Facts struct {
	Self pod.Identity
	// EngineMajor is the engine's PostgreSQL version.
	EngineMajor string
	// Paths of the two folders, for messages.
	DataPath, WALPath string
	// Data is the data directory and DataHalf says that a half-made one lies beside it.
	Data     Folder
	DataHalf bool
	// HasWAL says that the log has a volume of its own; WAL and WALHalf are the same as for the data.
	HasWAL  bool
	WAL     Folder
	WALHalf bool
	// WALLink is where the data directory looks for its log; empty if the log is inside.
	WALLink string
}

// Step is what to do with the volumes: one of Run, Make and Refuse.
type Step interface{ step() }

// Run means that everything is in place.
type Run struct{}

// Make means that a new data directory is to be made, after the folders in Remove are removed. They are half made by
// this instance and were never started.
type Make struct{ Remove []string }

// Refuse means that nothing may be touched, and why.
type Refuse struct{ Message string }

func (Run) step()    {}
func (Make) step()   {}
func (Refuse) step() {}

// Decide is the whole decision.
func Decide(f Facts) Step {
	if f.Data.Exists {
		return decideExisting(f)
	}
	if f.HasWAL && f.WAL.Exists && !f.ownHalf() {
		return refusef("the WAL volume holds the log of a data directory (%s), but the data volume is empty: "+
			"give the instance the data volume that belongs to it, or an empty WAL volume", f.WALPath)
	}
	var remove []string
	if f.DataHalf {
		remove = append(remove, pod.HalfMade(f.DataPath))
	}
	if f.HasWAL && f.WALHalf {
		remove = append(remove, pod.HalfMade(f.WALPath))
	}
	if f.HasWAL && f.WAL.Exists {
		remove = append(remove, f.WALPath)
	}
	return Make{Remove: remove}
}

// ownHalf tells that a crash came between the last two renames: the log has its name, the data directory not yet.
func (f Facts) ownHalf() bool {
	return f.DataHalf && f.WAL.Mark != nil && f.WAL.Mark.Identity == f.Self
}

func decideExisting(f Facts) Step {
	if f.Data.Major == "" {
		return refusef("%s exists but is no data directory (it has no PG_VERSION): look at what is in it, "+
			"and give the instance an empty volume or the one that belongs to it", f.DataPath)
	}
	if message := mismatch(f.Data, f.DataPath, f.Self); message != "" {
		return Refuse{message}
	}
	if f.Data.Major != f.EngineMajor {
		return refusef("%s was made by PostgreSQL %s and the engine is of PostgreSQL %s: "+
			"run an image with the engine that made it", f.DataPath, f.Data.Major, f.EngineMajor)
	}
	if !f.HasWAL {
		if f.WALLink != "" {
			return refusef("%s keeps its log in %s, but the instance has no WAL volume: mount the one that belongs to it",
				f.DataPath, f.WALLink)
		}
		return Run{}
	}
	if f.WALLink != f.WALPath {
		return refusef("%s keeps its log not on the WAL volume but in %q: a WAL volume cannot be added to an existing instance",
			f.DataPath, f.WALLink)
	}
	if !f.WAL.Exists {
		return refusef("the WAL volume holds no log (%s), but the data directory has been used: mount the WAL volume that belongs to it",
			f.WALPath)
	}
	if message := mismatch(f.WAL, f.WALPath, f.Self); message != "" {
		return Refuse{message}
	}
	if f.WAL.Mark.SystemIdentifier != f.Data.Mark.SystemIdentifier {
		return refusef("the log in %s is of the database system %s, the data directory of %s: mount the WAL volume that belongs to it",
			f.WALPath, f.WAL.Mark.SystemIdentifier, f.Data.Mark.SystemIdentifier)
	}
	return Run{}
}

// mismatch tells why a folder is not this instance's.
func mismatch(folder Folder, path string, self pod.Identity) string {
	const cure = ": give the instance an empty volume or the one that belongs to it"
	if folder.Unreadable != "" {
		return fmt.Sprintf("%s cannot be told whose it is (%s)%s", path, folder.Unreadable, cure)
	}
	if folder.Mark == nil {
		return fmt.Sprintf("%s does not tell whose it is (%s is missing); it was not made by this instance%s", path, MarkName, cure)
	}
	its := folder.Mark.Identity
	for _, d := range []struct{ what, its, mine string }{
		{"cluster", its.Cluster, self.Cluster},
		{"cluster with the UID", its.ClusterUID, self.ClusterUID},
		{"namespace", its.Namespace, self.Namespace},
		{"node", its.Node, self.Node},
		{"instance", its.Instance, self.Instance},
	} {
		if d.its != d.mine {
			return fmt.Sprintf("%s belongs to the %s %q, and this is %q%s", path, d.what, d.its, d.mine, cure)
		}
	}
	return ""
}

func refusef(format string, args ...any) Refuse { return Refuse{fmt.Sprintf(format, args...)} }
