// SPDX-License-Identifier: Apache-2.0

// Package cluster is the shell around the plan of an AntDBCluster: it observes, lets internal/spec and internal/plan
// decide, performs what they say, and reports. It takes no decision of its own.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/kube"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/plan"
	"github.com/antdb-operator/antdb-operator/internal/render"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// Reconciler brings one AntDBCluster after the other to what its spec says.
type Reconciler struct {
	// Client reads from the manager's cache and writes to the API server; Live reads past the cache.
	Client client.Client
	Live   client.Reader
	Writer *kube.Writer
	Events events.EventRecorder
	// Operator is what pods and policies must know of the operator.
	Operator render.Operator
	// Dial gives a client for the instance manager of a pod.
	Dial Dialer
	// Certificates are the operator's own, for its calls to instances.
	Certificates Certificates
	// Verifiers are those of the passwords of managed roles.
	Verifiers Verifiers
	// Metrics count what was done. Now is the clock.
	Metrics *Metrics
	Now     func() time.Time
}

// retry is when to look again at something that sends no event of its own. A name that was published just now is known
// everywhere soon.
const (
	retry     = 2 * time.Second
	soon      = 300 * time.Millisecond
	published = 5 * time.Second
)

// +kubebuilder:rbac:groups=antdb.io,resources=antdbclusters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=antdb.io,resources=antdbclusters/finalizers,verbs=update

// Reconcile is the same five lines for every kind: observe, resolve, plan, perform, report. What needs no answer of an
// instance is done before any is asked.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	cluster, operations, err := r.read(ctx, req.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if cluster == nil || cluster.DeletionTimestamp != nil {
		r.Metrics.forget(req.NamespacedName)
		r.Verifiers.keep(req.NamespacedName, nil)
		return ctrl.Result{}, r.abandon(ctx, operations) // owner references do the rest
	}
	want := spec.Resolve(cluster)
	operation.Arrange(&want, operation.Active(operations))
	snap, err := r.observe(ctx, cluster, &want)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("observe: %w", err)
	}
	snap.Operations = operations
	failure := r.applyObjects(ctx, &want, snap)
	if err := r.ask(ctx, &want, snap); err != nil {
		return ctrl.Result{}, errors.Join(failure, fmt.Errorf("ask instances: %w", err))
	}
	p := plan.Cluster(&want, snap, r.Operator, metav1.NewTime(r.Now()))
	r.Metrics.looked(req.NamespacedName, operations, &p)
	again, err := r.perform(ctx, &want, &p)
	failure = errors.Join(failure, err)
	if err := r.report(ctx, cluster, &p); err != nil {
		failure = errors.Join(failure, err)
	} else { // members are written before the journal that speaks of them
		failure = errors.Join(failure, r.journal(ctx, operations, &p))
	}
	if failure != nil {
		if apierrors.HasStatusCause(failure, corev1.NamespaceTerminatingCause) {
			return ctrl.Result{}, nil // the namespace goes, and the cluster with it
		}
		if apierrors.IsConflict(failure) { // the cache was behind; what changed wakes us
			logr.FromContextOrDiscard(ctx).V(1).Info("the cluster changed meanwhile", "cause", failure.Error())
			return ctrl.Result{RequeueAfter: retry}, nil
		}
		if operation.Active(operations) != nil { // what it holds is a lease: no longer and longer pauses
			logr.FromContextOrDiscard(ctx).Error(failure, "something failed while an operation runs")
			return ctrl.Result{RequeueAfter: retry}, nil
		}
		return ctrl.Result{}, failure
	}
	switch {
	case p.Again != 0:
		return ctrl.Result{RequeueAfter: time.Duration(p.Again) * time.Second}, nil
	case again || snap.Held != "":
		return ctrl.Result{RequeueAfter: retry}, nil
	}
	return ctrl.Result{RequeueAfter: askAgain(snap, r.Now())}, nil
}

// askAgain is when to repeat questions to running instances that got no answer, or no good one: nothing will wake us when
// they would. It is 0 if all were answered.
func askAgain(s *plan.Snapshot, now time.Time) time.Duration {
	for _, i := range s.Instances {
		if i.Status == nil && i.Error != "" {
			return retry
		}
	}
	if s.Reach == nil {
		return 0
	}
	lost := s.Reach.Lost()
	if len(lost) == 0 {
		return 0
	}
	for i := range s.Pods {
		since, ready := plan.PodReadySince(&s.Pods[i])
		if ready && lost[s.Pods[i].Labels[naming.LabelNode]] != "" && now.Sub(since.Time) < published {
			return soon
		}
	}
	return retry
}

// +kubebuilder:rbac:groups=antdb.io,resources=antdbclusters/status,verbs=get;patch;update
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch

// report writes the status if it differs, and tells the events after that. What was not carried out is told only if the
// status was written, so that a conflict tells nothing twice.
func (r *Reconciler) report(ctx context.Context, cluster *v1alpha1.AntDBCluster, p *plan.Plan) error {
	wrote, err := kube.PatchStatus(ctx, r.Client, cluster, func(c *v1alpha1.AntDBCluster) { c.Status = p.Status })
	if wrote && err == nil {
		r.Metrics.Writes.WithLabelValues("status").Inc()
	}
	for _, e := range p.Events {
		if err != nil && !e.Done {
			continue
		}
		kind := "Normal"
		if e.Warning {
			kind = "Warning"
		}
		// Kubernetes folds events that differ only in their note into one and drops the later notes: the action names
		// what the event is about.
		r.Events.Eventf(cluster, nil, kind, e.Reason, upTo(mostAction, e.Message), "%s", upTo(mostNote, e.Message))
		logr.FromContextOrDiscard(ctx).Info(e.Message, "event", e.Reason)
	}
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// How long the action and the note of an event may be.
const (
	mostAction = 128
	mostNote   = 1024
)

// upTo is the beginning of a message that is longer than allowed.
func upTo(most int, message string) string {
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most-len("…")], "") + "…"
}
