// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// PatchStatus changes the status of an object, and tells whether that took a write. An object that has changed since
// it was read gives a conflict.
func PatchStatus[T client.Object](ctx context.Context, c client.Client, o T, change func(T)) (bool, error) {
	next, ok := o.DeepCopyObject().(T)
	if !ok { // a deep copy has the type of its original
		panic("deep copy changed the type")
	}
	change(next)
	if equality.Semantic.DeepEqual(o, next) {
		return false, nil
	}
	return true, c.Status().Patch(ctx, next, client.MergeFromWithOptions(o, client.MergeFromWithOptimisticLock{}))
}
