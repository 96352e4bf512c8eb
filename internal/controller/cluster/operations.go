// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/kube"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/plan"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// +kubebuilder:rbac:groups=antdb.io,resources=antdboperations,verbs=get;list;watch;create;patch;update;delete
// +kubebuilder:rbac:groups=antdb.io,resources=antdboperations/status,verbs=get;patch;update
// +kubebuilder:rbac:groups=antdb.io,resources=antdboperations/finalizers,verbs=update

// read reads a cluster and its operations; a cluster that is gone is nil. While nodes come or go, both are read past the
// cache: the members and the journal say what is done next, and one that is a moment old would do it twice.
func (r *Reconciler) read(ctx context.Context, key types.NamespacedName) (*v1alpha1.AntDBCluster, []v1alpha1.AntDBOperation, error) {
	cluster, operations, err := r.readFrom(ctx, r.Client, key)
	if err != nil || cluster == nil {
		return nil, operations, err
	}
	if len(cluster.Status.Members) == 0 && cluster.DeletionTimestamp == nil && !cluster.Spec.Paused {
		if err := r.adopt(ctx, cluster); err != nil {
			return nil, nil, err
		}
	}
	if calm(cluster, operations) {
		return cluster, operations, nil
	}
	return r.readFrom(ctx, r.Live, key)
}

func (r *Reconciler) readFrom(ctx context.Context, from client.Reader, key types.NamespacedName) (*v1alpha1.AntDBCluster, []v1alpha1.AntDBOperation, error) {
	all := &v1alpha1.AntDBOperationList{}
	if err := from.List(ctx, all, client.InNamespace(key.Namespace)); err != nil {
		return nil, nil, fmt.Errorf("list operations: %w", err)
	}
	ours := slices.DeleteFunc(all.Items, func(o v1alpha1.AntDBOperation) bool { return o.Spec.Cluster != key.Name })
	cluster := &v1alpha1.AntDBCluster{}
	if err := from.Get(ctx, key, cluster); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, ours, nil
		}
		return nil, nil, fmt.Errorf("read cluster: %w", err)
	}
	return cluster, ours, nil
}

// calm tells whether no node comes or goes, and no operation wants anything.
func calm(c *v1alpha1.AntDBCluster, operations []v1alpha1.AntDBOperation) bool {
	for i := range operations {
		if !operation.Ended(&operations[i]) || len(operations[i].Finalizers) > 0 {
			return false
		}
	}
	counts := map[antdb.Role]int32{}
	for _, m := range c.Status.Members {
		role, _, err := antdb.ParseNodeName(m.Name)
		if err != nil || m.State != v1alpha1.MemberActive {
			return false
		}
		counts[role]++
	}
	return counts[antdb.RoleCoordinator] == c.Spec.Coordinators.Count && counts[antdb.RoleDatanode] == c.Spec.Datanodes.Count
}

