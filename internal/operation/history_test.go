// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// past is an operation that ended some minutes ago; one of the operator's own is called demo-opN.
func past(name string, minutes int, phase v1alpha1.OperationPhase) v1alpha1.AntDBOperation {
	end := metav1.NewTime(now.Add(-time.Duration(minutes) * time.Minute))
	op := v1alpha1.AntDBOperation{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.AntDBOperationSpec{Cluster: "demo", Type: v1alpha1.OperationRebalance},
		Status:     v1alpha1.AntDBOperationStatus{Phase: phase, EndedAt: &end},
	}
	if strings.HasPrefix(name, "demo-op") {
		op.Annotations = map[string]string{v1alpha1.AnnotationForGeneration: "1"}
	}
	return op
}

func TestOperationsThatEndedBeforeOthersAreForgotten(t *testing.T) {
	const completed, failed, running = v1alpha1.OperationCompleted, v1alpha1.OperationFailed, v1alpha1.OperationRunning
	held, going, removal := past("held", 90, completed), past("going", 90, completed), past("mine", 90, failed)
	held.Finalizers = []string{v1alpha1.FinalizerOperation}
	going.DeletionTimestamp = &now
	removal.Spec.Type, removal.Spec.Nodes = v1alpha1.OperationRemoveNodes, []string{"cn1"}
	for name, c := range map[string]struct {
		all          []v1alpha1.AntDBOperation
		coordinators int
		want         []string
		again        int64
	}{
		"as many as are kept":          {[]v1alpha1.AntDBOperation{past("a", 90, completed), past("b", 80, failed)}, 2, nil, 0},
		"the oldest go, however named": {[]v1alpha1.AntDBOperation{past("a", 70, completed), past("c", 90, failed), past("d", 60, completed), past("b", 80, completed)}, 2, []string{"c", "b"}, 0},
		"what has not ended does not count": {
			[]v1alpha1.AntDBOperation{past("a", 90, completed), past("b", 80, completed), past("r", 0, running), past("p", 0, "Pending"), past("n", 0, "")}, 2, nil, 0,
		},
		"one that just ended is still looked at": {
			[]v1alpha1.AntDBOperation{past("a", 4, completed), past("b", 3, completed), past("c", 2, completed), past("d", 1, completed)}, 2, nil, 60,
		},
		"the operator's last one stays": {
			[]v1alpha1.AntDBOperation{past("demo-op9", 99, failed), past("demo-op10", 95, failed), past("a", 90, completed), past("b", 80, completed)}, 2, []string{"demo-op9"}, 0,
		},
		"a held one stays until it is let go":             {[]v1alpha1.AntDBOperation{held, past("a", 80, completed), past("b", 70, completed)}, 2, nil, 0},
		"one that is being deleted does not count":        {[]v1alpha1.AntDBOperation{going, past("a", 80, completed), past("b", 70, completed)}, 2, nil, 0},
		"a removal that keeps others from going stays":    {[]v1alpha1.AntDBOperation{removal, past("a", 80, completed), past("b", 70, completed)}, 1, nil, 0},
		"a removal that nobody wants any more is history": {[]v1alpha1.AntDBOperation{removal, past("a", 80, completed), past("b", 70, completed)}, 2, []string{"mine"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			want := &spec.Cluster{Name: "demo", OperationHistory: 2, Wanted: map[antdb.Role]int{antdb.RoleCoordinator: c.coordinators, antdb.RoleDatanode: 2}}
			surplus, again := operation.Surplus(c.all, want, facts("", nil).Members, now)
			var got []string
			for _, op := range surplus {
				got = append(got, op.Name)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("deleted (-want +got):\n%s", d)
			}
			if again != c.again {
				t.Errorf("looks again after %d s, not %d", again, c.again)
			}
		})
	}
}
