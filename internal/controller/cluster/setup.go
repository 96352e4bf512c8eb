// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// workers are the clusters that are reconciled at once.
const workers = 8

// Setup starts the reconciler with the manager. It is woken by changes of a cluster's spec or annotations and of
// everything that belongs to a cluster; an instance tells its news through an annotation of its pod.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	news := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	return ctrl.NewControllerManagedBy(mgr).
		Named("antdbcluster").
		For(&v1alpha1.AntDBCluster{}, news).
		Owns(&corev1.Pod{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&rbacv1.Role{}).
		Owns(&rbacv1.RoleBinding{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Watches(&v1alpha1.AntDBOperation{}, handler.EnqueueRequestsFromMapFunc(byOperation), news).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(byLabel)).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(byLabel)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(&Pacer{Next: r, Now: r.Now})
}

// byOperation finds the cluster of an operation.
func byOperation(_ context.Context, o client.Object) []reconcile.Request {
	op, ok := o.(*v1alpha1.AntDBOperation)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: op.Namespace, Name: op.Spec.Cluster}}}
}

// byLabel finds the cluster of a volume claim, which has no owner if it is to be kept, or of a Secret, which somebody else
// may have made.
func byLabel(_ context.Context, o client.Object) []reconcile.Request {
	name := o.GetLabels()[naming.LabelCluster]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}}}
}
