// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// paused is a cluster that the operator leaves alone.
func paused() *v1alpha1.AntDBCluster {
	c := demo()
	c.Spec.Paused, c.Status.Phase = true, "Paused"
	meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionProgressing, Status: "False", Reason: v1alpha1.ReasonPaused, LastTransitionTime: *ago(0),
		Message: "the operator changes nothing, as spec.paused says",
	})
	return c
}

// pausing is a cluster at rest, of which the operator says at once that it is paused.
func pausing(t *testing.T) *desk {
	t.Helper()
	d := sit(t, demo())
	d.refuse = func(c *v1alpha1.AntDBCluster) error {
		if c.Spec.Paused {
			status := paused().Status
			d.report(func(c *v1alpha1.AntDBCluster) { c.Status = status })
		}
		return nil
	}
	return d
}

func TestAClusterIsPausedAndResumed(t *testing.T) {
	d := sit(t, demo(), growing())
	d.want(0, []string{"cluster prod/demo: the operator leaves it alone until kubectl antdb resume demo", "operation demo-add-dn4 (Running) is not led on"}, "pause")
	if !d.cluster().Spec.Paused {
		t.Error("spec.paused is not set")
	}
	d.want(0, []string{"cluster prod/demo is paused already"}, "pause", "demo")
	d.want(0, []string{"cluster prod/demo: the operator looks after it again"}, "resume")
	if d.cluster().Spec.Paused {
		t.Error("spec.paused is still set")
	}
	d.want(0, []string{"cluster prod/demo is looked after already"}, "resume")
}

func TestManyClustersArePausedAtOnce(t *testing.T) {
	other, third := demo(), demo()
	other.Namespace, other.Labels, third.Name = "test", map[string]string{"team": "a"}, "third"
	d := sit(t, demo(), other, third)
	d.want(0, []string{"cluster test/demo: the operator leaves it alone until kubectl antdb resume demo -n test"}, "pause", "-A", "-l", "team=a")
	if d.cluster().Spec.Paused {
		t.Error("a cluster without the label was paused")
	}
	d.want(0, []string{"prod/demo: the", "prod/third: the", "test/demo is paused already"}, "pause", "-A")
	d.want(1, []string{"no cluster is meant"}, "resume", "-l", "team=b")
	d.want(1, []string{"leave out the name"}, "resume", "demo", "-A")
	d.want(1, []string{`--selector "="`}, "resume", "-l", "=")
}

func TestAPausedClusterIsShownAsSuch(t *testing.T) {
	d := sit(t, paused())
	d.want(0, []string{"demo  Paused  6/6 nodes serve", "Progressing=False  Paused", "→ kubectl antdb resume demo"}, "status")
	d.want(0, []string{"Paused", "1 cluster, 1 Ready"}, "list")
	d.want(0, []string{"demo is paused: it waits until the operator goes on (kubectl antdb resume demo)"}, "rebalance")
	for _, verb := range []string{"stop", "start"} {
		d.want(1, []string{"cluster demo is paused: the operator would do nothing; let it go on first: kubectl antdb resume demo"}, verb)
	}
}
