// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

func TestAddRaisesTheCount(t *testing.T) {
	d := sit(t, demo())
	d.want(0, []string{"coordinators 2 → 3", "operations -w"}, "node", "add", "coordinator")
	d.want(0, []string{"datanodes 3 → 5"}, "node", "add", "datanodes", "demo", "--count", "2")
	if c, n := d.counts(); c != 3 || n != 5 {
		t.Errorf("counts are %d and %d", c, n)
	}
}

func TestAChangeMadeMeanwhileIsNotLost(t *testing.T) {
	d := sit(t, demo())
	tries := 0
	d.refuse = func(c *v1alpha1.AntDBCluster) error {
		if tries++; tries > 1 {
			return nil
		}
		other := &v1alpha1.AntDBCluster{}
		if err := d.world.Get(t.Context(), client.ObjectKeyFromObject(c), other); err != nil {
			return err
		}
		other.Spec.Datanodes.Count = 6
		return d.world.Update(t.Context(), other)
	}
	d.want(0, []string{"datanodes 6 → 7"}, "node", "add", "datanode")
	if _, n := d.counts(); n != 7 || tries != 2 {
		t.Errorf("count is %d after %d tries", n, tries)
	}
}

func TestAddWaitsForTheOperationThatTheOperatorMakes(t *testing.T) {
	for end, code := range map[v1alpha1.OperationPhase]int{v1alpha1.OperationCompleted: 0, v1alpha1.OperationFailed: 1} {
		d := sit(t, demo(), operation("demo-add-old", v1alpha1.OperationAddNodes, v1alpha1.OperationFailed, "cn9"))
		d.watched = func(n int) {
			if n != 2 { // operations and clusters
				return
			}
			d.make(operation("demo-add-new", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "cn3"))
			d.change("demo-add-new", func(o *v1alpha1.AntDBOperation) {
				o.Status.Phase, o.Status.Message = end, "the reason"
			})
		}
		d.want(code, []string{"demo-add-new AddNodes cn3 in demo", string(end) + ": the reason"}, "node", "add", "coordinator", "--wait")
		if strings.Contains(d.out.text(), "demo-add-old") {
			t.Errorf("an operation that had ended is told of:\n%s", d.out.text())
		}
	}
}

func TestAddEndsWhereTheOperatorNeedsNoOperation(t *testing.T) {
	c := demo()
	c.Spec.Datanodes.Count = 2 // dn3 was leaving and is wanted again
	d := sit(t, c)
	d.want(0, []string{"datanodes 2 → 3"}, "node", "add", "datanode", "--wait")
}

func TestAddTellsWhatTheOperatorRefuses(t *testing.T) {
	c := demo()
	c.Status.Conditions[0] = metav1.Condition{Type: v1alpha1.ConditionReady, Status: "False", Reason: v1alpha1.ReasonInvalidSpec, Message: "spec.datanodes.count: 17 is too many", LastTransitionTime: *ago(0)}
	d := sit(t, c)
	d.want(1, []string{"17 is too many"}, "node", "add", "datanode", "--wait")
}

func TestRemoveMakesTheOperationBeforeTheCountChanges(t *testing.T) {
	d := sit(t, demo())
	var order []string
	d.refuse = func(c *v1alpha1.AntDBCluster) error {
		all := &v1alpha1.AntDBOperationList{}
		if err := d.world.List(t.Context(), all); err != nil {
			return err
		}
		order = append(order, strings.Repeat("operation ", len(all.Items))+"patch")
		return nil
	}
	d.want(0, []string{"cn1 of cluster demo", "may finish for 10m00s", "demo-cn1-1 (10Gi)", "24 hours", "demo-remove-00001"},
		"node", "remove", "cn1", "--drain-timeout", "10m", "--yes")
	if got := strings.Join(order, ", "); got != "patch, operation patch" { // the first is a dry run
		t.Errorf("the order is %q", got)
	}
	o := d.operation("demo-remove-00001")
	if o.Spec.Type != v1alpha1.OperationRemoveNodes || o.Spec.Cluster != "demo" || len(o.Spec.Nodes) != 1 || o.Spec.DrainTimeout.Duration != 10*time.Minute {
		t.Errorf("the operation is %+v", o.Spec)
	}
	if len(o.OwnerReferences) != 1 || o.OwnerReferences[0].Name != "demo" || o.OwnerReferences[0].Controller != nil {
		t.Errorf("its owners are %+v", o.OwnerReferences)
	}
	if c, n := d.counts(); c != 1 || n != 3 {
		t.Errorf("counts are %d and %d", c, n)
	}
}

func TestARefusedCountMakesNoOperation(t *testing.T) {
	d := sit(t, demo())
	d.refuse = func(*v1alpha1.AntDBCluster) error {
		return apierrors.NewInvalid(schema.GroupKind{Group: "antdb.io", Kind: "AntDBCluster"}, "demo", nil)
	}
	d.want(1, []string{"is invalid"}, "node", "remove", "dn2", "--yes")
	all := &v1alpha1.AntDBOperationList{}
	if err := d.world.List(t.Context(), all); err != nil || len(all.Items) > 0 {
		t.Errorf("there are operations: %v %v", all.Items, err)
	}
}

