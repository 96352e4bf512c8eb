// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/testkit/apiserver"
)

var update = flag.Bool("update", false, "write what commands print into the guide")

var now = time.Date(2026, 3, 1, 10, 5, 0, 0, time.UTC)

func ago(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(-d)} }

// desk is where a person gives commands, and the Kubernetes behind it.
type desk struct {
	t      *testing.T
	server *apiserver.Server
	world  client.WithWatch
	env    cli.Env
	out    screen
	err    bytes.Buffer
	// watched is called for each watch that has begun, with their number.
	watched func(int)
	// refuse is asked before each patch of a cluster.
	refuse func(*v1alpha1.AntDBCluster) error
	// generations makes the API server count the changes of a cluster's spec, and the operator tell which one it has seen.
	generations bool
	// once ends a command by an interrupt as soon as its output is as wanted. It may be nil.
	once   func(output string) bool
	tables map[string]string // answers of datanodes to `tables`, by pod
	// answers of instance managers to commands, by pod; they come before tables.
	answers map[string]func(args []string) (string, error)
	said    map[string]string // what goes to standard error, by pod
	// psql answers for psql, by pod, to what it reads.
	psql map[string]func(command []string, text string) (out, said string, err error)
	logs map[string]string // by pod
	ran  []string          // what was run in pods

	mu      sync.Mutex
	watches int
	made    int
	reads   int           // requests for objects
	stuck   bool          // Deployments do not come to run
	late    time.Duration // how far the clock has moved
}

// count counts a request to read objects.
func (d *desk) count() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
}

// pass moves the clock.
func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.late += by
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Add(d.late)
}

// unfold plays a story in steps, each as soon as the one before it was printed. It begins when so many watches have begun
// and so much was printed.
func (d *desk) unfold(watches, skip int, steps ...func()) {
	printed, begun := make(chan struct{}, 100), make(chan struct{})
	d.once = func(string) bool { printed <- struct{}{}; return false }
	d.watched = func(n int) {
		if n == watches {
			close(begun)
		}
	}
	go func() {
		<-begun
		for range skip {
			<-printed
		}
		for _, step := range steps {
			step()
			<-printed
		}
	}()
}

// report changes the status of the cluster demo, as the operator does.
func (d *desk) report(how func(*v1alpha1.AntDBCluster)) {
	c := &v1alpha1.AntDBCluster{}
	if err := d.world.Get(context.Background(), client.ObjectKey{Namespace: "prod", Name: "demo"}, c); err != nil {
		d.t.Error(err)
		return
	}
	how(c)
	if d.generations {
		c.Status.ObservedGeneration = c.Generation
	}
	if err := d.world.Status().Update(context.Background(), c); err != nil {
		d.t.Error(err)
	}
}

// screen is written by one goroutine and read by another.
type screen struct {
	mu      sync.Mutex
	all     bytes.Buffer
	written func(string)
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.all.Write(p)
	s.written(s.all.String())
	return n, err
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

func (s *screen) clear(written func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Reset()
	s.written = written
}

func sit(t *testing.T, objects ...client.Object) *desk {
	t.Helper()
	d := &desk{
		t: t, server: apiserver.New(), tables: map[string]string{}, logs: map[string]string{}, answers: map[string]func([]string) (string, error){},
		psql: map[string]func([]string, string) (string, string, error){},
	}
	world, ok := d.server.World.(client.WithWatch)
	if !ok {
		t.Fatal("the API server in memory cannot be watched")
	}
	d.world = world
	d.env = cli.Env{
		In: strings.NewReader(""), Out: &d.out, Err: &d.err, Now: d.clock, Version: "1.0",
		Ticks: func() (<-chan time.Time, func()) { return nil, func() {} },
		Connect: func(flags *genericclioptions.ConfigFlags) (*cli.Kube, error) {
			namespace := "prod"
			if *flags.Namespace != "" {
				namespace = *flags.Namespace
			}
			return &cli.Kube{WithWatch: d.client(), Pods: d, Namespace: namespace}, nil
		},
	}
	for _, o := range objects {
		d.make(o)
	}
	return d
}

// client is the one that commands get.
func (d *desk) client() client.WithWatch {
	return interceptor.NewClient(d.world, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			d.count()
			return c.Get(ctx, key, o, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			d.count()
			return c.List(ctx, list, options...)
		},
		Watch: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
			w, err := c.Watch(ctx, list, options...)
			d.mu.Lock()
			d.watches++
			n := d.watches
			d.mu.Unlock()
			if d.watched != nil {
				go d.watched(n)
			}
			return w, err
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			if o.GetName() == "" { // a name that can be foreseen
				d.made++
				o.SetName(fmt.Sprintf("%s%05d", o.GetGenerateName(), d.made))
				o.SetCreationTimestamp(metav1.Time{Time: now})
			}
			return c.Create(ctx, o, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			if cluster, ok := o.(*v1alpha1.AntDBCluster); ok && d.refuse != nil {
				if err := d.refuse(cluster); err != nil {
					return err
				}
			}
			before := o.GetResourceVersion()
			if err := c.Patch(ctx, o, p, options...); err != nil || !d.generations || o.GetResourceVersion() == before || len(options) > 0 {
				return err
			}
			o.SetGeneration(o.GetGeneration() + 1)
			return c.Update(ctx, o)
		},
	})
}

// make creates an object with its status.
func (d *desk) make(o client.Object) {
	d.t.Helper()
	full, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		d.t.Fatalf("%T is no object", o)
	}
	if err := d.world.Create(d.t.Context(), o); err != nil {
		d.t.Fatal(err)
	}
	full.SetResourceVersion(o.GetResourceVersion())
	full.SetUID(o.GetUID())
	switch full.(type) {
	case *v1alpha1.AntDBCluster, *v1alpha1.AntDBOperation:
		if err := d.world.Status().Update(d.t.Context(), full); err != nil {
			d.t.Fatal(err)
		}
	}
}

