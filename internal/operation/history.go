// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// lookedAt is how many seconds an operation that has ended is kept at least: whoever watches it sees how it ended.
const lookedAt = 300

// Surplus are the operations that ended before as many others as are kept, the oldest first. Some stay however old they
// are: the last one of the operator's own, by whose number the next one is named and whose failure is not repeated at once,
// and its last eviction; one that stands in the way of what the counts ask for, since without it the counts would decide; and one that is still
// held by its finalizer. seconds is when to look again, since one is not old enough; 0 for never.
func Surplus(all []v1alpha1.AntDBOperation, want *spec.Cluster, members []v1alpha1.MemberStatus, now metav1.Time) (out []*v1alpha1.AntDBOperation, seconds int64) {
	var over []*v1alpha1.AntDBOperation
	for i := range all {
		if op := &all[i]; Ended(op) && op.DeletionTimestamp == nil {
			over = append(over, op)
		}
	}
	if len(over) <= want.OperationHistory {
		return nil, 0
	}
	slices.SortStableFunc(over, func(a, b *v1alpha1.AntDBOperation) int {
		if x, y := ended(a), ended(b); !x.Equal(&y) {
			return x.Compare(y.Time)
		}
		return strings.Compare(a.Name, b.Name)
	})
	asked, last, evicted := Wanted(want, members, nil), lastOwn(all, want.Name, anyType), lastOwn(all, want.Name, eviction)
	for _, op := range over[:len(over)-want.OperationHistory] {
		if op == last || op == evicted || len(op.Finalizers) > 0 || stands(op, asked, members) {
			continue
		}
		if left := lookedAt - int64(now.Sub(ended(op).Time).Seconds()); left > 0 {
			if seconds == 0 || left < seconds {
				seconds = left
			}
			continue
		}
		out = append(out, op)
	}
	return out, seconds
}

// ended is when an operation ended; one that was given up with its cluster does not say it.
func ended(op *v1alpha1.AntDBOperation) metav1.Time {
	if op.Status.EndedAt != nil {
		return *op.Status.EndedAt
	}
	return op.CreationTimestamp
}
