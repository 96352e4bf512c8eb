// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// clone lets each new datanode become a copy of its source that follows it. The source keeps its log for that.
func clone(r *run) outcome {
	var running []string
	for _, c := range r.couples() {
		source, s := r.status(c.source), r.status(c.target)
		switch {
		case source == nil:
			running = append(running, r.why(c.source))
			continue
		case !slices.Contains(source.Slots, r.slot(c.target)):
			running = append(running, c.source+" is asked to keep its log for "+c.target)
			continue
		case s == nil || s.Join == nil:
			running = append(running, r.why(c.target))
			continue
		}
		switch j := *s.Join; {
		case j.Phase == instanceapi.JoinKept:
			return fail("%s holds data that are kept already", c.target)
		case j.Token != r.token() || j.Phase == instanceapi.JoinWaiting || j.Phase == instanceapi.JoinNone:
			if why := cmp.Or(r.tooSmall(c, s), r.tooLow(c)); why != "" {
				return fail("%s", why)
			}
			running = append(running, c.target+": is asked to begin")
			r.order(Join{Node: c.target, Join: instanceapi.Join{
				Token: r.token(), Kind: instanceapi.JoinClone, From: r.f.Nodes[c.source].Host,
				Slot: r.slot(c.target), Mark: r.splitOrder().Mark,
			}})
		case j.Phase == instanceapi.JoinFailed:
			return again(StepClone, "%s: %s", c.target, j.Error)
		case j.Phase == instanceapi.JoinRunning:
			running = append(running, c.target+": "+j.Step)
		case j.Phase == instanceapi.JoinMade:
		}
	}
	if len(running) > 0 {
		return wait("%s", strings.Join(running, "; "))
	}
	return done("the copies are made")
}

// tooSmall tells that the volume of a new datanode, as it is, has no room for what its source holds.
func (r *run) tooSmall(c couple, s *instanceapi.Status) string {
	if r.op.Status.Split == nil || s.Volume == nil {
		return ""
	}
	for _, x := range r.op.Status.Split.Sources {
		if x.Name == c.source && s.Join.Phase == instanceapi.JoinWaiting && s.Volume.Free/100*margin < x.Bytes {
			return fmt.Sprintf("%s holds %s, and the volume of %s has %s free", c.source, mebibytes(x.Bytes), c.target, mebibytes(s.Volume.Free))
		}
	}
	return ""
}

// tooLow tells that a copy is not allowed to have what its source has: the engine starts no server that follows then.
func (r *run) tooLow(c couple) string {
	source, okS := r.f.Cluster.Node(c.source)
	target, okT := r.f.Cluster.Node(c.target)
	if !okS || !okT {
		return ""
	}
	for _, name := range []string{"max_connections", "max_prepared_transactions", "max_worker_processes", "max_locks_per_transaction"} {
		has, errH := strconv.Atoi(parameter(source, name))
		gets, errG := strconv.Atoi(parameter(target, name))
		if errH == nil && (errG == nil && gets < has || parameter(target, name) == "") {
			return fmt.Sprintf("%s has %s = %d, and a copy of it must have as much: set it for %s too", c.source, name, has, c.target)
		}
	}
	return ""
}

// parameter is what a node is started with, as far as the operator says it.
func parameter(n spec.Node, name string) string {
	return cmp.Or(n.Config.Parameters[name], pgconf.Defaults(n.Role)[name])
}

// catchUp waits until every copy follows its source closely.
func catchUp(r *run) outcome {
	var waiting []string
	for _, c := range r.couples() {
		if why := r.astray(c.target); why != "" {
			return again(StepClone, "%s", why)
		}
		source, s := r.status(c.source), r.status(c.target)
		switch {
		case s == nil || s.State != instanceapi.StateRunning:
			waiting = append(waiting, r.why(c.target))
		case source == nil:
			waiting = append(waiting, r.why(c.source))
		default:
			if lag, known := behind(source.LSN, s.LSN); !known || lag > caughtUp {
				waiting = append(waiting, fmt.Sprintf("%s is %s behind %s", c.target, mebibytes(lag), c.source))
			}
		}
	}
	if len(waiting) > 0 {
		return wait("%s", strings.Join(waiting, "; "))
	}
	return done("the copies follow")
}

// astray tells why a copy is of no use any more: it lost its data, or became a primary although nothing was divided. A
// copy that does not answer says nothing.
func (r *run) astray(target string) string {
	switch s := r.status(target); {
	case s == nil:
		return ""
	case !r.made(target):
		return target + " lost its data"
	case s.State == instanceapi.StateRunning && s.Primary:
		return target + " does not follow any more"
	}
	return ""
}

// behind is the difference of two positions in a log, in bytes.
func behind(source, copied string) (lag int64, known bool) {
	a, okA := position(source)
	b, okB := position(copied)
	return max(a-b, 0), okA && okB
}

// position reads what PostgreSQL prints as X/Y.
func position(text string) (int64, bool) {
	high, low, _ := strings.Cut(text, "/")
	h, errH := strconv.ParseInt(high, 16, 64)
	l, errL := strconv.ParseInt(low, 16, 64)
	return h<<32 | l, errH == nil && errL == nil
}
