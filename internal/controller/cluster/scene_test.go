// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/yaml"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/controller/cluster"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/kube"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/render"
	"github.com/antdb-operator/antdb-operator/internal/testkit/apiserver"
	"github.com/antdb-operator/antdb-operator/internal/testkit/fakeantdb"
	"github.com/antdb-operator/antdb-operator/internal/testkit/kubelet"
)

// tester is a test, or one draw of rapid.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// scene is one cluster in a Kubernetes that lives in memory, with the real reconciler before it.
type scene struct {
	t        tester
	ctx      context.Context
	api      *apiserver.Server
	world    *fakeantdb.World
	kubelet  *kubelet.Kubelet
	operator *cluster.Reconciler
	metrics  *prometheus.Registry // of the operator that runs now
	events   *recorder
	clock    time.Time
	eachPass func() // what happens before each pass
}

const small = `
metadata: {name: demo, namespace: ns}
spec:
  image: antdb:5
  bootstrap: {database: app, owner: app, postInitSQL: [create extension one, create extension two]}
  gtm: {storage: {size: 1Gi}}
  coordinators: {count: 2, storage: {size: 1Gi}}
  datanodes: {count: 2, storage: {size: 1Gi}}
`

var demo = types.NamespacedName{Namespace: "ns", Name: "demo"}

var request = ctrl.Request{NamespacedName: demo}

func newScene(ctx context.Context, t tester, text string) *scene {
	t.Helper()
	s := &scene{t: t, ctx: ctx, api: apiserver.New(), world: fakeantdb.New(), events: &recorder{}, clock: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), eachPass: func() {}}
	s.kubelet = &kubelet.Kubelet{Client: s.api.World, Runtime: runner{s.world}, Namespace: demo.Namespace}
	s.begin()
	c := &v1alpha1.AntDBCluster{}
	if err := yaml.UnmarshalStrict([]byte(text), c); err != nil {
		t.Fatalf("%v", err)
	}
	c.Generation = 1
	if err := s.api.World.Create(ctx, c); err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

// begin starts an operator, and lets the world judge what it deletes.
func (s *scene) begin() {
	s.api.Deleting = func(pod *corev1.Pod) {
		switch {
		case s.stops():
			s.inTurn(pod)
		case pod.Status.Phase != corev1.PodFailed:
			s.world.Disturb(pod.Name, "deletion")
		}
	}
	s.restartOperator()
}

// clone is another scene in the same state, with an operator that remembers nothing.
func (s *scene) clone(ctx context.Context, t tester) *scene {
	other := &scene{
		t: t, ctx: ctx, api: s.api.Clone(), world: s.world.Clone(), events: &recorder{all: s.events.last(len(s.events.all))},
		clock: s.clock, eachPass: func() {},
	}
	other.kubelet = s.kubelet.Clone(other.api.World, runner{other.world})
	other.begin()
	return other
}

// restartOperator replaces the operator's process: nothing that it remembered is left.
func (s *scene) restartOperator() {
	s.metrics = prometheus.NewRegistry()
	s.operator = &cluster.Reconciler{
		Client: s.api.Operator, Live: s.api.Operator,
		Writer:   &kube.Writer{Reader: s.api.Operator, Client: s.api.Operator, Scheme: s.api.Scheme},
		Events:   s.events,
		Operator: render.Operator{Image: "operator:1", Namespace: "antdb-system", Labels: map[string]string{"app": "operator"}},
		Dial: func(address string, via http.RoundTripper) cluster.Instance {
			return s.world.Dial(address, via)
		},
		Metrics: cluster.NewMetrics(s.metrics),
		Now:     func() time.Time { return s.clock },
	}
}

// pass reconciles once and lets everybody else do something.
func (s *scene) pass() error {
	s.eachPass()
	_, err := s.operator.Reconcile(s.ctx, request)
	if err == nil {
		s.notStableTooSoon()
	}
	s.step()
	return err
}

// notStableTooSoon checks what whoever waits for Stable relies on: it is never said while an operation has not ended, nor
// while the nodes that there are differ from the counts.
func (s *scene) notStableTooSoon() {
	c := s.cluster()
	if _, reason, _ := s.condition(v1alpha1.ConditionProgressing); reason != v1alpha1.ReasonStable || c.Status.ObservedGeneration != c.Generation {
		return
	}
	for _, o := range s.operations() {
		if !operation.Ended(&o) {
			s.t.Fatalf("Stable while %s is %q\n%s", o.Name, o.Status.Phase, s)
		}
	}
	have := map[string]int32{}
	for _, m := range c.Status.Members {
		if m.State == v1alpha1.MemberActive {
			have[m.Name[:2]]++
		}
	}
	if have["cn"] != c.Spec.Coordinators.Count || have["dn"] != c.Spec.Datanodes.Count {
		s.t.Fatalf("Stable with %v for the counts %d and %d\n%s", s.members(), c.Spec.Coordinators.Count, c.Spec.Datanodes.Count, s)
	}
}

// step lets everybody but the operator do something.
func (s *scene) step() {
	if err := s.kubelet.Step(s.ctx); err != nil {
		s.t.Fatalf("kubelet: %v", err)
	}
	s.world.Step()
	s.clock = s.clock.Add(time.Second)
	if broken := s.world.Violations(); len(broken) > 0 {
		s.t.Fatalf("rules were broken:\n%s\n%s", strings.Join(broken, "\n"), s)
	}
}

