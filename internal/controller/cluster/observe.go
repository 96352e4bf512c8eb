// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/plan"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// askTimeout bounds one question to an instance. An instance answers from what it knows; it does not wait for SQL.
const askTimeout = 2 * time.Second

// reachTimeout bounds the statement that goes to every datanode.
const reachTimeout = 8 * time.Second

// Instance is what the shell needs of an instance manager.
type Instance interface {
	Status(ctx context.Context) (instanceapi.Status, error)
	PutTopology(ctx context.Context, t instanceapi.Topology) (instanceapi.TopologyResult, error)
	PutConfig(ctx context.Context, c instanceapi.Config) (instanceapi.ConfigResult, error)
	Order
}

// Order is what an instance is told to do and reports on later.
type Order interface {
	Restart(ctx context.Context, r instanceapi.Restart) error
	Reload(ctx context.Context, r instanceapi.Reload) error
	Bootstrap(ctx context.Context, b instanceapi.Bootstrap) error
	ApplyCredentials(ctx context.Context) error
	PutRoles(ctx context.Context, w instanceapi.Roles) (instanceapi.RolesStatus, error)
	Reach(ctx context.Context) (instanceapi.Reach, error)
	Escape(ctx context.Context, e instanceapi.Escape) error
	Scaling
}

// Scaling is what operations need of instances.
type Scaling interface {
	Lock(ctx context.Context, l instanceapi.Lock) (instanceapi.LockStatus, error)
	Join(ctx context.Context, j instanceapi.Join) error
	Drain(ctx context.Context, d instanceapi.Drain) (instanceapi.DrainStatus, error)
	Move(ctx context.Context, m instanceapi.Move) error
	Empty(ctx context.Context, datanode string) (instanceapi.Emptiness, error)
	Feed(ctx context.Context, f instanceapi.Feed) (instanceapi.FeedStatus, error)
	Split(ctx context.Context, s instanceapi.Split) error
	Clean(ctx context.Context, c instanceapi.Clean) error
}

// Dialer gives a client for the instance manager at an address (host and port).
type Dialer func(address string, via http.RoundTripper) Instance

// +kubebuilder:rbac:groups="",resources=pods;persistentvolumeclaims;services,verbs=get;list;watch
// +kubebuilder:rbac:groups=storage.k8s.io,resources=storageclasses,verbs=get;list;watch

// observe reads everything of Kubernetes once; ask then adds what instances say. What an instance does not answer is a fact, not an error.
func (r *Reconciler) observe(ctx context.Context, cluster *v1alpha1.AntDBCluster, want *spec.Cluster) (*plan.Snapshot, error) {
	snap := &plan.Snapshot{
		Status: cluster.Status, Findings: spec.Check(cluster),
		Expandable: map[string]bool{}, Instances: map[string]plan.Instance{},
	}
	pods, claims, services := &corev1.PodList{}, &corev1.PersistentVolumeClaimList{}, &corev1.ServiceList{}
	classes := &storagev1.StorageClassList{}
	mine := []client.ListOption{client.InNamespace(cluster.Namespace), client.MatchingLabels{naming.LabelCluster: cluster.Name}}
	for list, options := range map[client.ObjectList][]client.ListOption{pods: mine, claims: mine, services: mine, classes: nil} {
		if err := r.Client.List(ctx, list, options...); err != nil {
			return nil, fmt.Errorf("list %T: %w", list, err)
		}
	}
	snap.Pods, snap.Claims, snap.Services = pods.Items, claims.Items, services.Items
	for i := range classes.Items {
		c := &classes.Items[i]
		snap.Expandable[c.Name] = c.AllowVolumeExpansion != nil && *c.AllowVolumeExpansion
		if c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			snap.DefaultClass = c.Name
		}
	}
	if len(snap.Findings) > 0 || want.Paused {
		return snap, nil
	}
	// Secrets are made before anything is planned: pods are told which version of them they mount.
	var err error
	switch snap.Secrets, err = r.secrets(ctx, want); {
	case errors.Is(err, errEarlier):
		snap.Held = err.Error()
		return snap, nil
	case err != nil:
		return nil, err
	}
	if err := r.observeSecrets(ctx, want, snap); err != nil {
		return nil, err
	}
	if snap.Passwords, err = r.passwords(ctx, want); err != nil {
		return nil, err
	}
	return snap, nil
}

