// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// halting is what the operator says of a cluster that it stops: the nodes whose pods are gone, and those whose pods end.
func halting(reason, message string, gone, ending []string) func(*v1alpha1.AntDBCluster) {
	return func(c *v1alpha1.AntDBCluster) {
		c.Status.ObservedGeneration, c.Status.Phase = c.Generation, reason
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: "False", Reason: reason, Message: message, LastTransitionTime: *ago(0)})
		in := func(names []string, i *v1alpha1.InstanceStatus) bool {
			for _, n := range names {
				if i.Name == "demo-"+n+"-1" {
					return true
				}
			}
			return false
		}
		for n := range c.Status.Nodes {
			i := &c.Status.Nodes[n].Instances[0]
			switch {
			case in(gone, i):
				i.State, i.Host, i.PodIP, i.Ready, i.Serving, i.Message = "Stopped", "", "", false, false, "the cluster is stopped"
			case in(ending, i):
				i.Ready, i.Serving, i.Message = false, false, "its pod is being deleted"
			}
		}
		serving := 0
		for _, n := range c.Status.Nodes {
			if n.Instances[0].Serving {
				serving++
			}
		}
		c.Status.ReadyNodes = string(rune('0'+serving)) + "/6"
	}
}

var everyNode = []string{"gc", "cn1", "cn2", "dn1", "dn2", "dn3"}

// stopped is a cluster that was stopped.
func stopped() *v1alpha1.AntDBCluster {
	c := demo()
	c.Spec.Stopped = true
	halting(v1alpha1.ReasonStopped, "the cluster is stopped, as spec.stopped says; its volumes, Services and Secrets are kept", everyNode, nil)(c)
	for _, kind := range []string{v1alpha1.ConditionGTMAvailable, v1alpha1.ConditionTopologySynced, v1alpha1.ConditionConfigurationApplied} {
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: kind, Status: "False", Reason: v1alpha1.ReasonStopped, LastTransitionTime: *ago(0)})
	}
	c.Status.Topology.SyncedOn = nil
	return c
}

// stopping is an operator that stops a cluster.
func stopping(t *testing.T) *desk {
	t.Helper()
	d := sit(t, demo())
	step := func(after time.Duration, how func(*v1alpha1.AntDBCluster)) func() {
		return func() { d.pass(after); d.report(how) }
	}
	const being = "the cluster is being stopped; there are still the pods of some"
	d.unfold(1, 1,
		step(time.Second, halting(v1alpha1.ReasonStopping, being, nil, []string{"cn1", "cn2"})),
		step(2*time.Second, halting(v1alpha1.ReasonStopping, being, []string{"cn1", "cn2"}, []string{"dn1", "dn2", "dn3"})),
		step(2*time.Second, halting(v1alpha1.ReasonStopping, being, []string{"dn1", "dn3"}, nil)),
		step(time.Second, halting(v1alpha1.ReasonStopping, being, []string{"dn2"}, []string{"gc"})),
		step(time.Second, halting(v1alpha1.ReasonStopped, "the cluster is stopped", everyNode, nil)),
	)
	return d
}

// starting is an operator that starts it again.
func starting(t *testing.T) *desk {
	t.Helper()
	d := sit(t, stopped())
	step := func(after time.Duration, how func(*v1alpha1.AntDBCluster)) func() {
		return func() {
			d.pass(after)
			d.report(func(c *v1alpha1.AntDBCluster) {
				for i := range c.Status.Nodes {
					c.Status.Nodes[i].Instances[0].Message = ""
				}
				how(c)
			})
		}
	}
	d.unfold(1, 1,
		step(time.Second, states("gc Pending, cn1 Pending, cn2 Pending, dn1 Pending, dn2 Pending, dn3 Pending", "")),
		step(2*time.Second, states("gc Starting, cn1 Starting, cn2 Starting, dn1 Starting, dn2 Starting", "")),
		step(time.Second, states("gc Serving, cn1 Serving, cn2 Serving, dn1 Serving, dn2 Serving, dn3 Serving", "")),
		step(time.Second, ready),
	)
	return d
}

