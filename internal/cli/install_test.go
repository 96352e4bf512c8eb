// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

var crdKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// bare is a Kubernetes without the operator, whose controllers obey at once: CRDs are established, Deployments run.
func bare(t *testing.T, objects ...client.Object) *desk {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, rbacv1.AddToScheme, admissionv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	s.AddKnownTypeWithName(crdKind, &unstructured.Unstructured{})
	s.AddKnownTypeWithName(crdKind.GroupVersion().WithKind("CustomResourceDefinitionList"), &unstructured.UnstructuredList{})
	world := fake.NewClientBuilder().WithScheme(s).WithObjects(objects...).WithTypeConverters(managedfields.NewDeducedTypeConverter()).WithReturnManagedFields().Build()
	d := sit(t)
	d.world = interceptor.NewClient(world, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			if err := c.Apply(ctx, o, options...); err != nil {
				return err
			}
			return d.obey(ctx, c, o)
		},
	})
	return d
}

// obey does what the controllers of Kubernetes do with what was applied.
func (d *desk) obey(ctx context.Context, c client.Client, o runtime.ApplyConfiguration) error {
	named, ok := o.(interface {
		GetName() string
		GetNamespace() string
		GetKind() string
	})
	if !ok {
		return nil
	}
	key := client.ObjectKey{Namespace: named.GetNamespace(), Name: named.GetName()}
	switch named.GetKind() {
	case "CustomResourceDefinition":
		crd := &unstructured.Unstructured{}
		crd.SetGroupVersionKind(crdKind)
		if err := c.Get(ctx, key, crd); err != nil {
			return err
		}
		crd.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": "True"}}}
		return c.Status().Update(ctx, crd)
	case "Deployment":
		if d.stuck {
			return nil
		}
		deployment := &appsv1.Deployment{}
		if err := c.Get(ctx, key, deployment); err != nil {
			return err
		}
		deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: deployment.Generation, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}
		return c.Status().Update(ctx, deployment)
	}
	return nil
}

func TestInstallAppliesEverythingAndWaitsUntilTheOperatorServes(t *testing.T) {
	d := bare(t)
	d.want(0, []string{
		"CustomResourceDefinition antdbclusters.antdb.io applied", "ValidatingAdmissionPolicy antdb-clusters applied", "Deployment antdb-operator applied",
		"the operator serves after 0ms", "kubectl antdb create demo",
	}, "install", "--image", "registry.example/operator:1")
	deployment := &appsv1.Deployment{}
	if err := d.world.Get(t.Context(), client.ObjectKey{Namespace: "antdb-system", Name: naming.Operator}, deployment); err != nil {
		t.Fatal(err)
	}
	if got := deployment.Spec.Template.Spec.Containers[0].Image; got != "registry.example/operator:1" || deployment.ManagedFields[0].Manager != "kubectl-antdb" {
		t.Errorf("image %s, managed by %s", got, deployment.ManagedFields[0].Manager)
	}
	d.want(0, []string{"Deployment antdb-operator applied"}, "install", "--image", "registry.example/operator:2")
	d.want(1, []string{"--image is needed"}, "install")
}

func TestInstallTellsWhyTheOperatorDoesNotServe(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "antdb-operator-x", Labels: map[string]string{naming.LabelName: naming.Operator}}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}}}}
	d := bare(t, p)
	d.stuck = true
	d.want(1, []string{"waited 300ms for the operator to serve: 0 of 1 replicas are available", "pod antdb-operator-x: ErrImagePull: not found"},
		"install", "--image", "x", "-n", "elsewhere", "--timeout", "300ms")
	d.want(0, []string{"Deployment antdb-operator applied"}, "install", "--image", "x", "--wait=false")
}

func TestInstallDryRunPrintsTheObjects(t *testing.T) {
	d := bare(t)
	d.want(0, []string{"image: registry.example/operator:1", "namespace: elsewhere"}, "install", "--image", "registry.example/operator:1", "--dry-run", "-n", "elsewhere")
	if n := strings.Count(d.out.text(), "\n---\n"); n < 8 || d.reads > 0 {
		t.Errorf("%d objects, %d requests", n+1, d.reads)
	}
}

func TestUninstallRemovesCRDsOnlyIfThereIsNoClusterOrItIsSaidTwice(t *testing.T) {
	d := bare(t, demo())
	d.want(0, nil, "install", "--image", "x")
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(crdKind)
	there := func(name string) bool {
		err := d.world.Get(t.Context(), client.ObjectKey{Name: name}, crd)
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		return err == nil
	}
	d.want(1, []string{"removing the CRDs would delete 1 cluster with their data: prod/demo", "--delete-clusters"}, "uninstall", "--with-crds", "--yes")
	d.want(1, []string{"nobody can be asked"}, "uninstall")
	d.want(1, []string{"only for --with-crds"}, "uninstall", "--delete-clusters")
	d.want(0, []string{"will run on without anybody", "Deployment antdb-operator will be deleted"}, "uninstall", "--dry-run")
	deployment := &appsv1.Deployment{}
	if err := d.world.Get(t.Context(), client.ObjectKey{Namespace: "antdb-system", Name: naming.Operator}, deployment); err != nil {
		t.Errorf("a dry run removes: %v", err)
	}
	d.want(0, []string{"1 cluster will run on without anybody who looks after them: prod/demo", "Deployment antdb-operator deleted", "Namespace antdb-system deleted"}, "uninstall", "--yes")
	if !there("antdbclusters.antdb.io") {
		t.Error("the CRD is gone")
	}
	d.want(0, []string{"cluster prod/demo is being deleted", "CustomResourceDefinition antdbclusters.antdb.io deleted"}, "uninstall", "--with-crds", "--delete-clusters", "--yes")
	if there("antdbclusters.antdb.io") {
		t.Error("the CRD is there")
	}
}
