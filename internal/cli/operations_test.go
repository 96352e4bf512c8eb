// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

func TestOperationsAreListedByClusterNamespaceAndLabel(t *testing.T) {
	other := operation("orders-add", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "dn2")
	other.Spec.Cluster, other.Labels = "orders", map[string]string{"team": "a"}
	far := operation("far-add", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "dn2")
	far.Namespace = "test"
	d := sit(t, operation("demo-add", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "dn4"), other, far)
	for args, want := range map[string]string{
		"operations":                   "demo-add orders-add",
		"operations demo":              "demo-add",
		"operations -l team=a":         "orders-add",
		"operations -A":                "demo-add far-add orders-add",
		"operations -n test -o wide":   "far-add",
		"operations orders -o json":    "orders-add",
		"operations -A far -o yaml":    "",
		"operations -l nobody -o wide": "",
	} {
		d.want(0, nil, strings.Fields(args)...)
		var got []string
		for _, name := range []string{"demo-add", "far-add", "orders-add"} {
			if strings.Contains(d.out.text(), name) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s lists %q, not %q:\n%s", args, got, want, d.out.text())
		}
	}
}

func TestMachinesReadWholeObjects(t *testing.T) {
	d := sit(t, demo(), operation("demo-add", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "dn4"))
	for args, kind := range map[string]string{
		"operations -o json": "AntDBOperationList", "operations show demo-add -o yaml": "AntDBOperation",
		"status -o json": "AntDBCluster", "status -A -o yaml": "AntDBClusterList",
	} {
		d.want(0, nil, strings.Fields(args)...)
		var got metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(d.out.text()), &got); err != nil || got.Kind != kind || got.APIVersion != "antdb.io/v1alpha1" {
			t.Errorf("%s prints %+v (%v)", args, got, err)
		}
	}
}

func TestCancelAsksOnlyWhereItIsPossible(t *testing.T) {
	late := operation("late", v1alpha1.OperationRemoveNodes, v1alpha1.OperationRunning, "dn3")
	late.Status.PointOfNoReturn = true
	d := sit(t, operation("done", v1alpha1.OperationAddNodes, v1alpha1.OperationCompleted, "dn4"), late,
		operation("busy", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "dn4"))
	d.want(1, []string{"it has ended (Completed)"}, "operation", "cancel", "done")
	d.want(1, []string{"past its point of no return"}, "operation", "cancel", "late")
	d.want(1, []string{`no operation "none"`, "kubectl antdb operations lists them"}, "operations", "cancel", "none")
	d.watched = func(int) {
		d.change("busy", func(o *v1alpha1.AntDBOperation) {
			o.Status.Phase, o.Status.Message = v1alpha1.OperationCancelled, "all is as before"
		})
	}
	d.want(0, []string{"busy is to be cancelled", "Cancelled: all is as before"}, "operations", "cancel", "busy", "--wait")
	if !d.operation("busy").Spec.Cancel || d.operation("late").Spec.Cancel || d.operation("done").Spec.Cancel {
		t.Error("not exactly the operation busy is cancelled")
	}
}

func TestACancelledRemovalRaisesTheCountAgain(t *testing.T) {
	c := demo()
	c.Spec.Coordinators.Count = 1
	c.Status.Members[1].State = v1alpha1.MemberLeaving
	d := sit(t, c, operation("demo-remove", v1alpha1.OperationRemoveNodes, v1alpha1.OperationRunning, "cn1"))
	d.want(0, []string{"coordinators 1 → 2", "demo-remove is to be cancelled"}, "operations", "cancel", "demo-remove")
	d.want(0, []string{"demo-remove is to be cancelled"}, "operations", "cancel", "demo-remove")
	if n, _ := d.counts(); n != 2 {
		t.Errorf("there shall be %d coordinators", n)
	}
}