func (s *scene) cluster() *v1alpha1.AntDBCluster {
	c := &v1alpha1.AntDBCluster{}
	if err := s.api.World.Get(s.ctx, demo, c); err != nil {
		s.t.Fatalf("%v", err)
	}
	return c
}

// change changes the spec, as a user does.
func (s *scene) change(do func(*v1alpha1.AntDBCluster)) {
	c := s.cluster()
	do(c)
	c.Generation++
	if err := s.api.World.Update(s.ctx, c); err != nil {
		s.t.Fatalf("%v", err)
	}
}

// settle reconciles until there is nothing left to do.
func (s *scene) settle(passes int) {
	s.t.Helper()
	var err error
	for range passes {
		s.api.Writes()
		s.world.Orders()
		before := s.cluster()
		err = s.pass()
		if err == nil && len(s.api.Writes()) == 0 && s.world.Orders() == 0 && s.ready() && before.ResourceVersion == s.cluster().ResourceVersion {
			return
		}
	}
	s.t.Fatalf("not settled after %d passes (last error: %v)\n%s", passes, err, s)
}

// until reconciles until something holds.
func (s *scene) until(what string, passes int, holds func() bool) {
	s.t.Helper()
	for range passes {
		if holds() {
			return
		}
		if err := s.pass(); err != nil {
			s.t.Fatalf("waiting until %s: %v\n%s", what, err, s)
		}
	}
	s.t.Fatalf("not after %d passes: %s\n%s", passes, what, s)
}

func (s *scene) condition(kind string) (status, reason, message string) {
	if c := meta.FindStatusCondition(s.cluster().Status.Conditions, kind); c != nil {
		return string(c.Status), c.Reason, c.Message
	}
	return "none", "", ""
}

// ready tells that the status says so of the newest spec.
func (s *scene) ready() bool {
	c := s.cluster()
	progressing := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionProgressing)
	return c.Status.ObservedGeneration == c.Generation && meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) &&
		progressing != nil && progressing.Reason == v1alpha1.ReasonStable
}

func (s *scene) pod(node string) *corev1.Pod {
	p := &corev1.Pod{}
	if err := s.api.World.Get(s.ctx, types.NamespacedName{Namespace: "ns", Name: naming.Instance("demo", node, 1)}, p); err != nil {
		return nil
	}
	return p
}

// String is what to read when a test failed.
func (s *scene) String() string {
	var b strings.Builder
	c := s.cluster()
	fmt.Fprintf(&b, "phase %s, ready nodes %s, topology %+v\n", c.Status.Phase, c.Status.ReadyNodes, c.Status.Topology)
	for _, x := range c.Status.Conditions {
		fmt.Fprintf(&b, "%s=%s %s: %s\n", x.Type, x.Status, x.Reason, x.Message)
	}
	pods := &corev1.PodList{}
	if err := s.api.World.List(s.ctx, pods); err == nil {
		for _, p := range pods.Items {
			fmt.Fprintf(&b, "pod %s %s %s deleting %t\n", p.Name, p.Status.Phase, p.Status.PodIP, p.DeletionTimestamp != nil)
		}
	}
	for _, o := range s.operations() {
		fmt.Fprintf(&b, "operation %s %s %v: %s, attempt %d, %s\n", o.Name, o.Spec.Type, o.Spec.Nodes, o.Status.Phase, o.Status.Attempt, o.Status.Message)
	}
	fmt.Fprintf(&b, "members %v\n", s.members())
	b.WriteString(s.world.String())
	return b.String() + strings.Join(s.events.last(12), "\n")
}

// recorder keeps events.
type recorder struct {
	mu  sync.Mutex
	all []string
}

// Eventf notes an event.
func (r *recorder) Eventf(_, _ runtime.Object, kind, reason, _, note string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, kind+" "+reason+": "+fmt.Sprintf(note, args...))
}

func (r *recorder) last(n int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[max(0, len(r.all)-n):]
}

func (r *recorder) count(reason string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.all {
		if strings.Contains(e, " "+reason+":") {
			n++
		}
	}
	return n
}

// runner runs the instance that a pod's environment describes.
type runner struct{ world *fakeantdb.World }

// Start starts the instance of a pod.
func (r runner) Start(pod *corev1.Pod, disk types.UID, config map[string]string) {
	env := map[string]string{}
	for _, e := range pod.Spec.Containers[0].Env {
		env[e.Name] = e.Value
	}
	node := env[instanceapi.EnvNode]
	var first instanceapi.Config
	if err := json.Unmarshal([]byte(config[naming.ConfigKey(node)]), &first); err != nil {
		panic(errors.Join(fmt.Errorf("pod %s has no configuration to start with", pod.Name), err))
	}
	r.world.Start(fakeantdb.Launch{
		Address: pod.Status.PodIP, Instance: pod.Name, Node: node, Role: antdb.Role(env[instanceapi.EnvRole]),
		Volume: string(disk), Config: first, Join: env[instanceapi.EnvJoin] == "true",
	})
}

// Stop ends it.
func (r runner) Stop(address string) { r.world.Stop(address) }

// Accepting tells whether it accepts connections.
func (r runner) Accepting(address string) bool { return r.world.Accepting(address) }

// Serving tells whether SQL runs on it.
func (r runner) Serving(address string) bool { return r.world.Serving(address) }
