// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// reloading is an operator that lets servers read their files anew; failure is what goes wrong on cn2.
func reloading(failure string) func(*testing.T) *desk {
	return func(t *testing.T) *desk {
		t.Helper()
		d := sit(t, demo())
		d.unfold(1, 1,
			func() {
				d.pass(time.Second)
				d.report(func(c *v1alpha1.AntDBCluster) {
					for i := range c.Status.Nodes {
						n := &c.Status.Nodes[i]
						n.Instances[0].ReloadedFor = asked
						if n.Name == "cn2" {
							n.Instances[0].ReloadError = failure
						}
					}
				})
			},
			func() { d.annotate(v1alpha1.AnnotationReload, "") })
		return d
	}
}

func TestServersAreReloadedAndFollowed(t *testing.T) {
	reloading("")(t).want(0, []string{"servers are asked to read their files anew", "    1s  gc    reloaded\n", "    1s  dn3   reloaded\n"}, "reload")
	reloading("the disk is full")(t).want(1, []string{"    1s  cn2   failed: the disk is full", "cluster demo could not be reloaded everywhere: cn2: the disk is full"}, "reload")
	reloading("the disk is full")(t).want(0, []string{"    1s  dn1   reloaded\n"}, "reload", "demo", "dn1")

	d := sit(t, demo())
	d.want(0, []string{"follow it:"}, "reload", "dn1", "--wait=false")
	if got := d.cluster().Annotations[v1alpha1.AnnotationReload]; got != asked+"/dn1" {
		t.Errorf("asked for %q", got)
	}
	d.want(1, []string{"asked for it already"}, "reload")

	d = sit(t, demo())
	d.unfold(1, 1, func() {
		d.report(func(c *v1alpha1.AntDBCluster) {
			instance("dn2", func(i *v1alpha1.InstanceStatus) { i.Serving, i.Message = false, "its pod does not exist yet" })(c)
			meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
				Type: v1alpha1.ConditionProgressing, Status: "True", Reason: v1alpha1.ReasonRequested, LastTransitionTime: *ago(0),
				Message: "reloading as asked; to do: dn2 (its pod does not exist yet)",
			})
		})
	}, func() { d.annotate(v1alpha1.AnnotationReload, "") })
	d.want(1, []string{"\nit waits: reloading as asked; to do: dn2", "the request was refused or taken back"}, "reload")
	sit(t, stopped()).want(1, []string{"cluster demo is stopped"}, "reload")
	sit(t, paused()).want(1, []string{"cluster demo is paused"}, "reload")
	sit(t, demo()).want(1, []string{`no node "dn9"`}, "reload", "dn9")
}