// change changes the status of an operation, as the operator does.
func (d *desk) change(name string, how func(*v1alpha1.AntDBOperation)) {
	o := &v1alpha1.AntDBOperation{}
	if err := d.world.Get(context.Background(), client.ObjectKey{Namespace: "prod", Name: name}, o); err != nil {
		d.t.Error(err)
		return
	}
	how(o)
	if err := d.world.Status().Update(context.Background(), o); err != nil {
		d.t.Error(err)
	}
}

// run gives a command and returns its exit code.
func (d *desk) run(args ...string) int {
	return d.runIn(d.t.Context(), args...)
}

func (d *desk) runIn(ctx context.Context, args ...string) int {
	const patience = 20 * time.Second
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	d.watches, d.reads = 0, 0
	d.err.Reset()
	d.out.clear(func(text string) {
		if d.once != nil && d.once(text) {
			stop()
		}
	})
	return cli.Main(ctx, &d.env, args)
}

// want checks exit code and words of the output.
func (d *desk) want(code int, words []string, args ...string) {
	d.t.Helper()
	if got := d.run(args...); got != code {
		d.t.Errorf("%v ends with %d, not %d\n%s%s", args, got, code, d.out.text(), d.err.String())
	}
	for _, w := range words {
		if !strings.Contains(d.out.text()+d.err.String(), w) {
			d.t.Errorf("%v does not say %q:\n%s%s", args, w, d.out.text(), d.err.String())
		}
	}
}

func (d *desk) operation(name string) *v1alpha1.AntDBOperation {
	d.t.Helper()
	o := &v1alpha1.AntDBOperation{}
	if err := d.world.Get(d.t.Context(), client.ObjectKey{Namespace: "prod", Name: name}, o); err != nil {
		d.t.Fatal(err)
	}
	return o
}

func (d *desk) counts() (coordinators, datanodes int32) {
	d.t.Helper()
	c := &v1alpha1.AntDBCluster{}
	if err := d.world.Get(d.t.Context(), client.ObjectKey{Namespace: "prod", Name: "demo"}, c); err != nil {
		d.t.Fatal(err)
	}
	return c.Spec.Coordinators.Count, c.Spec.Datanodes.Count
}

// Exec answers for the pods. What a program reads is the last of its arguments.
func (d *desk) Exec(_ context.Context, pod types.NamespacedName, run cli.Exec) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ran = append(d.ran, pod.Name+": "+strings.Join(run.Command, " "))
	var in []byte
	if run.In != nil {
		in, _ = io.ReadAll(run.In)
	}
	if psql := d.psql[pod.Name]; psql != nil && run.Command[0] == "psql" {
		out, said, err := psql(run.Command, string(in))
		_, _ = io.WriteString(run.Out, out)
		_, _ = io.WriteString(run.Err, said)
		return err
	}
	if answer := d.answers[pod.Name]; answer != nil && run.Command[0] != "psql" {
		args := run.Command[1:]
		if len(in) > 0 {
			args = append(slices.Clone(args), string(in))
		}
		text, err := answer(args)
		_, _ = io.WriteString(run.Out, text)
		_, _ = io.WriteString(run.Err, d.said[pod.Name])
		return err
	}
	_, err := io.WriteString(run.Out, d.tables[pod.Name])
	return err
}

// Logs answers for the pods.
func (d *desk) Logs(_ context.Context, pod types.NamespacedName, _ corev1.PodLogOptions) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(d.logs[pod.Name])), nil
}

// demo is a cluster 1+2+3 in the namespace prod, at rest.
func demo() *v1alpha1.AntDBCluster {
	c := &v1alpha1.AntDBCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "demo", CreationTimestamp: *ago(75 * time.Hour)}}
	c.Spec.Image = "registry.example/antdb:5.0"
	c.Spec.Coordinators.Count, c.Spec.Datanodes.Count = 2, 3
	c.Status = v1alpha1.AntDBClusterStatus{
		Phase: "Ready", ReadyNodes: "6/6", Topology: v1alpha1.TopologyStatus{SyncedOn: []string{"gc", "cn1", "cn2"}},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: "True", Reason: v1alpha1.ReasonAllNodesServe, LastTransitionTime: *ago(time.Hour)}},
	}
	for _, name := range []string{"gc", "cn1", "cn2", "dn1", "dn2", "dn3"} {
		join(c, name)
	}
	return c
}

// join adds a node to the status.
func join(c *v1alpha1.AntDBCluster, name string) {
	role, number, err := antdb.ParseNodeName(name)
	if err != nil {
		panic(err)
	}
	instance := naming.Instance(c.Name, name, 1)
	c.Status.Members = append(c.Status.Members, v1alpha1.MemberStatus{Name: name, State: v1alpha1.MemberActive})
	c.Status.Nodes = append(c.Status.Nodes, v1alpha1.NodeStatus{
		Name: name, Role: string(role), Address: naming.Host(naming.HeadlessService(c.Name, name), c.Namespace),
		ClusterIP: fmt.Sprintf("10.96.%d.%d", len(role), 10+number), Primary: instance,
		Instances: []v1alpha1.InstanceStatus{{
			Name: instance, Role: "primary", Ready: true, Serving: true, State: "Running", Host: fmt.Sprintf("worker-%d", number),
			PodIP: fmt.Sprintf("10.244.%d.%d", number, len(role)+3), Version: "5.0.1", Volumes: []v1alpha1.VolumeStatus{{Name: instance, Requested: "10Gi"}},
		}},
	})
}
