// SPDX-License-Identifier: Apache-2.0

// Package kube is the only place that writes Kubernetes objects: server-side apply with one field owner, and only of
// objects that are not as wanted already.
package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Writer applies objects. Reader is asked what exists; it may be a cache.
type Writer struct {
	Reader client.Reader
	Client client.Writer
	Scheme *runtime.Scheme
}

// Apply makes the object as wanted, and tells whether that took a write. The object's annotations get a hash of what
// was applied, so that fields that are not wanted any more are noticed too.
func (w *Writer) Apply(ctx context.Context, want runtime.ApplyConfiguration) (wrote bool, err error) {
	u, err := unstructuredOf(want)
	if err != nil {
		return false, err
	}
	name := fmt.Sprintf("%s %s/%s", u.GetKind(), u.GetNamespace(), u.GetName())
	stamp(u)
	have, err := w.typed(u)
	if err != nil {
		return false, fmt.Errorf("apply %s: %w", name, err)
	}
	switch err := w.Reader.Get(ctx, client.ObjectKeyFromObject(u), have); {
	case apierrors.IsNotFound(err):
	case err != nil:
		return false, fmt.Errorf("read %s: %w", name, err)
	default:
		as, err := asWanted(u, have)
		if err != nil {
			return false, fmt.Errorf("compare %s: %w", name, err)
		}
		if as {
			return false, nil
		}
	}
	if have.GetAnnotations()[naming.AnnotationApplied] == u.GetAnnotations()[naming.AnnotationApplied] {
		// This very object was applied before, so somebody else changed it since. Server-side apply cannot take away
		// what others put into a list, such as one more port; a merge patch replaces lists whole.
		text, err := u.MarshalJSON()
		if err != nil {
			return false, fmt.Errorf("repair %s: %w", name, err)
		}
		if err := w.Client.Patch(ctx, have, client.RawPatch(types.MergePatchType, text), client.FieldOwner(naming.Operator)); err != nil {
			return false, fmt.Errorf("repair %s: %w", name, err)
		}
		return true, nil
	}
	if err := w.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(naming.Operator), client.ForceOwnership); err != nil {
		return false, fmt.Errorf("apply %s: %w", name, err)
	}
	return true, nil
}

// typed is an empty object of the same kind, typed so that the manager's cache of that kind is used.
func (w *Writer) typed(u *unstructured.Unstructured) (client.Object, error) {
	o, err := w.Scheme.New(u.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	typed, ok := o.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is not an object", o)
	}
	return typed, nil
}

func unstructuredOf(want any) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(want)
	if err != nil {
		return nil, fmt.Errorf("read apply configuration: %w", err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("read apply configuration: %w", err)
	}
	return u, nil
}

// stamp writes the hash of the object into its annotations.
func stamp(u *unstructured.Unstructured) {
	text, err := u.MarshalJSON()
	if err != nil { // it was JSON a moment ago
		panic(err)
	}
	sum := sha256.Sum256(text)
	a := u.GetAnnotations()
	if a == nil {
		a = map[string]string{}
	}
	a[naming.AnnotationApplied] = hex.EncodeToString(sum[:6])
	u.SetAnnotations(a)
}

func asWanted(want *unstructured.Unstructured, have client.Object) (bool, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(have)
	if err != nil {
		return false, err
	}
	w := want.DeepCopy().Object
	delete(w, "kind") // a typed object from a cache carries neither
	delete(w, "apiVersion")
	return covers(m, w), nil
}

// covers tells whether have holds everything that want holds. Lists must have as many items, each covering its
// counterpart; quantities are compared by value.
func covers(have, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return len(w) == 0 && have == nil
		}
		for k, v := range w {
			if !covers(h[k], v) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok {
			return len(w) == 0 && have == nil
		}
		if len(h) != len(w) {
			return false
		}
		for i := range w {
			if !covers(h[i], w[i]) {
				return false
			}
		}
		return true
	default:
		return equality.Semantic.DeepEqual(have, want) || sameQuantity(have, want)
	}
}

func sameQuantity(have, want any) bool {
	h, ok := have.(string)
	if !ok {
		return false
	}
	w, ok := want.(string)
	if !ok {
		return false
	}
	a, errA := resource.ParseQuantity(h)
	b, errB := resource.ParseQuantity(w)
	return errA == nil && errB == nil && a.Cmp(b) == 0
}
