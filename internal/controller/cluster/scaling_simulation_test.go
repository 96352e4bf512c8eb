// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/testkit/apiserver"
)

// livesOfScaling are drawn the same each time. To look for others: change first.
const (
	livesOfScaling = 4
	firstOfScaling = 20260301
)

// mishaps are what goes wrong, or what a user does, while nodes come and go.
func mishaps() map[string]func(*scene, *rand.Rand) {
	member := func(s *scene, r *rand.Rand) string {
		all := s.cluster().Status.Members
		if r.IntN(6) == 0 {
			return "gc"
		}
		return all[r.IntN(len(all))].Name
	}
	return map[string]func(*scene, *rand.Rand){
		"nothing":           func(*scene, *rand.Rand) {},
		"the counts change": func(s *scene, r *rand.Rand) { s.counts(r.Int32N(3)+1, r.Int32N(3)+1) },
		"datanodes shall be divided": func(s *scene, r *rand.Rand) {
			s.divide(s.cluster().Spec.Datanodes.Count * (r.Int32N(2) + 1))
		},
		"datanodes are busy": func(s *scene, r *rand.Rand) { s.world.BusySplits = r.IntN(4) },
		"a split fails":      func(s *scene, _ *rand.Rand) { s.world.FailSplits = 1 },
		"a server is killed": func(s *scene, r *rand.Rand) { s.world.Kill(member(s, r)) },
		"a pod is deleted":   func(s *scene, r *rand.Rand) { s.deletePod(member(s, r)) },
		"an instance cannot be reached": func(s *scene, r *rand.Rand) {
			s.world.Hide(member(s, r), r.IntN(4)+1)
		},
		"the cluster is stopped or started": func(s *scene, r *rand.Rand) { s.stop(r.IntN(2) == 0) },
		"the cluster is paused or resumed":  func(s *scene, r *rand.Rand) { s.pause(r.IntN(3) == 0) },
		"a restart is asked for": func(s *scene, _ *rand.Rand) {
			s.request(v1alpha1.AnnotationRestart, s.clock.Format(time.RFC3339))
		},
		"the lock is lost":         func(s *scene, _ *rand.Rand) { s.world.LoseLock() },
		"somebody runs DDL":        func(s *scene, _ *rand.Rand) { s.world.DDL("cn1") },
		"a copy breaks off":        func(s *scene, _ *rand.Rand) { s.world.FailJoins = 1 },
		"a move fails":             func(s *scene, _ *rand.Rand) { s.world.FailMoves = 1 },
		"the operator is replaced": func(s *scene, _ *rand.Rand) { s.restartOperator() },
		"the operator sleeps": func(s *scene, r *rand.Rand) {
			for range r.IntN(15) {
				s.step()
			}
		},
		"the API server refuses": func(s *scene, r *rand.Rand) {
			every, left := r.Int64N(4)+1, r.Int64N(8)+1
			var n atomic.Int64
			s.api.Refuse = func(apiserver.Write) error {
				if i := n.Add(1); i <= left && i%every == 0 {
					return errors.New("etcdserver: request timed out")
				}
				return nil
			}
		},
		"an operation is cancelled": func(s *scene, _ *rand.Rand) {
			for _, o := range s.operations() {
				if o.Status.EndedAt == nil && !o.Spec.Cancel {
					s.cancel(o.Name)
				}
			}
		},
		"an operation is deleted": func(s *scene, _ *rand.Rand) {
			for _, o := range s.operations() {
				if err := s.api.World.Delete(s.ctx, &o); client.IgnoreNotFound(err) != nil {
					s.t.Fatalf("%v", err)
				}
			}
		},
	}
}

// TestWhateverHappensOperationsAreCompletedOrUndone draws lives in which nodes come and go while things go wrong. The world
// judges what is asked of it: no node is kept that missed DDL or that a catalog does not know, none is dropped from a
// catalog while it holds tables or works. In the end there are as many nodes as the counts say, every catalog knows them and
// nobody else, and DDL runs.
func TestWhateverHappensOperationsAreCompletedOrUndone(t *testing.T) {
	all := mishaps()
	kinds := slices.Sorted(maps.Keys(all))
	for i := range uint64(livesOfScaling) {
		t.Run(fmt.Sprint(firstOfScaling+i), func(t *testing.T) {
			r := rand.New(rand.NewPCG(firstOfScaling+i, 0)) //nolint:gosec // lives that can be lived again
			s := settled(t)
			var told []string
			for range 60 {
				what := kinds[r.IntN(len(kinds))]
				if r.IntN(2) == 0 {
					what = "nothing"
				}
				told = append(told, what)
				all[what](s, r)
				if err := s.pass(); err != nil && s.api.Refuse == nil {
					t.Logf("the pass after %q: %v", what, err)
				}
			}
			s.calmAfter(r)
			s.settle(6 * enoughToScale)
			s.complete()
			if t.Failed() {
				t.Logf("what happened: %s", strings.Join(told, ", "))
			}
		})
	}
}

// calmAfter ends every mishap and asks for some counts once more.
func (s *scene) calmAfter(r *rand.Rand) {
	s.api.Refuse = nil
	s.world.FailJoins, s.world.FailMoves, s.world.FailSplits, s.world.BusySplits = 0, 0, 0, 0
	s.pause(false)
	s.stop(false)
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Datanodes.Strategy = v1alpha1.StrategyRedistribute })
	s.counts(r.Int32N(3)+1, r.Int32N(3)+1)
}

// complete checks that there are as many nodes as the counts say.
func (s *scene) complete() {
	s.t.Helper()
	c := s.cluster()
	var nodes []string
	have := map[string]int32{}
	for _, m := range c.Status.Members {
		if m.State == v1alpha1.MemberActive {
			nodes = append(nodes, m.Name)
			have[m.Name[:2]]++
		}
	}
	if have["cn"] != c.Spec.Coordinators.Count || have["dn"] != c.Spec.Datanodes.Count {
		s.t.Errorf("members %v for the counts %d and %d", s.members(), c.Spec.Coordinators.Count, c.Spec.Datanodes.Count)
	}
	s.has(nodes...)
	s.tidy()
}
