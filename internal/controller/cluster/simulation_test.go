// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"flag"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/testkit/apiserver"
	"github.com/antdb-operator/antdb-operator/internal/testkit/fakeantdb"
	"github.com/antdb-operator/antdb-operator/internal/testkit/kubelet"
)

// The simulation draws the same lives each time, so that a change is judged by itself. To look for others:
//
//	go test ./internal/controller/cluster -run Whatever -rapid.seed=0 -rapid.checks=300
const (
	lives = "25"
	seed  = "20260102"
)

// enough passes for what a life of faults leaves behind: five pods to replace one after the other, and restarts.
const enough = 150

func TestMain(m *testing.M) {
	if err := errors.Join(flag.Set("rapid.checks", lives), flag.Set("rapid.seed", seed)); err != nil {
		println(err.Error())
		os.Exit(1)
	}
	flag.Parse()
	debug.SetGCPercent(400) // little is kept, and much is thrown away
	os.Exit(m.Run())
}

// fault is something that goes wrong, or that a user does, between two passes of the operator.
type fault func(*scene, *rapid.T)

func anyNode(t *rapid.T) string {
	return rapid.SampledFrom([]string{"gc", "cn1", "cn2", "dn1", "dn2"}).Draw(t, "node")
}

// change draws one of several values of a spec. What was drawn last stays until another one is drawn.
func change(what string, set func(*v1alpha1.AntDBCluster, string), values ...string) fault {
	return func(s *scene, t *rapid.T) {
		v := rapid.SampledFrom(values).Draw(t, what)
		s.change(func(c *v1alpha1.AntDBCluster) { set(c, v) })
	}
}

func parameter(name string) func(*v1alpha1.AntDBCluster, string) {
	return func(c *v1alpha1.AntDBCluster, value string) {
		if c.Spec.Parameters == nil {
			c.Spec.Parameters = v1alpha1.Parameters{}
		}
		c.Spec.Parameters[name] = value
	}
}

func faults() map[string]fault {
	return map[string]fault{
		"nothing":            func(*scene, *rapid.T) {},
		"a server is killed": func(s *scene, t *rapid.T) { s.world.Kill(anyNode(t)) },
		"a pod is deleted":   func(s *scene, t *rapid.T) { s.deletePod(anyNode(t)) },
		"a pod is evicted":   func(s *scene, t *rapid.T) { s.evict(anyNode(t)) },
		"an instance cannot be reached": func(s *scene, t *rapid.T) {
			s.world.Hide(anyNode(t), rapid.IntRange(1, 4).Draw(t, "steps"))
		},
		"a catalog is changed":       func(s *scene, t *rapid.T) { s.world.Drift(anyNode(t)) },
		"initdb is slow":             func(s *scene, t *rapid.T) { s.world.InitdbSteps = rapid.IntRange(1, 9).Draw(t, "steps") },
		"the operator is restarted":  func(s *scene, _ *rapid.T) { s.restartOperator() },
		"the API server refuses":     func(s *scene, t *rapid.T) { s.refuse(t, errors.New("etcdserver: request timed out")) },
		"the API server contradicts": func(s *scene, t *rapid.T) { s.refuse(t, conflict()) },
		"the cache is behind": func(s *scene, t *rapid.T) {
			if err := s.api.Freeze(s.ctx); err != nil {
				t.Fatal(err)
			}
		},
		"the cache catches up": func(s *scene, _ *rapid.T) { s.api.Thaw() },
		"the operator sleeps": func(s *scene, t *rapid.T) {
			for range rapid.IntRange(1, 6).Draw(t, "steps") {
				s.step()
			}
		},
		"the cluster is stopped or started": func(s *scene, t *rapid.T) { s.stop(rapid.Bool().Draw(t, "stopped")) },
		"the cluster is paused or resumed":  func(s *scene, t *rapid.T) { s.pause(rapid.Bool().Draw(t, "paused")) },
		"a restart is asked for": func(s *scene, t *rapid.T) {
			s.request(v1alpha1.AnnotationRestart, s.clock.Format(time.RFC3339)+rapid.SampledFrom([]string{"", "/gc", "/dn1,cn2", "/dn9"}).Draw(t, "nodes"))
		},
		"a reload is asked for": func(s *scene, t *rapid.T) {
			s.request(v1alpha1.AnnotationReload, s.clock.Format(time.RFC3339)+rapid.SampledFrom([]string{"", "/gc", "/dn9"}).Draw(t, "nodes"))
		},
		"a comparison is asked for": func(s *scene, t *rapid.T) {
			s.request(v1alpha1.AnnotationTopologySync, s.clock.Format(time.RFC3339)+rapid.SampledFrom([]string{"", "/gc", "/dn1"}).Draw(t, "nodes"))
		},
		"a parameter to reload":  change("work_mem", parameter("work_mem"), "4MB", "8MB", fakeantdb.Rejected),
		"a parameter to restart": change("max_connections", parameter("max_connections"), "100", "200"),
		"an image": change("image", func(c *v1alpha1.AntDBCluster, v string) { c.Spec.Image = v },
			"antdb:5", "antdb:6", kubelet.Broken),
	}
}

