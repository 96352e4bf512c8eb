// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// patience is how many seconds two-phase transactions of a leaving node get to be decided.
const patience = 60

// drain lets the sessions of leaving coordinators end. It is a lease and renewed until their servers are stopped.
func drain(r *run) outcome {
	r.turn(r.nodes(), v1alpha1.MemberActive, v1alpha1.MemberLeaving)
	var waiting []string
	for _, name := range r.nodes() {
		s := r.status(name)
		switch {
		case !r.written(name, v1alpha1.MemberLeaving):
			waiting = append(waiting, name+" is about to leave")
		case s == nil:
			waiting = append(waiting, r.why(name)+": whether it holds undecided transactions is not known")
		case s.Drain == nil || s.Drain.Token != r.drainToken():
			waiting = append(waiting, name+" is asked to let no sessions in")
		case !s.Drain.Done:
			waiting = append(waiting, fmt.Sprintf("%s still has %d sessions", name, s.Drain.Sessions))
		}
	}
	if gone := r.gone(); len(gone) > 0 && r.passed(*entry(&r.op.Status, StepDrain).StartedAt) > r.grace()+patience {
		return fail("%s", strings.Join(gone, "; "))
	}
	if len(waiting) > 0 {
		return wait("%s", strings.Join(waiting, "; "))
	}
	return done("%s has no sessions", list(r.nodes()))
}

// gone tells which leaving coordinators do not run. Only they know what they have left undecided.
func (r *run) gone() []string {
	var out []string
	for _, name := range r.nodes() {
		if r.f.Nodes[name].Down {
			out = append(out, name+" does not run, and only it knows which transactions it has left undecided: let it come back, or take it out with EvictNodes")
		}
	}
	return out
}

// grace is how many seconds sessions may go on.
func (r *run) grace() float64 {
	if d := r.op.Spec.DrainTimeout; d != nil {
		return d.Seconds()
	}
	return r.f.Cluster.DrainTimeout.Seconds()
}

// drainToken stays the same over all attempts: the time that sessions get is counted once.
func (r *run) drainToken() string { return string(r.op.UID) }

// keepDraining renews the drain from its step on until the servers are stopped, whatever step runs.
func (r *run) keepDraining() {
	if r.Status.Phase != v1alpha1.OperationRunning || !begun(r.op, StepDrain) || begun(r.op, StepStop) {
		return
	}
	for _, name := range r.nodes() {
		if r.written(name, v1alpha1.MemberLeaving) && r.status(name) != nil {
			d := Drain{Node: name}
			d.Token, d.GraceSeconds = r.drainToken(), int64(r.grace())
			r.order(d)
		}
	}
}

// settle waits until leaving coordinators have no undecided two-phase transaction: only they know the decision.
func settle(r *run) outcome {
	open := r.gone()
	for _, name := range r.nodes() {
		s := r.status(name)
		switch {
		case r.f.Nodes[name].Down:
		case s == nil || s.Drain == nil:
			return wait("%s", r.why(name))
		case s.Drain.Token != r.drainToken() || !s.Drain.Done:
			return wait("%s lets its sessions end again", name)
		case len(s.Drain.Undecided) > 0:
			open = append(open, fmt.Sprintf("%s holds undecided transactions (%s)", name, list(s.Drain.Undecided)))
		}
	}
	return r.unless(StepSettle, open, "no transaction is undecided")
}

// unless is done if nothing is open, waits for a while, and then gives up.
func (r *run) unless(name string, open []string, fine string) outcome {
	switch e := entry(&r.op.Status, name); {
	case len(open) == 0:
		return done("%s", fine)
	case e.StartedAt != nil && r.passed(*e.StartedAt) > patience:
		return fail("%s for more than %d s", strings.Join(open, "; "), patience)
	default:
		return wait("%s", strings.Join(open, "; "))
	}
}

// passed are the seconds since a moment.
func (r *run) passed(since metav1.Time) float64 { return r.f.Now.Sub(since.Time).Seconds() }

// movePrimary waits until the flag of the datanode that is written first stands on one that stays.
func movePrimary(r *run) outcome {
	r.turn(r.nodes(), v1alpha1.MemberActive, v1alpha1.MemberLeaving)
	for _, name := range r.nodes() {
		if !r.written(name, v1alpha1.MemberLeaving) {
			return wait("%s is about to leave", name)
		}
	}
	if len(r.behind()) > 0 {
		return wait("%s", strings.Join(r.behind(), "; "))
	}
	return done("the primary datanode is one that stays")
}

// proveEmpty asks gc, under the lock, whether anything is left on the leaving datanodes. Tables that were made meanwhile
// are moved too.
func proveEmpty(r *run) outcome {
	var open []string
	for _, name := range r.nodes() {
		e, answered := r.f.Empty[name]
		s := r.status(name)
		switch {
		case !answered:
			return wait("gc is asked what is left on %s", name)
		case len(e.Tables) > 0:
			return again(StepMoveRows, "%s still holds %s", name, list(e.Tables))
		case s == nil: // it is not waited for without end while DDL is kept out
			open = append(open, r.why(name))
		case len(s.StalePrepared) > 0:
			open = append(open, fmt.Sprintf("%s holds prepared transactions (%s)", name, list(s.StalePrepared)))
		}
	}
	return r.unless(StepProveEmpty, open, "nothing is left on "+list(r.nodes()))
}

// deregister passes the point of no return under the lock, and then waits until no catalog holds the leaving nodes.
func deregister(r *run) outcome {
	switch {
	case !r.op.Status.PointOfNoReturn && !r.held():
		return wait("gc does not answer whether DDL is kept out")
	case !r.op.Status.PointOfNoReturn:
		r.Status.PointOfNoReturn = true
		return wait("%s is taken out of every catalog", list(r.nodes()))
	case len(r.f.Unsynced) > 0:
		return wait("%s", strings.Join(r.f.Unsynced, "; "))
	default:
		return done("%s is in no catalog", list(r.nodes()))
	}
}

// stop waits until pods and Services of the nodes that left are gone.
func stop(r *run) outcome {
	var left []string
	for _, name := range r.nodes() {
		n := r.f.Nodes[name]
		// A pod on a host that is gone stays until the host is back: nobody waits for that. Its server stands in no catalog.
		if n.Exists && (!n.Going || r.op.Spec.Type != v1alpha1.OperationEvictNodes && !n.Down) {
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		return wait("stopping %s", list(left))
	}
	return done("the servers of %s have stopped", list(r.nodes()))
}

// retain writes down until when the volumes are kept.
func retain(r *run) outcome {
	until := metav1.NewTime(r.f.Now.Add(r.f.Cluster.Retention.Duration))
	for _, name := range r.nodes() {
		if m := r.member(name); m != nil && m.State == v1alpha1.MemberLeaving {
			m.State, m.RetainUntil = v1alpha1.MemberRetained, &until
		}
	}
	for _, name := range r.nodes() {
		if r.written(name, v1alpha1.MemberLeaving) {
			return wait("the volumes of %s are marked", name)
		}
	}
	return done("the volumes are kept for %s", r.f.Cluster.Retention.Duration)
}
