// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/antdb-operator/antdb-operator/internal/controller/cluster"
)

func TestAClusterInMotionIsSeenByFewerPasses(t *testing.T) {
	var failure error
	passes, clock := 0, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := &cluster.Pacer{
		Next: reconcile.Func(func(context.Context, ctrl.Request) (ctrl.Result, error) {
			passes++
			return ctrl.Result{}, failure
		}),
		Now: func() time.Time { return clock },
	}
	for _, step := range []struct {
		what    string
		cluster string
		after   time.Duration
		failure error
		passes  int
		later   time.Duration
	}{
		{what: "the first change is seen at once", cluster: "a", passes: 1},
		{what: "one that follows waits", cluster: "a", after: 50 * time.Millisecond, passes: 1, later: 150 * time.Millisecond},
		{what: "another cluster does not", cluster: "b", passes: 2},
		{what: "at the end of the gap one pass sees all", cluster: "a", after: 150 * time.Millisecond, passes: 3},
		{what: "a change after a quiet moment is seen at once", cluster: "a", after: time.Second, failure: errors.New("no"), passes: 4},
		{what: "a failure is tried again when the queue says so", cluster: "a", passes: 5},
	} {
		clock, failure = clock.Add(step.after), step.failure
		result, err := p.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: step.cluster}})
		if passes != step.passes || result.RequeueAfter != step.later || !errors.Is(err, step.failure) {
			t.Errorf("%s: %d passes, again in %s, error %v", step.what, passes, result.RequeueAfter, err)
		}
	}
}