func conflict() error {
	return apierrors.NewConflict(schema.GroupResource{Resource: "objects"}, "x", errors.New("the object has been modified"))
}

// refuse makes the API server refuse some of the operator's next writes.
func (s *scene) refuse(t *rapid.T, err error) {
	every := int64(rapid.IntRange(1, 4).Draw(t, "every"))
	left := int64(rapid.IntRange(1, 12).Draw(t, "writes"))
	var n atomic.Int64
	s.api.Refuse = func(apiserver.Write) error {
		if i := n.Add(1); i <= left && i%every == 0 {
			return err
		}
		return nil
	}
}

func (s *scene) evict(node string) {
	p := s.pod(node)
	if p == nil || p.DeletionTimestamp != nil {
		return
	}
	p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted"
	if err := s.api.World.Status().Update(s.ctx, p); err != nil {
		s.t.Fatalf("%v", err)
	}
}

// calm ends every fault and leaves a spec that can be carried out.
func (s *scene) calm() {
	s.api.Refuse = nil
	s.api.Thaw()
	s.world.InitdbSteps = 2
	s.pause(false)
	s.stop(false)
	s.change(func(c *v1alpha1.AntDBCluster) {
		if c.Spec.Image == kubelet.Broken {
			c.Spec.Image = "antdb:7"
		}
		if c.Spec.Parameters["work_mem"] == fakeantdb.Rejected {
			c.Spec.Parameters["work_mem"] = "16MB"
		}
	})
}

// TestWhateverHappensTheClusterEndsAsWantedAndNoRuleIsBroken is the simulation. While it runs, the world judges each
// restart and deletion by the operator: never two nodes at once, never gc while a registered node is missing.
func TestWhateverHappensTheClusterEndsAsWantedAndNoRuleIsBroken(t *testing.T) {
	all := faults()
	rapid.Check(t, func(t *rapid.T) {
		s := newScene(t.Context(), t, small)
		if rapid.Bool().Draw(t, "settled before") {
			s.settle(30)
		}
		for range rapid.IntRange(1, 25).Draw(t, "passes") {
			what := rapid.SampledFrom(names(all)).Draw(t, "fault")
			all[what](s, t)
			if err := s.pass(); err != nil && s.api.Refuse == nil && !s.api.Frozen() {
				t.Fatalf("the pass after %q: %v\n%s", what, err, s)
			}
		}
		s.calm()
		s.settle(enough)
		s.check()
	})
}

func names(all map[string]fault) []string {
	var out []string
	for name := range all {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// check looks at a settled cluster.
func (s *scene) check() {
	s.equalCatalogs()
	s.bootstrappedOnce()
	if !s.restarted() || !s.reloadIsDone() || !s.comparisonIsDone() {
		s.t.Errorf("a request stands: %v", s.cluster().Annotations)
	}
	s.expect(v1alpha1.ConditionConfigurationApplied, v1alpha1.ReasonApplied)
	c := s.cluster()
	for _, name := range []string{"work_mem", "max_connections"} {
		for node, value := range s.world.Parameters(name) {
			if value != c.Spec.Parameters[name] {
				s.t.Errorf("%s runs with %s = %q, not %q", node, name, value, c.Spec.Parameters[name])
			}
		}
	}
	for _, node := range []string{"gc", "cn1", "cn2", "dn1", "dn2"} {
		if p := s.pod(node); p == nil || p.Spec.Containers[0].Image != c.Spec.Image {
			s.t.Errorf("the pod of %s has not the image %s: %v", node, c.Spec.Image, p)
		}
	}
	s.api.Writes()
	s.world.Orders()
	if err := s.pass(); err != nil {
		s.t.Errorf("a pass over the settled cluster: %v", err)
	}
	if writes, orders := s.api.Writes(), s.world.Orders(); len(writes) > 0 || orders > 0 {
		s.t.Errorf("a pass over the settled cluster wrote %v and gave %d orders", writes, orders)
	}
}