func TestATerminalIsDrawnAgainAndAPipeGetsLines(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		d := sit(t, operation("demo-add", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "dn4"))
		d.env.Terminal = terminal
		d.once = func(text string) bool { return strings.Contains(text, "MoveRows") }
		d.watched = func(int) {
			for _, step := range []string{"LockDDL", "MoveRows"} {
				d.change("demo-add", func(o *v1alpha1.AntDBOperation) {
					o.Status.Steps = append(o.Status.Steps, v1alpha1.OperationStep{Name: step, State: v1alpha1.StepRunning})
				})
			}
		}
		if code := d.run("operations", "-w"); code != 0 {
			t.Errorf("the exit code is %d: %s", code, d.err.String())
		}
		got := d.out.text()
		if drawn := strings.Contains(got, "\x1b["); drawn != terminal || !strings.Contains(got, "MoveRows") {
			t.Errorf("on a terminal %t, this is written:\n%q", terminal, got)
		}
		if !terminal && strings.Count(got, "LockDDL") != 1 {
			t.Errorf("a line is not told once:\n%s", got)
		}
	}
}

func TestAPlanIsPrintedAndLeavesNothing(t *testing.T) {
	for phase, code := range map[v1alpha1.OperationPhase]int{v1alpha1.OperationCompleted: 0, v1alpha1.OperationRefused: 1} {
		d := sit(t, demo())
		d.watched = func(int) {
			d.change("demo-rebalance-00001", func(o *v1alpha1.AntDBOperation) { o.Status.Message = "gc reads the catalogs" })
			d.change("demo-rebalance-00001", func(o *v1alpha1.AntDBOperation) {
				if !o.Spec.PlanOnly || o.Spec.MaxPause.Duration != time.Second {
					t.Errorf("the operation is %+v", o.Spec)
				}
				o.Status.Phase, o.Status.Move = phase, &v1alpha1.MoveStatus{TablesTotal: 2, RowsTotal: 7, BytesTotal: 2048, SecondsLeft: 61, LongestPauseMillis: 1200,
					Tables: []v1alpha1.TableMove{{Database: "app", Table: "public.t", Rows: 5, Bytes: 1024}}}
			})
		}
		words := []string{"gc reads the catalogs"}
		if code == 0 {
			words = append(words, "app public.t", "about 1m01s", "1.2s", "and 1 table that", "kubectl antdb rebalance demo --wait")
		}
		d.want(code, words, "rebalance", "--plan", "--max-pause", "1s")
		err := d.world.Get(t.Context(), client.ObjectKey{Namespace: "prod", Name: "demo-rebalance-00001"}, &v1alpha1.AntDBOperation{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("the operation is still there (%v)", err)
		}
	}
}

func TestAnInterruptedPlanLeavesNothing(t *testing.T) {
	d := sit(t, demo())
	ctx, interrupt := context.WithCancel(t.Context())
	d.watched = func(int) { interrupt() }
	if code := d.runIn(ctx, "rebalance", "--plan"); code != 130 {
		t.Errorf("the exit code is %d", code)
	}
	all := &v1alpha1.AntDBOperationList{}
	if err := d.world.List(t.Context(), all); err != nil || len(all.Items) > 0 {
		t.Errorf("there are operations: %v %v", all.Items, err)
	}
}

func TestAPlanAsJSONStandsAlone(t *testing.T) {
	d := sit(t, demo())
	d.watched = func(int) {
		d.change("demo-rebalance-00001", func(o *v1alpha1.AntDBOperation) {
			o.Status.Phase, o.Status.Move = v1alpha1.OperationCompleted, &v1alpha1.MoveStatus{TablesTotal: 2}
		})
	}
	d.want(0, nil, "rebalance", "demo", "--plan", "-o", "json")
	var got v1alpha1.MoveStatus
	if err := json.Unmarshal([]byte(d.out.text()), &got); err != nil || got.TablesTotal != 2 {
		t.Errorf("%v:\n%s", err, d.out.text())
	}
}

func TestAnOperationThatIsDeletedEndsTheWait(t *testing.T) {
	d := sit(t, demo())
	d.watched = func(int) {
		if err := d.world.Delete(context.Background(), d.operation("demo-rebalance-00001")); err != nil {
			t.Error(err)
		}
	}
	d.want(1, []string{"operation demo-rebalance-00001: it was deleted"}, "rebalance", "--wait")
}