func TestAClusterIsStoppedAndFollowed(t *testing.T) {
	d := stopping(t)
	d.want(0, []string{"    1s  cn1   stopping", "    3s  cn1   stopped\n", "    5s  dn1   stopped\n", "    7s  gc    stopped\n", "cluster demo is stopped after 7s"}, "stop")
	if !d.cluster().Spec.Stopped {
		t.Error("spec.stopped is not set")
	}
	d.want(0, []string{"cluster demo is stopped already"}, "stop", "demo")

	d = sit(t, demo())
	d.want(0, []string{"follow it:  kubectl antdb status demo -w"}, "stop", "demo", "--wait=false")
	d = sit(t, demo())
	d.want(1, []string{"is not Stopped after 200ms", "kubectl antdb doctor demo"}, "stop", "--timeout", "200ms")
	d.want(1, []string{"--timeout 0s: allowed is more than 0"}, "stop", "--timeout", "0")
	d = sit(t, demo())
	d.env.Terminal = true
	d.once = func(string) bool { return true }
	d.want(130, []string{"interrupted; the operator goes on with it"}, "stop")
	d = sit(t, demo())
	d.watched = func(int) {
		c := d.cluster()
		c.Spec.Stopped = false
		if err := d.world.Update(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	d.want(1, []string{"somebody has it started again"}, "stop")
}

func TestAStopTellsForWhichOperationItWaits(t *testing.T) {
	d := sit(t, demo())
	d.unfold(1, 1, func() {
		d.report(func(c *v1alpha1.AntDBCluster) {
			meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
				Type: v1alpha1.ConditionProgressing, Status: "True", Reason: v1alpha1.ReasonStopPending,
				Message: "the cluster is stopped when operation demo-op1 (AddNodes) has ended", LastTransitionTime: *ago(0),
			})
		})
	}, func() { d.report(halting(v1alpha1.ReasonStopped, "the cluster is stopped", everyNode, nil)) })
	d.want(0, []string{"\nthe cluster is stopped when operation demo-op1 (AddNodes) has ended\n"}, "stop")
}

func TestAStoppedClusterIsStartedAndFollowed(t *testing.T) {
	d := starting(t)
	d.want(0, []string{"    1s  cn1   pending\n", "    3s  gc    starting\n", "    4s  dn3   ready\n", "cluster demo is Ready after 5s"}, "start", "demo")
	if d.cluster().Spec.Stopped {
		t.Error("spec.stopped is still set")
	}
	d.want(0, []string{"cluster demo is not stopped, and Ready"}, "start")
}

func TestWhoeverNeedsServersOfAStoppedClusterIsTold(t *testing.T) {
	d := sit(t, stopped())
	for _, args := range [][]string{{"test"}, {"topology"}, {"df"}, {"psql"}, {"psql", "dn1"}, {"top"}, {"config"}, {"cat", "dn1", "antdb.conf"}, {"skew"}, {"pgbench"}, {"logs"}} {
		d.want(1, []string{"error: cluster demo is stopped; kubectl antdb start demo starts it"}, args...)
	}
	if len(d.ran) > 0 {
		t.Errorf("run in pods that are gone: %v", d.ran)
	}
	d.want(0, []string{"1 note", "· the cluster is stopped", "→ kubectl antdb start demo"}, "doctor")
	d.want(0, []string{"1 cluster, 0 Ready, 1 stopped"}, "list")
	d.want(0, []string{"cluster demo is stopped: it waits until the cluster is started (kubectl antdb start demo)"}, "rebalance")
	d.want(0, []string{"files"}, "report", "--file", t.TempDir()+"/report.tar.gz")
}

// cluster is the cluster demo as it is.
func (d *desk) cluster() *v1alpha1.AntDBCluster {
	d.t.Helper()
	c := &v1alpha1.AntDBCluster{}
	if err := d.world.Get(d.t.Context(), client.ObjectKey{Namespace: "prod", Name: "demo"}, c); err != nil {
		d.t.Fatal(err)
	}
	return c
}
