// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// tracker holds all objects. Only of kinds that are applied does it note which field is whose: that takes most of the time
// of a write, and our own kinds are never applied.
type tracker struct {
	testing.ObjectTracker // of kinds that are applied

	own testing.ObjectTracker
}

func newTracker(scheme *runtime.Scheme) *tracker {
	decoder := serializer.NewCodecFactory(scheme).UniversalDecoder()
	return &tracker{
		ObjectTracker: testing.NewFieldManagedObjectTracker(scheme, decoder, withoutEmptyStatus{schemas()}),
		own:           testing.NewObjectTracker(scheme, decoder),
	}
}

func (t *tracker) of(gvr schema.GroupVersionResource) testing.ObjectTracker {
	if gvr.Group == v1alpha1.GroupVersion.Group {
		return t.own
	}
	return t.ObjectTracker
}

// Get implements testing.ObjectTracker, as what follows does.
func (t *tracker) Get(gvr schema.GroupVersionResource, ns, name string, o ...metav1.GetOptions) (runtime.Object, error) {
	return t.of(gvr).Get(gvr, ns, name, o...)
}

// Create makes an object.
func (t *tracker) Create(gvr schema.GroupVersionResource, obj runtime.Object, ns string, o ...metav1.CreateOptions) error {
	return t.of(gvr).Create(gvr, obj, ns, o...)
}

// Update replaces an object.
func (t *tracker) Update(gvr schema.GroupVersionResource, obj runtime.Object, ns string, o ...metav1.UpdateOptions) error {
	return t.of(gvr).Update(gvr, obj, ns, o...)
}

// Patch replaces an object by one that was patched.
func (t *tracker) Patch(gvr schema.GroupVersionResource, obj runtime.Object, ns string, o ...metav1.PatchOptions) error {
	return t.of(gvr).Patch(gvr, obj, ns, o...)
}

// List returns all objects of a kind.
func (t *tracker) List(gvr schema.GroupVersionResource, gvk schema.GroupVersionKind, ns string, o ...metav1.ListOptions) (runtime.Object, error) {
	return t.of(gvr).List(gvr, gvk, ns, o...)
}

// Delete removes an object.
func (t *tracker) Delete(gvr schema.GroupVersionResource, ns, name string, o ...metav1.DeleteOptions) error {
	return t.of(gvr).Delete(gvr, ns, name, o...)
}

// Watch tells of changes of a kind.
func (t *tracker) Watch(gvr schema.GroupVersionResource, ns string, o ...metav1.ListOptions) (watch.Interface, error) {
	return t.of(gvr).Watch(gvr, ns, o...)
}

// copyTo puts all objects into another tracker, with the owners of their fields.
func (t *tracker) copyTo(other *tracker, scheme *runtime.Scheme) {
	for gvk := range scheme.AllKnownTypes() {
		o, err := scheme.New(gvk)
		if _, object := o.(client.Object); err != nil || !object || !scheme.Recognizes(gvk.GroupVersion().WithKind(gvk.Kind+"List")) {
			continue
		}
		gvr, _ := meta.UnsafeGuessKindToResource(gvk)
		list, err := t.List(gvr, gvk, "")
		if err == nil {
			err = meta.EachListItem(list, func(o runtime.Object) error { return other.of(gvr).Add(o.DeepCopyObject()) })
		}
		if err != nil {
			panic(err) // what one tracker held, another one takes
		}
	}
}

// schemas are read once: they are large.
var schemas = sync.OnceValue(func() managedfields.TypeConverter {
	return applyconfigurations.NewTypeConverter(clientgoscheme.Scheme)
})

// withoutEmptyStatus mends what the fake client hands to the converter: an empty status, even of kinds without one.
type withoutEmptyStatus struct{ managedfields.TypeConverter }

func (w withoutEmptyStatus) ObjectToTyped(o runtime.Object, options ...typed.ValidationOptions) (*typed.TypedValue, error) {
	if u, ok := o.(*unstructured.Unstructured); ok && u.Object["status"] == nil {
		delete(u.Object, "status")
	}
	return w.TypeConverter.ObjectToTyped(o, options...)
}
