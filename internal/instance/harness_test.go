// SPDX-License-Identifier: Apache-2.0

package instance_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance"
	"github.com/antdb-operator/antdb-operator/internal/instance/enginetest"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

func TestMain(m *testing.M) {
	enginetest.Main()
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of these tests.
const patience = 10 * time.Second

// kubernetes holds the pods of a namespace and remembers what was patched.
type kubernetes struct {
	mu      sync.Mutex
	pods    []corev1.Pod
	events  *watch.FakeWatcher
	patches []string
	away    bool
}

func newKubernetes() *kubernetes { return &kubernetes{} }

// IsWatchListSemanticsUnSupported makes clients list first.
func (k *kubernetes) IsWatchListSemanticsUnSupported() bool { return true }

func aPod(name, ip string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", ResourceVersion: "2"},
		Status:     corev1.PodStatus{PodIP: ip, Phase: corev1.PodRunning},
	}
}

func (k *kubernetes) OfCluster(string) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListFunc: func(metav1.ListOptions) (runtime.Object, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.away {
				return nil, io.ErrUnexpectedEOF
			}
			return &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: k.pods}, nil
		},
		WatchFunc: func(metav1.ListOptions) (watch.Interface, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.events = watch.NewFakeWithChanSize(16, false)
			return k.events, nil
		},
	}, k)
}

func (k *kubernetes) Patch(_ context.Context, _ string, _ types.PatchType, patch []byte, _ ...string) (*corev1.Pod, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.away {
		return nil, io.ErrUnexpectedEOF
	}
	k.patches = append(k.patches, string(patch))
	pod := &corev1.Pod{}
	return pod, json.Unmarshal(patch, pod)
}

// label is the value of the serving label that was written last.
func (k *kubernetes) label() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	value := ""
	for _, p := range k.patches {
		var patch corev1.Pod
		if json.Unmarshal([]byte(p), &patch) == nil && len(patch.Labels) > 0 {
			value = patch.Labels["antdb.io/serving"]
		}
	}
	return value
}

// stale is how old a stream must be to come from a gc that is gone.
const stale = 2 * time.Second

// stuck is how long gc may not read from its nodes.
const stuck = time.Second

// rig is an instance manager on fake programs, with its volumes.
type rig struct {
	t       *testing.T
	control enginetest.Control
	k       *kubernetes
	launch  pod.Launch
	paths   pod.Paths
	*instance.Manager
	stop func()
}

// newRig makes volumes and Secrets for a node. Nothing runs yet.
func newRig(t *testing.T, role antdb.Role, node string) *rig {
	t.Helper()
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	r := &rig{
		t: t, control: enginetest.Install(t), k: newKubernetes(), stop: func() {},
		launch: pod.Launch{
			Identity: pod.Identity{Cluster: "demo", ClusterUID: "uid-1", Namespace: "ns", Node: node, Instance: "demo-" + node + "-1"},
			Role:     role, Owner: "app", Database: "app",
		},
		paths: pod.Paths{
			Volume: at("volume"), WALVolume: at("wal"), Sockets: at("s"), Certificate: at("tls"), Config: at("config"),
			Superuser: at("superuser"), Application: at("app"),
		},
	}
	for _, folder := range []string{r.paths.Volume, r.paths.WALVolume, r.paths.Sockets, r.paths.Config, r.paths.Superuser, r.paths.Application} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.write(filepath.Join(r.paths.Superuser, "password"), "super secret")
	r.write(filepath.Join(r.paths.Application, "password"), "app secret")
	r.configure(instanceapi.Config{GTMHost: "127.0.0.1"})
	return r
}

func (r *rig) write(path, text string) {
	r.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) read(path string) string {
	r.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// configure puts a configuration where the pod brings it.
func (r *rig) configure(c instanceapi.Config) {
	r.t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(filepath.Join(r.paths.Config, r.launch.Node+".json"), string(text))
}

// start runs a manager, as a new container does.
func (r *rig) start() {
	r.t.Helper()
	timing := instance.DefaultTiming()
	timing.CheckEvery, timing.CheckDeadline = 20*time.Millisecond, 150*time.Millisecond
	timing.AwaitGTM, timing.FastStop, timing.WaitingStop = 0, 300*time.Millisecond, 50*time.Millisecond
	timing.Linger = 10 * time.Millisecond
	timing.Supervise.FirstBackoff = 20 * time.Millisecond
	timing.Tend, timing.Stale, timing.Stuck = time.Hour, stale, stuck
	log := slog.New(slog.NewTextHandler(testWriter{r.t}, nil))
	r.Manager = instance.New(instance.Options{
		Launch: r.launch, Paths: r.paths, Pods: r.k, Own: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		API: "127.0.0.1:0", Metrics: "127.0.0.1:0", Port: 5432, Log: log, ServerLog: log.With("logger", "postgres"), Timing: timing,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					r.t.Errorf("manager ended with %v", err)
				}
			case <-time.After(patience):
				r.t.Error("manager did not end")
			}
		})
	}
	r.t.Cleanup(r.stop)
}

// testWriter passes log lines to the test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

// await waits for a status.
func (r *rig) await(what string, good func(instanceapi.Status) bool) instanceapi.Status {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s := r.Status(context.Background())
		if good(s) {
			return s
		}
		if time.Now().After(deadline) {
			text, _ := json.MarshalIndent(s, "", " ")
			r.t.Fatalf("waited in vain until %s; status:\n%s\nevents: %q", what, text, r.control.Events())
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (r *rig) awaitServing() instanceapi.Status {
	r.t.Helper()
	return r.await("it serves", func(s instanceapi.Status) bool { return s.Serving })
}

func (r *rig) awaitReason(reason string) instanceapi.Status {
	r.t.Helper()
	return r.await("the reason is "+reason, func(s instanceapi.Status) bool { return s.Reason == reason })
}

// eventually waits for anything else.
func (r *rig) eventually(what string, good func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for !good() {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain until %s; events: %q", what, r.control.Events())
		}
		<-time.After(5 * time.Millisecond)
	}
}

// rows are a topology of one node a role.
func rows() instanceapi.Topology {
	return instanceapi.Topology{Generation: 1, Topology: topology.Topology{Nodes: []topology.Node{
		{Name: "gc", Type: antdb.TypeCoordinator, Host: "gc-h", Port: 5432, GTM: true},
		{Name: "cn1", Type: antdb.TypeCoordinator, Host: "cn1-h", Port: 5432},
		{Name: "dn1", Type: antdb.TypeDatanode, Host: "dn1-h", Port: 5432, Primary: true},
	}}}
}

// serving starts a node and waits until it serves, with its catalog if it holds one.
func serving(t *testing.T, role antdb.Role, node string) *rig {
	t.Helper()
	r := newRig(t, role, node)
	r.start()
	if role.HoldsCatalog() {
		r.awaitReason(instance.ReasonNoTopology)
		if _, err := r.PutTopology(context.Background(), rows()); err != nil {
			t.Fatal(err)
		}
	}
	r.awaitServing()
	return r
}
