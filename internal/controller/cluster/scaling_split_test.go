// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// divide asks for so many datanodes, made by dividing the present ones.
func (s *scene) divide(datanodes int32) {
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Datanodes.Count, c.Spec.Datanodes.Strategy = datanodes, v1alpha1.StrategySplit
	})
}

// tidy checks that a split, done or undone, left nothing behind: no slot that keeps a log, no row that lies twice, no
// table on a datanode that is no member.
func (s *scene) tidy() {
	s.t.Helper()
	if slots := s.world.Slots(); len(slots) > 0 {
		s.t.Errorf("slots are left: %v", slots)
	}
	if doubled := s.world.Doubled(); len(doubled) > 0 {
		s.t.Errorf("rows of these tables lie twice: %v", doubled)
	}
	for table, on := range s.world.Tables() {
		for _, name := range on {
			if !slices.Contains(s.members(), name+" Active") {
				s.t.Errorf("table %s lies on %s, which is no member: %v", table, name, s.members())
			}
		}
	}
}

func TestDatanodesAreDividedByTheCounts(t *testing.T) {
	for name, c := range map[string]struct {
		count int32
		want  []string
	}{
		"twice as many":  {4, []string{"dn1", "dn2", "dn3", "dn4"}},
		"three times so": {6, []string{"dn1", "dn2", "dn3", "dn4", "dn5", "dn6"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := settled(t)
			s.divide(c.count)
			s.settle(enoughToScale)
			s.ended("demo-op1", v1alpha1.OperationCompleted)
			s.spread(c.want...)
			s.has(slices.Concat([]string{"cn1", "cn2"}, c.want)...)
			s.tidy()
			if s.events.count(v1alpha1.EventDatanodesSplit) != 1 || s.events.count(v1alpha1.EventDDLLocked) != 0 {
				t.Errorf("the events tell something else: %v", s.events.last(30))
			}
			if x := s.operationNamed("demo-op1").Status.Split; x == nil || len(x.Sources) != 2 || x.Sources[0].Into[0] != "dn3" || x.Sources[1].Into[0] != "dn4" {
				t.Errorf("the split is told as %+v", x)
			}
		})
	}
}

func TestASplitThatCannotBeDoneIsRefusedAndChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		spec  v1alpha1.AntDBOperationSpec
		setup func(*scene)
		words []string
	}{
		"no multiple": {v1alpha1.AntDBOperationSpec{Nodes: []string{"dn3"}}, nil, []string{"2 can become 4 or 6", "and not 3", "Redistribute"}},
		"an engine that cannot": {v1alpha1.AntDBOperationSpec{Nodes: []string{"dn3", "dn4"}},
			func(s *scene) { s.world.CannotSplit = "this engine cannot divide" }, []string{"this engine cannot divide"}},
		"coordinators": {v1alpha1.AntDBOperationSpec{Nodes: []string{"cn3"}}, nil, []string{"datanodes"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := settled(t)
			if c.setup != nil {
				c.setup(s)
			}
			c.spec.Type, c.spec.Strategy = v1alpha1.OperationAddNodes, v1alpha1.StrategySplit
			s.ask("bad", c.spec)
			s.settle(20)
			s.ended("bad", v1alpha1.OperationRefused, c.words...)
			s.has("cn1", "cn2", "dn1", "dn2")
			s.tidy()
			if d := cmp.Diff([]string{"cn1", "cn2", "dn1", "dn2", "gc"}, s.claims()); d != "" {
				t.Errorf("claims (-want +got):\n%s", d)
			}
		})
	}
}