// adopt writes down the first members of a cluster before anything is made for them.
func (r *Reconciler) adopt(ctx context.Context, cluster *v1alpha1.AntDBCluster) error {
	if len(spec.Check(cluster)) > 0 {
		return nil
	}
	claims := &corev1.PersistentVolumeClaimList{}
	mine := client.MatchingLabels{naming.LabelCluster: cluster.Name}
	if err := r.Live.List(ctx, claims, client.InNamespace(cluster.Namespace), mine); err != nil {
		return fmt.Errorf("list volume claims: %w", err)
	}
	next := cluster.DeepCopy()
	next.Status.Members = spec.Members(cluster, claims.Items)
	// Only the members: what else the status holds is written at the end of the pass.
	if err := r.Client.Status().Patch(ctx, next, client.MergeFromWithOptions(cluster, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("write members: %w", err)
	}
	r.Metrics.Writes.WithLabelValues("status").Inc()
	next.DeepCopyInto(cluster)
	return nil
}

// abandon lets go the operations of a cluster that is gone or about to go, and says so.
func (r *Reconciler) abandon(ctx context.Context, operations []v1alpha1.AntDBOperation) error {
	return each(operations, func(op v1alpha1.AntDBOperation) error {
		if !operation.Ended(&op) {
			message := "cluster " + op.Spec.Cluster + " does not exist"
			phase := v1alpha1.OperationPending
			if op.Status.StartedAt != nil {
				phase, message = v1alpha1.OperationCancelled, "cluster "+op.Spec.Cluster+" is gone"
			}
			_, err := kube.PatchStatus(ctx, r.Client, &op, func(o *v1alpha1.AntDBOperation) { o.Status.Phase, o.Status.Message = phase, message })
			if err != nil {
				return client.IgnoreNotFound(err)
			}
		}
		if !slices.Contains(op.Finalizers, v1alpha1.FinalizerOperation) {
			return nil
		}
		return r.finalizer(ctx, op.Namespace, op.Name, controllerutil.RemoveFinalizer)
	})
}

// journal writes the statuses of operations that differ.
func (r *Reconciler) journal(ctx context.Context, operations []v1alpha1.AntDBOperation, p *plan.Plan) error {
	var failures error
	for i := range operations {
		op := &operations[i]
		status, speaks := p.Operations[op.Name]
		if !speaks {
			continue
		}
		wrote, err := kube.PatchStatus(ctx, r.Client, op, func(o *v1alpha1.AntDBOperation) { o.Status = status })
		if err != nil {
			failures = errors.Join(failures, fmt.Errorf("write status of operation %s: %w", op.Name, err))
			continue
		}
		if wrote {
			r.Metrics.Writes.WithLabelValues("operation").Inc()
			r.Metrics.journaled(op.Spec.Type, &op.Status, &status)
		}
		if wrote && op.Status.Phase != status.Phase {
			logr.FromContextOrDiscard(ctx).Info("operation", "name", op.Name, "phase", status.Phase, "message", status.Message)
		}
	}
	return failures
}

// instruct gives an instance an order of an operation. What it answers is read with its next status.
func instruct(ctx context.Context, i Instance, o operation.Order) error {
	var err error
	switch o := o.(type) {
	case operation.Lock:
		_, err = i.Lock(ctx, o.Lock)
	case operation.Join:
		err = i.Join(ctx, o.Join)
	case operation.Drain:
		_, err = i.Drain(ctx, o.Drain)
	case operation.Move:
		err = i.Move(ctx, o.Move)
	case operation.Feed:
		_, err = i.Feed(ctx, o.Feed)
	case operation.Split:
		err = i.Split(ctx, o.Split)
	case operation.Clean:
		err = i.Clean(ctx, o.Clean)
	default:
		err = fmt.Errorf("no way to order %T", o)
	}
	return err
}

// actOnObject carries out actions on objects that belong to operations and to nodes that are no more.
func (r *Reconciler) actOnObject(ctx context.Context, want *spec.Cluster, a plan.Action) error {
	in := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: want.Namespace, Name: name} }
	switch a := a.(type) {
	case plan.CreateOperation:
		return client.IgnoreAlreadyExists(r.Client.Create(ctx, a.Operation.DeepCopy(), client.FieldOwner(naming.Operator)))
	case plan.CancelOperation:
		op := &v1alpha1.AntDBOperation{ObjectMeta: in(a.Name)}
		return r.Client.Patch(ctx, op, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancel":true}}`)))
	case plan.HoldOperation:
		return r.finalizer(ctx, want.Namespace, a.Name, controllerutil.AddFinalizer)
	case plan.ReleaseOperation:
		return r.finalizer(ctx, want.Namespace, a.Name, controllerutil.RemoveFinalizer)
	case plan.DeleteOperation:
		return r.remove(ctx, &v1alpha1.AntDBOperation{ObjectMeta: in(a.Name)}, a.UID)
	case plan.DeleteClaim:
		return r.remove(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: in(a.Claim)}, a.UID)
	case plan.DeleteService:
		return r.remove(ctx, &corev1.Service{ObjectMeta: in(a.Service)}, a.UID)
	case plan.MarkClaim:
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, naming.AnnotationRetainUntil, a.Until)
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: in(a.Claim)}
		return client.IgnoreNotFound(r.Client.Patch(ctx, claim, client.RawPatch(types.MergePatchType, patch)))
	default:
		return fmt.Errorf("no way to carry out %T", a)
	}
}

// remove deletes the very object that was seen.
func (r *Reconciler) remove(ctx context.Context, o client.Object, uid string) error {
	var options []client.DeleteOption
	if u := types.UID(uid); strings.TrimSpace(uid) != "" {
		options = append(options, client.Preconditions{UID: &u})
	}
	return client.IgnoreNotFound(r.Client.Delete(ctx, o, options...))
}

// finalizer adds or removes the finalizer of an operation.
func (r *Reconciler) finalizer(ctx context.Context, namespace, name string, change func(client.Object, string) bool) error {
	op := &v1alpha1.AntDBOperation{}
	if err := r.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, op); err != nil {
		return client.IgnoreNotFound(err)
	}
	before := op.DeepCopy()
	if !change(op, v1alpha1.FinalizerOperation) {
		return nil
	}
	err := r.Client.Patch(ctx, op, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}
