// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// asked is the id of a request that is made at the beginning of a scene.
const asked = "2026-03-01T10:05:00.000Z"

// annotate changes the annotations of the cluster demo.
func (d *desk) annotate(name, value string) {
	c := d.cluster()
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[name] = value
	if value == "" {
		delete(c.Annotations, name)
	}
	if err := d.world.Update(context.Background(), c); err != nil {
		d.t.Error(err)
	}
}

// instance changes the instance of a node in the status.
func instance(node string, how func(*v1alpha1.InstanceStatus)) func(*v1alpha1.AntDBCluster) {
	return func(c *v1alpha1.AntDBCluster) {
		for i := range c.Status.Nodes {
			if c.Status.Nodes[i].Name == node {
				how(&c.Status.Nodes[i].Instances[0])
			}
		}
	}
}

func down(i *v1alpha1.InstanceStatus) {
	i.Serving, i.Ready, i.State, i.Message = false, false, "Restarting", "the server is restarted: as asked"
}

func up(i *v1alpha1.InstanceStatus) {
	i.Serving, i.Ready, i.State, i.Message, i.RestartedFor = true, true, "Running", "", asked
}

// restarting is an operator that restarts nodes one after the other.
func restarting(nodes ...string) func(t *testing.T) *desk {
	return func(t *testing.T) *desk {
		t.Helper()
		d := sit(t, demo())
		var steps []func()
		for _, node := range nodes {
			steps = append(steps,
				func() { d.pass(time.Second); d.report(instance(node, down)) },
				func() { d.pass(2 * time.Second); d.report(instance(node, up)) })
		}
		d.unfold(1, 1, append(steps, func() { d.annotate(v1alpha1.AnnotationRestart, "") })...)
		return d
	}
}

func TestNodesAreRestartedAndFollowed(t *testing.T) {
	d := restarting("dn1", "cn2")(t)
	d.want(0, []string{"cluster demo: cn2, dn1 will be restarted, one at a time", "    1s  dn1   restarting: the server is restarted", "    3s  dn1   restarted\n", "    6s  cn2   restarted\n",
		"cluster demo: restarted after 6s"}, "restart", "cn2", "dn1")

	d = sit(t, demo())
	d.want(0, []string{"all servers will be restarted", "follow it:  kubectl antdb status demo -w"}, "restart", "--wait=false")
	if got := d.cluster().Annotations[v1alpha1.AnnotationRestart]; got != asked {
		t.Errorf("asked for %q", got)
	}
	d.want(1, []string{"the operator is asked for it already (antdb.io/restart=" + asked + ")", "antdb.io/restart- takes it back"}, "restart", "demo", "dn1")

	d = sit(t, demo())
	d.want(0, nil, "restart", "demo", "dn1", "gc", "--wait=false")
	if got := d.cluster().Annotations[v1alpha1.AnnotationRestart]; got != asked+"/dn1,gc" {
		t.Errorf("asked for %q", got)
	}
}

func TestARestartThatCannotBeIsTold(t *testing.T) {
	d := sit(t, demo())
	d.want(1, []string{`cluster demo has no node "dn9": it has gc, cn1`}, "restart", "dn1", "dn9")
	d.want(1, []string{"dn1 is named twice"}, "restart", "dn1", "dn1")
	d.want(1, []string{`"other"`}, "restart", "demo", "other")
	d.want(1, []string{"--timeout 0s: allowed is more than 0"}, "restart", "--timeout", "0")
	sit(t, stopped()).want(1, []string{"cluster demo is stopped; kubectl antdb start demo"}, "restart")
	sit(t, paused()).want(1, []string{"cluster demo is paused"}, "restart")

	d = sit(t, demo())
	d.watched = func(int) { d.annotate(v1alpha1.AnnotationRestart, "") }
	d.want(1, []string{"cluster demo: the request was refused or taken back; kubectl antdb events demo tells"}, "restart", "dn1")

	d = sit(t, demo())
	d.unfold(1, 1, func() {
		d.report(func(c *v1alpha1.AntDBCluster) {
			instance("cn1", func(i *v1alpha1.InstanceStatus) {
				i.Serving, i.State, i.Message = false, "Stopped", "the server ended by itself"
			})(c)
			meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
				Type: v1alpha1.ConditionProgressing, Status: "True", Reason: v1alpha1.ReasonRestartBlocked, LastTransitionTime: *ago(0),
				Message: "dn1 is due (as asked), but cn1 does not serve: the server ended by itself",
			})
		})
	}, func() { d.annotate(v1alpha1.AnnotationRestart, "") })
	d.want(1, []string{"\nit waits: dn1 is due (as asked), but cn1 does not serve", "the request was refused"}, "restart", "dn1")
}

// restartingSeen is a restart of all nodes on a terminal, left in the middle.
func restartingSeen(t *testing.T) *desk {
	t.Helper()
	d := sit(t, demo())
	d.env.Terminal = true
	d.watched = func(int) {
		d.pass(7 * time.Second)
		d.report(func(c *v1alpha1.AntDBCluster) {
			instance("dn1", up)(c)
			instance("dn2", up)(c)
			instance("dn3", down)(c)
			meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
				Type: v1alpha1.ConditionProgressing, Status: "True", Reason: v1alpha1.ReasonRestarting, LastTransitionTime: *ago(0),
				Message: "restarting dn3 (as asked); to do: dn3, cn1, cn2, gc",
			})
		})
	}
	d.once = func(text string) bool { return strings.Contains(text, "▶ restarting") }
	return d
}