func TestCountsThatAreNoMultipleMakeNoOperation(t *testing.T) {
	s := settled(t)
	s.divide(3)
	for range 10 {
		if err := s.pass(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.operations()); n != 0 {
		t.Errorf("%d operations", n)
	}
	s.expect(v1alpha1.ConditionProgressing, v1alpha1.ReasonOperationFailed, "AddNodes dn3", "2 can become 4 or 6")
	s.has("cn1", "cn2", "dn1", "dn2")
	s.divide(4)
	s.settle(enoughToScale)
	s.has("cn1", "cn2", "dn1", "dn2", "dn3", "dn4")
}

// stepsOfASplit in their order.
const stepsOfASplit = "Check CreateInstances Clone CatchUp Split Register Keep Clean"

func TestASplitThatIsDisturbedAtAnyStepIsCompletedOrUndone(t *testing.T) {
	t.Parallel()
	mishaps := map[string]func(*scene){
		"gc's server is killed":       func(s *scene) { s.world.Kill("gc") },
		"a source's server is killed": func(s *scene) { s.world.Kill("dn1") },
		"a copy's server is killed":   func(s *scene) { s.world.Kill("dn3") },
		"a copy's pod is deleted":     func(s *scene) { s.deletePod("dn4") },
		"gc's pod is deleted":         func(s *scene) { s.deletePod("gc") },
		"the copies are of no use":    func(s *scene) { s.world.FailSplits = 1 },
		"somebody runs DDL":           func(s *scene) { s.world.DDL("cn1") },
		"the operator is replaced":    func(s *scene) { s.restartOperator() },
		"applications are in the way": func(s *scene) { s.world.BusySplits = 5 },
	}
	names := slices.Sorted(maps.Keys(mishaps))
	for i, step := range strings.Fields(stepsOfASplit) {
		for j, name := range names {
			if (i+j)%6 != 0 && step != "Split" { // a life takes seconds: everything happens at the decisive step, and a part of it at the others
				continue
			}
			harm := mishaps[name]
			t.Run(step+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := settled(t)
				s.divide(4)
				s.until("the step "+step+" runs", enoughToScale, func() bool { return s.runs("demo-op1", step) })
				for range i % 3 { // not always at its first moment
					if err := s.pass(); err != nil {
						t.Log(err)
					}
				}
				harm(s)
				s.settle(3 * enoughToScale)
				s.ended("demo-op1", v1alpha1.OperationCompleted)
				s.has("cn1", "cn2", "dn1", "dn2", "dn3", "dn4")
				s.tidy()
			})
		}
	}
}

func TestASplitCanBeCancelledUntilItIsDone(t *testing.T) {
	t.Parallel()
	for i, step := range strings.Fields(stepsOfASplit) {
		for passes := range 3 {
			if i%3 != passes && step != "Split" {
				continue
			}
			how := []string{"cancel", "delete", "counts"}[(i+passes)%3]
			t.Run(step+"/"+how, func(t *testing.T) {
				t.Parallel()
				s := settled(t)
				s.world.BusySplits = passes
				s.divide(4)
				s.until("the step "+step+" runs", enoughToScale, func() bool { return s.runs("demo-op1", step) })
				for range passes {
					if err := s.pass(); err != nil {
						t.Fatal(err)
					}
				}
				switch how {
				case "cancel":
					s.cancel("demo-op1")
				case "delete":
					if err := s.api.World.Delete(s.ctx, s.operationNamed("demo-op1")); err != nil {
						t.Fatal(err)
					}
				}
				s.counts(2, 2)
				s.settle(6 * enoughToScale)
				s.has("cn1", "cn2", "dn1", "dn2")
				s.tidy()
			})
		}
	}
}

func TestASplitThatNeverSucceedsIsGivenUpAndUndone(t *testing.T) {
	s := settled(t)
	s.world.FailSplits = 1000
	s.divide(4)
	s.until("the operation has failed", 3*enoughToScale, func() bool {
		op := s.operationNamed("demo-op1")
		return op != nil && op.Status.Phase == v1alpha1.OperationFailed
	})
	for range 5 {
		if err := s.pass(); err != nil {
			t.Fatal(err)
		}
	}
	s.ended("demo-op1", v1alpha1.OperationFailed, "5 attempts", "a datanode went away", "undone")
	s.has("cn1", "cn2", "dn1", "dn2")
	s.tidy()
	if d := cmp.Diff([]string{"cn1", "cn2", "dn1", "dn2", "gc"}, s.claims()); d != "" {
		t.Errorf("claims (-want +got):\n%s", d)
	}
}

func TestMembersThatHoldRowsAreFoundAgainByTheirClaims(t *testing.T) {
	s := settled(t)
	s.divide(4)
	s.until("the rows are divided", enoughToScale, func() bool { return len(s.world.Doubled()) > 0 })
	c := s.cluster()
	c.Status.Members = nil
	if err := s.api.World.Status().Update(s.ctx, c); err != nil {
		t.Fatal(err)
	}
	s.settle(2 * enoughToScale)
	s.has("cn1", "cn2", "dn1", "dn2", "dn3", "dn4")
	s.tidy()
}
