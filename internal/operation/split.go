// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// caughtUp is how far, in bytes of its log, a copy may be behind its source before the cluster is paused for it.
const caughtUp = 16 << 20

// splits tells whether an operation makes new datanodes by dividing present ones.
func splits(op *v1alpha1.AntDBOperation) bool {
	return op.Spec.Type == v1alpha1.OperationAddNodes && op.Spec.Strategy == v1alpha1.StrategySplit && role(op) == antdb.RoleDatanode
}

// couple is a present datanode with a new one that becomes a copy of it.
type couple struct{ source, target string }

// couples gives each present datanode as many new ones, in turn: dn1 → dn4, dn2 → dn5, …
func couples(sources, targets []string) []couple {
	var out []couple
	for i, name := range targets {
		out = append(out, couple{sources[i%len(sources)], name})
	}
	return out
}

func (r *run) couples() []couple { return couples(r.sources(), r.nodes()) }

// sources are the datanodes that are divided.
func (r *run) sources() []string {
	return slices.SortedFunc(slices.Values(r.active(antdb.RoleDatanode, r.op.Spec.Nodes...)), spec.Compare)
}

// refusedSplit tells why datanodes cannot be divided so.
func (r *run) refusedSplit() string {
	if r.op.Spec.Strategy != v1alpha1.StrategySplit {
		return ""
	}
	if !splits(r.op) {
		return "spec.strategy Split: allowed for AddNodes with datanodes, since it divides present datanodes with new ones"
	}
	have, n := len(r.sources()), len(r.op.Spec.Nodes)
	if have > 0 && n%have == 0 {
		return ""
	}
	var allowed []string
	for total := 2 * have; have > 0 && total <= maxDatanodes; total += have {
		allowed = append(allowed, strconv.Itoa(total))
	}
	if len(allowed) == 0 {
		return fmt.Sprintf("strategy Split makes at least two of each datanode, and %d would become more than %d, the engine's limit: strategy Redistribute takes any number", have, maxDatanodes)
	}
	return fmt.Sprintf("strategy Split makes equally many of each datanode: %d can become %s, and not %d; strategy Redistribute takes any number",
		have, strings.Join(allowed, " or "), have+n)
}

// digest is a short name for this attempt, of letters that slots and restore points may have.
func (r *run) digest() string {
	sum := sha256.Sum256([]byte(r.token()))
	return hex.EncodeToString(sum[:4])
}

func (r *run) slot(target string) string { return naming.SplitPrefix + target + "_" + r.digest() }

func (r *run) splitOrder() instanceapi.Split {
	order := instanceapi.Split{Token: r.token(), Mark: naming.SplitPrefix + r.digest(), MaxPauseMillis: r.maxPause()}
	for _, c := range r.couples() {
		host := r.f.Nodes[c.target].Host
		order.Pairs = append(order.Pairs, instanceapi.Pair{Source: c.source, Target: topology.Node{
			Name: c.target, Type: antdb.TypeDatanode, Host: host, Port: antdb.Port,
		}})
	}
	return order
}

// planned asks gc whether the datanodes can be divided. The token differs from that of the split itself.
func (r *run) plannedSplit() (*instanceapi.SplitStatus, outcome) {
	order := r.splitOrder()
	order.Token, order.PlanOnly = r.token()+"/plan", true
	s := r.status(antdb.GTMNode)
	if s == nil {
		return nil, wait("gc does not answer: %s", r.f.Nodes[antdb.GTMNode].Why)
	}
	if s.Split == nil || s.Split.Token != order.Token {
		r.order(Split{order})
		return nil, wait("gc is asked whether the datanodes can be divided")
	}
	switch s.Split.Phase {
	case instanceapi.SplitPlanned:
		return s.Split, outcome{}
	case instanceapi.SplitFailed, instanceapi.SplitCancelled:
		return nil, refuse("gc cannot plan the split: %s", s.Split.Message)
	case instanceapi.SplitNone, instanceapi.SplitRunning, instanceapi.SplitDone:
	}
	return nil, wait("gc looks whether the datanodes can be divided: %s", s.Split.Message)
}

// planSplit writes down what would be copied, and changes nothing.
func planSplit(r *run) outcome {
	o := checkSplit(r)
	if o.kind == kindDone {
		o.message = "nothing stands against it; " + o.message
	}
	return o
}

// checkSplit refuses a split that the engine cannot do, that would lose rows, or for which new volumes are too small.
func checkSplit(r *run) outcome {
	s, o := r.plannedSplit()
	if s == nil {
		return o
	}
	r.reportSplit(s)
	if len(s.Refusals) > 0 {
		return r.standsAgainst("%s", strings.Join(s.Refusals, "; "))
	}
	var small []string
	var total int64
	for _, c := range r.couples() {
		need, size := s.Bytes[c.source], r.f.Cluster.DataBytes(c.target)
		total += need
		if size/100*margin < need {
			small = append(small, fmt.Sprintf("%s holds %s, and %s would have a volume of %s", c.source, mebibytes(need), c.target, mebibytes(size)))
		}
	}
	if len(small) > 0 {
		return r.standsAgainst("the copies do not fit: at most %d %% of a volume is used: %s", margin, strings.Join(small, "; "))
	}
	return done("about %s are copied", mebibytes(total))
}

// mebibytes writes a size that nobody counts in bytes.
func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }

// standsAgainst refuses, or gives up what was begun already.
func (r *run) standsAgainst(format string, args ...any) outcome {
	if e := entry(&r.op.Status, StepCreateInstances); e != nil && e.StartedAt != nil {
		return fail(format, args...)
	}
	return refuse(format, args...)
}

// split lets gc divide the datanodes. The new ones are members from before it is ordered, so that nobody takes away what
// holds rows; from then on only gc's word that nothing was divided leads back.
func split(r *run) outcome {
	if r.status(antdb.GTMNode) == nil {
		return wait("gc does not answer: %s", r.f.Nodes[antdb.GTMNode].Why)
	}
	s := r.splitStatus()
	if s != nil {
		r.reportSplit(s)
		switch s.Phase {
		case instanceapi.SplitDone:
			return done("%s; the cluster was held for %d ms", s.Message, s.LongestPauseMillis)
		case instanceapi.SplitFailed, instanceapi.SplitCancelled:
			r.turn(r.nodes(), v1alpha1.MemberActive, v1alpha1.MemberJoining)
			r.Status.PointOfNoReturn = false
			if cancelled(r.op) {
				return wait("nothing was divided")
			}
			return again(StepCheck, "%s", s.Message)
		case instanceapi.SplitNone, instanceapi.SplitRunning, instanceapi.SplitPlanned:
		}
	}
	if o := r.committed(); o.message != "" {
		return o
	}
	if order := r.splitOrder(); s == nil || cancelled(r.op) {
		order.Cancel = cancelled(r.op)
		r.order(Split{order})
	}
	if s == nil {
		return wait("gc is asked to divide the datanodes")
	}
	return wait("%s", s.Message)
}

// committed writes down, before the split is ordered, that it may have happened; an empty outcome says that it is.
func (r *run) committed() outcome {
	r.turn(r.nodes(), v1alpha1.MemberJoining, v1alpha1.MemberActive)
	for _, name := range r.nodes() {
		if !r.written(name, v1alpha1.MemberActive) {
			return wait("%s becomes a member", name)
		}
	}
	if !r.op.Status.PointOfNoReturn {
		r.Status.PointOfNoReturn = true
		return wait("the datanodes are about to be divided")
	}
	if len(r.f.Unsynced) > 0 {
		return wait("%s", strings.Join(r.f.Unsynced, "; "))
	}
	return outcome{}
}

// splitStatus is what gc says of the split of this attempt; nil if it says nothing of it.
func (r *run) splitStatus() *instanceapi.SplitStatus {
	s := r.status(antdb.GTMNode)
	if s == nil || s.Split == nil || s.Split.Token != r.token() {
		return nil
	}
	return s.Split
}

// reportSplit copies what is known of the split into the status.
func (r *run) reportSplit(s *instanceapi.SplitStatus) {
	if r.Status.Split == nil {
		r.Status.Split = &v1alpha1.SplitStatus{}
	}
	out := r.Status.Split
	out.Tables, out.Retries = int32(s.Tables), int32(s.Retries) //nolint:gosec // tables of a database fit
	out.LongestPauseMillis = s.LongestPauseMillis
	if len(s.Bytes) == 0 {
		return
	}
	out.Sources = nil
	for _, source := range r.sources() {
		x := v1alpha1.SplitSource{Name: source, Bytes: s.Bytes[source]}
		for _, c := range r.couples() {
			if c.source == source {
				x.Into = append(x.Into, c.target)
			}
		}
		out.Sources = append(out.Sources, x)
	}
}

// clean lets gc remove what lies twice, and waits until no source keeps its log any more.
func clean(r *run) outcome {
	gc := r.status(antdb.GTMNode)
	if gc == nil {
		return wait("gc does not answer: %s", r.f.Nodes[antdb.GTMNode].Why)
	}
	var waiting []string
	switch c := gc.Clean; {
	case c == nil || c.Token != r.token():
		r.order(Clean{instanceapi.Clean{Token: r.token()}})
		waiting = append(waiting, "gc is asked to remove the rows that lie twice")
	case c.Phase != instanceapi.CleanDone:
		waiting = append(waiting, c.Message)
	}
	waiting = append(waiting, r.fed()...)
	if len(waiting) > 0 {
		return wait("%s", strings.Join(waiting, "; "))
	}
	return done("no row lies twice")
}

// fed tells which sources still keep their log for copies.
func (r *run) fed() []string {
	var waiting []string
	for _, name := range r.sources() {
		switch s := r.status(name); {
		case s == nil:
			waiting = append(waiting, r.why(name)+": whether it keeps its log is not known")
		case len(s.Slots) > 0:
			waiting = append(waiting, name+" lets its log go")
		}
	}
	return waiting
}

// keepFeeding makes the sources keep their log while copies are made or follow, and let it go otherwise. It is a lease.
func (r *run) keepFeeding() {
	if !splits(r.op) || r.op.Spec.PlanOnly {
		return
	}
	needed := r.op.Status.Phase == v1alpha1.OperationRunning && r.Status.Phase == v1alpha1.OperationRunning &&
		r.Status.Attempt == r.op.Status.Attempt && begun(r.op, StepClone) && !finished(r.op, StepSplit)
	for _, source := range r.sources() {
		s := r.status(source)
		if s == nil {
			continue
		}
		f := Feed{Node: source}
		f.Close = needed && begun(r.op, StepCatchUp)
		for _, c := range r.couples() {
			if needed && c.source == source {
				f.Slots = append(f.Slots, r.slot(c.target))
			}
		}
		if needed || len(s.Slots) > 0 {
			r.order(f)
		}
	}
}
