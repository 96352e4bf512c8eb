// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// procedure lists the steps of an operation.
func procedure(op *v1alpha1.AntDBOperation) []step {
	switch {
	case splits(op) && op.Spec.PlanOnly:
		return []step{{StepPlan, planSplit}}
	case op.Spec.PlanOnly:
		return []step{{StepPlan, planRows}}
	case splits(op):
		return []step{
			{StepCheck, checkSplit}, {StepCreateInstances, createInstances}, {StepClone, clone}, {StepCatchUp, catchUp},
			{StepSplit, split}, {StepRegister, register}, {StepKeep, keep}, {StepClean, clean},
		}
	}
	coordinators := role(op) == antdb.RoleCoordinator
	switch op.Spec.Type {
	case v1alpha1.OperationAddNodes:
		fill := step{StepLoadSchema, fill}
		if coordinators {
			fill.name = StepCopy
		}
		out := []step{
			{StepCreateInstances, createInstances}, {StepLockDDL, lockDDL}, fill, {StepStart, start}, {StepRegister, register},
			{StepVerify, verify}, {StepKeep, keep}, {StepUnlockDDL, unlockDDL},
		}
		if !coordinators {
			out = append(out, step{StepMoveRows, moveRows})
		}
		return out
	case v1alpha1.OperationRemoveNodes:
		out := []step{{StepDrain, drain}, {StepLockDDL, lockDDL}, {StepSettle, settle}}
		if !coordinators {
			out = []step{{StepCheck, check}, {StepMovePrimary, movePrimary}, {StepMoveRows, moveRows}, {StepLockDDL, lockDDL}, {StepProveEmpty, proveEmpty}}
		}
		return append(out, step{StepDeregister, deregister}, step{StepStop, stop}, step{StepUnlockDDL, unlockDDL}, step{StepRetain, retain})
	case v1alpha1.OperationEvictNodes:
		return []step{{StepJudge, judge}, {StepForget, forget}, {StepStop, stop}, {StepRetain, retain}}
	case v1alpha1.OperationDrainNodes:
		return []step{{StepCheck, check}, {StepMoveRows, moveRows}}
	case v1alpha1.OperationRebalance:
	}
	return []step{{StepMoveRows, moveRows}}
}

// createInstances makes members of the new nodes, so that their Services, volumes and pods come to be, and waits until
// their instances wait for data.
func createInstances(r *run) outcome {
	var waiting []string
	for _, name := range r.nodes() {
		if r.member(name) == nil {
			r.Members = append(r.Members, v1alpha1.MemberStatus{Name: name, State: v1alpha1.MemberJoining, Joined: true})
		}
		if s := r.status(name); s == nil || s.Join == nil || s.Join.Phase == instanceapi.JoinNone {
			waiting = append(waiting, r.why(name))
		}
	}
	if len(waiting) > 0 {
		return wait("%s", strings.Join(waiting, "; "))
	}
	return done("the instances wait for their data")
}

// why tells why a node is not further.
func (r *run) why(name string) string {
	if why := r.f.Nodes[name].Why; why != "" {
		return name + ": " + why
	}
	return name + ": its instance has not told of itself yet"
}

// fill lets the new nodes make their data from a node that serves.
func fill(r *run) outcome {
	order := instanceapi.Join{Token: r.token(), Kind: instanceapi.JoinSchema}
	if role(r.op) == antdb.RoleCoordinator {
		order.Kind = instanceapi.JoinCopy
	}
	for _, name := range r.active(role(r.op), r.op.Spec.Nodes...) {
		if n := r.f.Nodes[name]; n.Serving {
			order.From = n.Host
			break
		}
	}
	var running []string
	for _, name := range r.nodes() {
		s := r.status(name)
		if s == nil || s.Join == nil {
			running = append(running, r.why(name))
			continue
		}
		switch j := *s.Join; {
		case j.Phase == instanceapi.JoinKept:
			return fail("%s holds data that are kept already", name)
		case j.Token != r.token() || j.Phase == instanceapi.JoinWaiting || j.Phase == instanceapi.JoinNone:
			running = append(running, name+": is asked to begin")
			if order.From == "" {
				return wait("no %s serves that could be copied", role(r.op))
			}
			r.order(Join{Node: name, Join: order})
		case j.Phase == instanceapi.JoinFailed:
			return again(StepLockDDL, "%s: %s", name, j.Error)
		case j.Phase == instanceapi.JoinRunning:
			running = append(running, name+": "+j.Step)
		case j.Phase == instanceapi.JoinMade:
		}
	}
	if len(running) > 0 {
		return wait("%s", strings.Join(running, "; "))
	}
	return done("the data of %s are there", list(r.nodes()))
}

