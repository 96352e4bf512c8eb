// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/plan"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// actTimeout bounds one order to an instance. Long work is only begun by an order; its end is reported.
const actTimeout = 20 * time.Second

// inParallel bounds writes and orders under way at once for one cluster.
const inParallel = 16

// +kubebuilder:rbac:groups="",resources=pods,verbs=create;delete;patch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims;services;serviceaccounts;configmaps,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=serviceaccounts;configmaps,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims;services,verbs=delete
// +kubebuilder:rbac:groups="",resources=pods/status,verbs=patch
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=roles;rolebindings,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch

// perform carries out the actions of a plan, all at once. What does not depend on a failure is done all the same; errors
// are joined. again asks for another look.
func (r *Reconciler) perform(ctx context.Context, want *spec.Cluster, p *plan.Plan) (again bool, err error) {
	var mu sync.Mutex
	failures := each(p.Actions, func(a plan.Action) error {
		logr.FromContextOrDiscard(ctx).Info("acting", "action", a.String())
		err := r.act(ctx, want, a)
		r.Metrics.acted(a, err)
		if errors.Is(err, instanceapi.ErrNotYet) {
			mu.Lock()
			again = true
			mu.Unlock()
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
		return nil
	})
	return again, failures
}

// applyObjects makes objects as wanted: first what others build on, then claims, then pods. A claim that is refused
// holds up no other node's pod. Nothing is touched while the spec breaks a rule.
func (r *Reconciler) applyObjects(ctx context.Context, want *spec.Cluster, snap *plan.Snapshot) error {
	first, claims, then := plan.Objects(want, snap, r.Operator)
	if err := r.apply(ctx, first); err != nil {
		return err
	}
	return errors.Join(r.apply(ctx, claims), r.apply(ctx, then))
}

// apply makes objects as wanted, all at once.
func (r *Reconciler) apply(ctx context.Context, objects []runtime.ApplyConfiguration) error {
	return each(objects, func(o runtime.ApplyConfiguration) error {
		wrote, err := r.Writer.Apply(ctx, o)
		if wrote {
			r.Metrics.Writes.WithLabelValues("object").Inc()
		}
		return err
	})
}

// each runs f on all items, some at a time, and joins the errors.
func each[T any](items []T, f func(T) error) error {
	failures := make([]error, len(items))
	places := make(chan struct{}, inParallel)
	var all sync.WaitGroup
	for i, item := range items {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			failures[i] = f(item)
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

func (r *Reconciler) act(ctx context.Context, want *spec.Cluster, a plan.Action) error {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	switch a := a.(type) {
	case plan.DeletePod:
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: want.Namespace, Name: a.Pod}}
		uid := types.UID(a.UID)
		return client.IgnoreNotFound(r.Client.Delete(ctx, pod, client.Preconditions{UID: &uid}))
	case plan.NudgePod:
		pod := corev1ac.Pod(a.Pod, want.Namespace).WithUID(types.UID(a.UID)).
			WithAnnotations(map[string]string{naming.AnnotationNudge: a.Version})
		return r.Client.Apply(ctx, pod, client.FieldOwner(naming.Operator+"-nudge"), client.ForceOwnership)
	case plan.PutTopology:
		return r.order(ctx, want, a.Instance, func(i Instance) error { _, err := i.PutTopology(ctx, a.Topology); return err })
	case plan.PutConfig:
		return r.order(ctx, want, a.Instance, func(i Instance) error { _, err := i.PutConfig(ctx, a.Config); return err })
	case plan.RestartServer:
		return r.order(ctx, want, a.Instance, func(i Instance) error { return i.Restart(ctx, a.Restart) })
	case plan.ReloadServer:
		return r.order(ctx, want, a.Instance, func(i Instance) error { return i.Reload(ctx, a.Reload) })
	case plan.StartBootstrap:
		return r.order(ctx, want, a.Instance, func(i Instance) error { return i.Bootstrap(ctx, a.Bootstrap) })
	case plan.ApplyCredentials:
		return r.order(ctx, want, a.Instance, func(i Instance) error { return i.ApplyCredentials(ctx) })
	case plan.PutRoles:
		return r.order(ctx, want, a.Instance, func(i Instance) error { _, err := i.PutRoles(ctx, a.Roles); return err })
	case plan.ForgetRequest:
		return r.forget(ctx, want, a)
	case plan.EscapeGTMWait:
		return r.order(ctx, want, a.Instance, func(i Instance) error { return i.Escape(ctx, a.Escape) })
	case plan.Instruct:
		return r.order(ctx, want, a.Instance, func(i Instance) error { return instruct(ctx, i, a.Order) })
	default:
		return r.actOnObject(ctx, want, a)
	}
}

// forget removes an annotation, unless somebody asks for something else by now.
func (r *Reconciler) forget(ctx context.Context, want *spec.Cluster, a plan.ForgetRequest) error {
	cluster := &v1alpha1.AntDBCluster{}
	if err := r.Live.Get(ctx, types.NamespacedName{Namespace: want.Namespace, Name: want.Name}, cluster); err != nil {
		return client.IgnoreNotFound(err)
	}
	value, given := cluster.Annotations[a.Annotation]
	if !given || a.Value != "" && value != a.Value {
		return nil
	}
	before := cluster.DeepCopy()
	delete(cluster.Annotations, a.Annotation)
	return r.Client.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// order calls the instance manager of a pod.
func (r *Reconciler) order(ctx context.Context, want *spec.Cluster, instance string, call func(Instance) error) error {
	pod := &corev1.Pod{}
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: want.Namespace, Name: instance}, pod); err != nil {
		return fmt.Errorf("read pod: %w", err)
	}
	via, err := r.transport(ctx, want)
	if err != nil {
		return err
	}
	if via == nil || pod.Status.PodIP == "" {
		return fmt.Errorf("%w: pod %s has no address", instanceapi.ErrNotYet, instance)
	}
	return call(r.dial(pod.Status.PodIP, via))
}
