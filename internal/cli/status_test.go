// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// big is a cluster 1+8+16, the biggest that is promised to be shown within a second.
func big() *v1alpha1.AntDBCluster {
	c := demo()
	c.Spec.Coordinators.Count, c.Spec.Datanodes.Count = 8, 16
	for i := 3; i <= 8; i++ {
		join(c, fmt.Sprintf("cn%d", i))
	}
	for i := 4; i <= 16; i++ {
		join(c, fmt.Sprintf("dn%d", i))
	}
	return c
}

func TestStatusCostsAsManyRequestsForABigClusterAsForASmallOne(t *testing.T) {
	small, large := sit(t, demo()), sit(t, big())
	for _, args := range []string{"status demo", "status", "status -o yaml", "list", "status -A"} {
		small.want(0, nil, strings.Fields(args)...)
		began := time.Now()
		large.want(0, nil, strings.Fields(args)...)
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s takes %s", args, took)
		}
		if small.reads != large.reads || large.reads > 2 || len(large.ran) > 0 {
			t.Errorf("%s asks %d times for 6 nodes and %d times for 25, and runs %q", args, small.reads, large.reads, large.ran)
		}
	}
}

// falling is a cluster in which a datanode goes away and comes back, then the cluster is deleted.
func falling(t *testing.T) *desk {
	t.Helper()
	d := sit(t, demo())
	step := func(after time.Duration, how func(*v1alpha1.AntDBCluster)) func() {
		return func() { d.pass(after); d.report(how) }
	}
	d.unfold(2, 1,
		step(4*time.Second, func(c *v1alpha1.AntDBCluster) {
			i := &c.Status.Nodes[4].Instances[0]
			i.Serving, i.Ready, i.State, i.Message = false, false, "Stopped", "the server ended by itself: signal: killed"
			c.Status.Phase, c.Status.ReadyNodes = "Degraded", "5/6"
			c.Status.Conditions[0].Status, c.Status.Conditions[0].Reason, c.Status.Conditions[0].Message = "False", v1alpha1.ReasonNodesNotServing, "dn2: the server ended by itself"
		}),
		step(2*time.Second, func(c *v1alpha1.AntDBCluster) { c.Status = demo().Status }),
		func() {
			d.pass(time.Minute)
			if err := d.world.Delete(context.Background(), demo()); err != nil {
				t.Error(err)
			}
		},
	)
	return d
}

func TestStatusIsFollowedUntilTheClusterIsDeleted(t *testing.T) {
	d := falling(t)
	d.want(0, []string{
		"10:05:00 demo Ready, 6/6 nodes serve\n", "10:05:04 demo dn2 Stopped: the server ended by itself", "10:05:04 demo Ready → Degraded, 5/6",
		"10:05:04 demo Ready=False NodesNotServing: dn2", "10:05:06 demo dn2 serves", "10:05:06 demo Ready=True AllNodesServe", "cluster demo was deleted",
	}, "status", "demo", "-w")
	d = sit(t, demo(), growing())
	d.env.Terminal = true
	d.once = func(text string) bool {
		return strings.Contains(text, "node catalog") && strings.Contains(text, "AddNodes")
	}
	d.want(0, []string{"coordinators  2 of 2 fine"}, "status", "-w")
	d.want(1, []string{"-w cannot be had with -o yaml"}, "status", "-w", "-o", "yaml")
	d.want(1, []string{"--selector chooses among many clusters"}, "status", "-l", "a=b")
}

func TestClustersAreListedByNamespaceAndLabel(t *testing.T) {
	other, third := demo(), demo()
	other.Namespace, other.Name, other.Labels = "test", "orders", map[string]string{"team": "a"}
	third.Name = "third"
	third.Spec.Image = "registry.example/antdb:5.1"
	d := sit(t, demo(), other, third)
	d.want(0, []string{"2 clusters, 2 Ready", "12 nodes, 12 serve; 12 volumes, 120 GiB", "antdb:5.0 in 1 cluster", "antdb:5.1 in 1 cluster"}, "list")
	d.want(0, []string{"3 clusters, 3 Ready"}, "list", "-A")
	d.want(0, []string{"orders", "1 cluster, 1 Ready"}, "list", "-A", "-l", "team=a")
	d.want(0, []string{`"name": "orders"`, `"kind": "AntDBClusterList"`}, "list", "-A", "-l", "team=a", "-o", "json")
	d.want(0, []string{"There are no clusters here"}, "list", "-n", "empty")
	d.want(1, []string{`--selector "="`}, "list", "-l", "=")
	d.once = func(text string) bool { return strings.Contains(text, "→ Degraded") }
	d.watched = func(int) {
		c := third.DeepCopy()
		c.Status.Phase = "Degraded"
		if err := d.world.Status().Patch(context.Background(), c, client.MergeFrom(third)); err != nil {
			t.Error(err)
		}
	}
	d.want(0, []string{"third Ready → Degraded"}, "list", "-w")
}