// made tells whether the data of this attempt are on a new node.
func (r *run) made(name string) bool {
	s := r.status(name)
	return s != nil && s.Join != nil && s.Join.Token == r.token() && (s.Join.Phase == instanceapi.JoinMade || s.Join.Phase == instanceapi.JoinKept)
}

// unmade tells which new node lost what it had made.
func (r *run) unmade() (string, bool) {
	for _, name := range r.nodes() {
		if r.status(name) != nil && !r.made(name) {
			return name, true
		}
	}
	return "", false
}

// start waits until the servers of the new nodes run statements.
func start(r *run) outcome {
	if name, lost := r.unmade(); lost {
		return again(StepLockDDL, "%s lost its data", name)
	}
	var waiting []string
	for _, name := range r.nodes() {
		if s := r.status(name); s == nil || s.State != instanceapi.StateRunning {
			waiting = append(waiting, r.why(name))
		}
	}
	if len(waiting) > 0 {
		return wait("%s", strings.Join(waiting, "; "))
	}
	return done("the servers of %s run", list(r.nodes()))
}

// register waits until gc and every coordinator, the new ones too, hold the new nodes in their catalogs: Arrange puts
// them there.
func register(r *run) outcome {
	if name, lost := r.unmade(); lost && !splits(r.op) {
		return again(StepLockDDL, "%s lost its data", name)
	}
	if len(r.behind()) > 0 {
		return wait("%s", strings.Join(r.behind(), "; "))
	}
	return done("%s is in every catalog", list(r.nodes()))
}

// verify looks once more whether the lock is held, now that every catalog holds the new nodes: a lock that is held at
// the end was never lost, since a lost one is not taken again. From here on there is no way back.
func verify(r *run) outcome {
	if name, lost := r.unmade(); lost {
		return again(StepLockDDL, "%s lost its data", name)
	}
	if !r.held() {
		return wait("gc does not answer: %s", r.f.Nodes[antdb.GTMNode].Why)
	}
	r.Status.PointOfNoReturn = true
	return done("no DDL ran since the copy was begun")
}

// keep tells the new nodes that they are part of the cluster for good. One that has lost what it had made, as its volume
// may be lost, has nothing to keep. While DDL is kept out nothing has come to lie on it, so that it can be made anew.
func keep(r *run) outcome {
	if name, lost := r.unmade(); lost && r.held() && !r.kept() {
		r.Status.PointOfNoReturn = false
		return again(StepLockDDL, "%s lost its data", name)
	}
	var waiting []string
	for _, name := range r.nodes() {
		s := r.status(name)
		switch {
		case s == nil || s.Join == nil:
			waiting = append(waiting, r.why(name))
		case s.Join.Phase == instanceapi.JoinKept:
			r.turn([]string{name}, v1alpha1.MemberJoining, v1alpha1.MemberActive)
		default:
			waiting = append(waiting, name+" is told")
			r.order(Join{Node: name, Join: instanceapi.Join{Token: r.token(), Kind: r.kind(), Keep: true}})
		}
		if !r.written(name, v1alpha1.MemberActive) && len(waiting) == 0 {
			waiting = append(waiting, fmt.Sprintf("%s becomes a member", name))
		}
	}
	if len(waiting) > 0 {
		return wait("%s", strings.Join(waiting, "; "))
	}
	return done("%s is part of the cluster", list(r.nodes()))
}

// kept tells whether one of the new nodes is part of the cluster for good already, or has been told so.
func (r *run) kept() bool {
	return slices.ContainsFunc(r.nodes(), func(name string) bool {
		s := r.status(name)
		return r.written(name, v1alpha1.MemberActive) || s != nil && s.Join != nil && s.Join.Phase == instanceapi.JoinKept
	})
}

func (r *run) kind() instanceapi.JoinKind {
	switch {
	case splits(r.op):
		return instanceapi.JoinClone
	case role(r.op) == antdb.RoleCoordinator:
		return instanceapi.JoinCopy
	}
	return instanceapi.JoinSchema
}
