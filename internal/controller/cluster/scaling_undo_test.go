// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

func TestALostLockThrowsTheCopyAway(t *testing.T) {
	for _, step := range []string{"Copy", "Start", "Register", "Verify"} {
		t.Run(step, func(t *testing.T) {
			s := settled(t)
			s.counts(3, 2)
			s.until("the step "+step+" runs", enoughToScale, func() bool { return s.runs("demo-op1", step) })
			s.world.LoseLock()
			if refusal := s.world.DDL("cn1"); refusal != "" && step != "Register" && step != "Verify" {
				t.Fatalf("DDL is refused: %s", refusal)
			}
			s.settle(enoughToScale)
			s.ended("demo-op1", v1alpha1.OperationCompleted)
			s.has("cn1", "cn2", "cn3", "dn1", "dn2")
			if n := s.events.count(v1alpha1.EventOperationRepeated); n != 1 {
				t.Errorf("the repetition was told %d times", n)
			}
		})
	}
}

// runs tells whether a step of an operation runs.
func (s *scene) runs(name, step string) bool {
	op := s.operationNamed(name)
	if op == nil {
		return false
	}
	for _, e := range op.Status.Steps {
		if e.Name == step {
			return e.State == v1alpha1.StepRunning
		}
	}
	return false
}

func TestACopyThatNeverSucceedsIsGivenUpAndUndone(t *testing.T) {
	s := settled(t)
	s.world.FailJoins = 1000
	s.counts(3, 2)
	s.until("the operation has failed", 2*enoughToScale, func() bool {
		op := s.operationNamed("demo-op1")
		return op != nil && op.Status.Phase == v1alpha1.OperationFailed
	})
	for range 5 {
		if err := s.pass(); err != nil {
			t.Fatal(err)
		}
	}
	s.ended("demo-op1", v1alpha1.OperationFailed, "5 attempts", "the copy broke off", "undone")
	s.has("cn1", "cn2", "dn1", "dn2")
	if d := cmp.Diff([]string{"cn1", "cn2", "dn1", "dn2", "gc"}, s.claims()); d != "" {
		t.Errorf("claims (-want +got):\n%s", d)
	}
}

func TestAnOperationCanBeCancelledAtEveryStep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		coordinators, datanodes int32
		steps                   string
	}{
		"coordinator out": {3, 2, "CreateInstances LockDDL Copy Start Register Verify Keep"},
		"datanode out":    {2, 3, "CreateInstances LockDDL LoadSchema Start Register Verify Keep MoveRows"},
		"coordinator in":  {1, 2, "Drain LockDDL Settle Deregister Stop"},
		"datanode in":     {2, 1, "Check MovePrimary MoveRows LockDDL ProveEmpty Deregister Stop"},
	} {
		for i, step := range strings.Fields(c.steps) {
			for _, how := range []string{"cancel", "delete", "counts"}[i%3:][:1] { // each way at some steps: a life takes seconds
				t.Run(fmt.Sprintf("%s/%s/%s", name, step, how), func(t *testing.T) {
					t.Parallel()
					s := settled(t)
					s.world.SetSessions("cn2", 3)
					s.counts(c.coordinators, c.datanodes)
					s.until("the step "+step+" runs", enoughToScale, func() bool { return s.runs("demo-op1", step) })
					switch how {
					case "cancel":
						s.cancel("demo-op1")
						s.counts(2, 2)
					case "delete":
						op := s.operationNamed("demo-op1")
						if err := s.api.World.Delete(s.ctx, op); err != nil {
							t.Fatal(err)
						}
						s.counts(2, 2)
					case "counts":
						s.counts(2, 2)
					}
					s.settle(3 * enoughToScale)
					s.world.DDL("gc") // a table on whatever datanodes there are
					active := 0
					for _, m := range s.cluster().Status.Members {
						if m.State == v1alpha1.MemberActive {
							active++
						}
					}
					if active != 4 {
						t.Errorf("members: %v", s.members())
					}
					var nodes []string
					for _, m := range s.cluster().Status.Members {
						if m.State == v1alpha1.MemberActive {
							nodes = append(nodes, m.Name)
						}
					}
					s.has(nodes...)
				})
			}
		}
	}
}

func TestTheOperatorMayBeRestartedAtEveryPassOfAnOperation(t *testing.T) {
	s := settled(t)
	for _, c := range [][2]int32{{3, 2}, {3, 4}, {2, 4}, {2, 3}} {
		s.counts(c[0], c[1])
		s.eachPass = s.restartOperator
		s.settle(3 * enoughToScale)
		s.eachPass = func() {}
	}
	s.has("cn1", "cn2", "dn1", "dn2", "dn3")
	if n := len(s.operations()); n != 4 {
		t.Errorf("%d operations", n)
	}
}