func TestACountThatCannotBeLoweredCancelsTheOperation(t *testing.T) {
	d := sit(t, demo())
	tries := 0
	d.refuse = func(*v1alpha1.AntDBCluster) error {
		if tries++; tries > 1 {
			return errors.New("the API server went away")
		}
		return nil
	}
	d.want(1, []string{"lower the count of datanodes of cluster demo", "went away"}, "node", "remove", "dn2", "--yes")
	if !d.operation("demo-remove-00001").Spec.Cancel {
		t.Error("the operation goes on")
	}
}

func TestWhatCannotBeRemovedIsToldWithTheReason(t *testing.T) {
	c := demo()
	join(c, "dn4")
	c.Spec.Datanodes.Count = 4
	c.Status.Members[6].State = v1alpha1.MemberLeaving
	c.Status.Members = append(c.Status.Members, v1alpha1.MemberStatus{Name: "cn3", State: v1alpha1.MemberRetained}, v1alpha1.MemberStatus{Name: "dn5", State: v1alpha1.MemberJoining})
	d := sit(t, c)
	for words, args := range map[string]string{
		"would have no coordinator left":       "node remove cn1 cn2 --yes",
		"it has no such node, but cn1, cn2":    "node remove cn7 --yes",
		"it is being removed already":          "node remove dn4 --yes",
		"only its volumes are kept":            "node remove cn3 --yes",
		"it is being added; cancel":            "node remove dn5 --yes",
		"no datanode would be left to take":    "node drain dn1 dn2 dn3",
		"dn9 of demo cannot be drained":        "node drain dn9",
		"--yes does it without asking":         "node remove dn1",
		`no AntDBCluster "other": it has demo`: "node remove dn1 --cluster other",
	} {
		d.want(1, []string{words}, strings.Fields(args)...)
	}
	all := &v1alpha1.AntDBOperationList{}
	if err := d.world.List(t.Context(), all); err != nil || len(all.Items) > 0 {
		t.Errorf("there are operations: %v %v", all.Items, err)
	}
}

func TestRemoveAsksAPerson(t *testing.T) {
	for answer, code := range map[string]int{"y\n": 0, "yes": 0, "n\n": 1, "\n": 1, "": 1} {
		d := sit(t, demo())
		d.env.In, d.env.Interactive = strings.NewReader(answer), true
		d.want(code, []string{"Go on? [y/N]"}, "node", "remove", "dn1")
		if _, n := d.counts(); n != int32(2+code) {
			t.Errorf("after the answer %q there shall be %d datanodes", answer, n)
		}
	}
}

func TestDrainMakesAnOperationAndWaits(t *testing.T) {
	d := sit(t, demo(), operation("demo-busy", v1alpha1.OperationRebalance, v1alpha1.OperationRunning))
	d.watched = func(int) {
		d.change("demo-drain-00001", func(o *v1alpha1.AntDBOperation) { o.Status.Phase = v1alpha1.OperationCompleted })
	}
	d.want(0, []string{"it waits for operation demo-busy", "demo-drain-00001 Completed"}, "node", "drain", "dn2", "--wait", "--max-pause", "2s")
	if o := d.operation("demo-drain-00001"); o.Spec.MaxPause.Duration != 2*time.Second || o.Spec.Type != v1alpha1.OperationDrainNodes {
		t.Errorf("the operation is %+v", o.Spec)
	}
}

func TestInterruptingAWaitBreaksNothing(t *testing.T) {
	d := sit(t, demo())
	ctx, interrupt := context.WithCancel(t.Context())
	d.watched = func(int) { interrupt() }
	if code := d.runIn(ctx, "node", "drain", "dn2", "--wait"); code != 130 {
		t.Errorf("the exit code is %d", code)
	}
	if said := d.err.String(); !strings.Contains(said, "the operator goes on with it") || !strings.Contains(said, "cancel demo-drain-00001") {
		t.Errorf("it says %q", said)
	}
	if d.operation("demo-drain-00001").Spec.Cancel {
		t.Error("the operation was cancelled")
	}
}

func operation(name string, kind v1alpha1.OperationType, phase v1alpha1.OperationPhase, nodes ...string) *v1alpha1.AntDBOperation {
	return &v1alpha1.AntDBOperation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: name, CreationTimestamp: *ago(time.Minute)},
		Spec:       v1alpha1.AntDBOperationSpec{Cluster: "demo", Type: kind, Nodes: nodes},
		Status:     v1alpha1.AntDBOperationStatus{Phase: phase},
	}
}

func TestAddTakesTheStrategyAlong(t *testing.T) {
	d := sit(t, demo())
	d.want(0, []string{"datanodes 3 → 6"}, "node", "add", "datanode", "--count", "3", "--strategy", "Split")
	c := &v1alpha1.AntDBCluster{}
	if err := d.world.Get(t.Context(), client.ObjectKey{Namespace: "prod", Name: "demo"}, c); err != nil {
		t.Fatal(err)
	}
	if c.Spec.Datanodes.Strategy != v1alpha1.StrategySplit || c.Spec.Datanodes.Count != 6 {
		t.Errorf("datanodes are %+v", c.Spec.Datanodes)
	}
}