// observeSecrets looks for the Secrets that the user named, while the cluster is not bootstrapped: pods cannot start
// without them, and Kubernetes alone would only tell in an event of a pod.
func (r *Reconciler) observeSecrets(ctx context.Context, want *spec.Cluster, snap *plan.Snapshot) error {
	for name, given := range map[string]bool{
		want.SuperuserSecret: want.SuperuserSecretGiven, want.ApplicationSecret: want.ApplicationSecretGiven,
	} {
		if !given || len(snap.Pods) > 0 && allStarted(snap.Pods) {
			continue
		}
		o := &metav1.PartialObjectMetadata{}
		o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		err := r.Live.Get(ctx, types.NamespacedName{Namespace: want.Namespace, Name: name}, o)
		switch {
		case apierrors.IsNotFound(err):
			snap.MissingSecrets = append(snap.MissingSecrets, name)
		case err != nil:
			return fmt.Errorf("read secret %s: %w", name, err)
		}
	}
	return nil
}

func allStarted(pods []corev1.Pod) bool {
	for i := range pods {
		if !started(&pods[i]) {
			return false
		}
	}
	return true
}

// started tells whether the database container of a pod runs.
func started(pod *corev1.Pod) bool {
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == naming.ContainerDatabase && s.State.Running != nil {
			return true
		}
	}
	return false
}

// ask puts the same question to every instance at once, and then, if all serve, lets one coordinator reach for every
// datanode.
func (r *Reconciler) ask(ctx context.Context, want *spec.Cluster, snap *plan.Snapshot) error {
	if len(snap.Findings) > 0 || snap.Held != "" {
		return nil
	}
	via, err := r.transport(ctx, want)
	if err != nil {
		return err
	}
	if via == nil {
		return nil // the first pass makes the certificates
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range snap.Pods {
		pod := &snap.Pods[i]
		if pod.Status.PodIP == "" || !started(pod) || !metav1.IsControlledBy(pod, &metav1.ObjectMeta{UID: types.UID(want.UID)}) {
			continue
		}
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			status, err := r.dial(pod.Status.PodIP, via).Status(ctx)
			fact := plan.Instance{Status: &status}
			if err != nil {
				fact = plan.Instance{Error: err.Error()}
			}
			mu.Lock()
			defer mu.Unlock()
			snap.Instances[pod.Name] = fact
		})
	}
	all.Wait()
	r.reach(ctx, want, snap, via)
	r.empty(ctx, want, snap, via)
	return nil
}

// reach runs a statement through the first coordinator to every other node, once everything serves and has its address.
func (r *Reconciler) reach(ctx context.Context, want *spec.Cluster, snap *plan.Snapshot, via http.RoundTripper) {
	through := ""
	for _, n := range want.Nodes {
		if !n.Counts() {
			continue
		}
		name := naming.Instance(want.Name, n.Name, 1)
		fact := snap.Instances[name]
		if fact.Status == nil || !fact.Status.Serving || !addressed(snap, name) {
			return
		}
		if through == "" && string(n.Role) == "coordinator" && n.State == v1alpha1.MemberActive {
			through = name
		}
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	answer, err := r.dial(address(snap, through), via).Reach(ctx)
	if err != nil {
		answer = instanceapi.Reach{Datanodes: map[string]string{}}
		for _, n := range want.Nodes {
			if n.Role == "datanode" && n.Counts() {
				answer.Datanodes[n.Name] = err.Error()
			}
		}
	}
	snap.Reach = &answer
}

// empty asks gc what is left on datanodes that an operation is about to take out. It comes after every status: the lock
// that the operation holds is looked at again at the next pass.
func (r *Reconciler) empty(ctx context.Context, want *spec.Cluster, snap *plan.Snapshot, via http.RoundTripper) {
	gc := naming.Instance(want.Name, "gc", 1)
	if address(snap, gc) == "" {
		return
	}
	snap.Empty = map[string]instanceapi.Emptiness{}
	for _, name := range operation.Questions(operation.Active(snap.Operations)) {
		ctx, cancel := context.WithTimeout(ctx, reachTimeout)
		answer, err := r.dial(address(snap, gc), via).Empty(ctx, name)
		cancel()
		if err != nil {
			logr.FromContextOrDiscard(ctx).Info("gc does not say what is left", "datanode", name, "cause", err.Error())
			continue
		}
		snap.Empty[name] = answer
	}
}

// addressed tells whether Services and names lead to the pod of an instance.
func addressed(snap *plan.Snapshot, instance string) bool {
	for i := range snap.Pods {
		if snap.Pods[i].Name == instance {
			return plan.PodReady(&snap.Pods[i])
		}
	}
	return false
}

func address(snap *plan.Snapshot, instance string) string {
	for i := range snap.Pods {
		if snap.Pods[i].Name == instance {
			return snap.Pods[i].Status.PodIP
		}
	}
	return ""
}

func (r *Reconciler) dial(ip string, via http.RoundTripper) Instance {
	return r.Dial(net.JoinHostPort(ip, strconv.Itoa(naming.PortInstance)), via)
}
