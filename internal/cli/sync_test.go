// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"testing"
	"time"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// comparing is an operator that lets catalogs be compared; repaired is what differed on cn2.
func comparing(repaired ...string) func(*testing.T) *desk {
	return func(t *testing.T) *desk {
		t.Helper()
		d := sit(t, demo())
		d.unfold(1, 1,
			func() {
				d.pass(time.Second)
				d.report(func(c *v1alpha1.AntDBCluster) {
					for _, name := range []string{"gc", "cn1", "cn2"} {
						instance(name, func(i *v1alpha1.InstanceStatus) {
							i.TopologySyncedFor = asked
							if name == "cn2" {
								i.TopologyRepaired = repaired
							}
						})(c)
					}
				})
			},
			func() { d.annotate(v1alpha1.AnnotationTopologySync, "") })
		return d
	}
}

func TestCatalogsAreComparedAndFollowed(t *testing.T) {
	comparing()(t).want(0, []string{"node catalogs will be compared\n", "    1s  gc    equal\n", "    1s  cn2   equal\n"}, "topology", "sync")
	comparing("missing: dn3 D demo-dn3:5432")(t).want(0,
		[]string{"    1s  cn1   equal\n", "    1s  cn2   repaired: missing: dn3 D demo-dn3:5432\n"}, "topology", "sync", "demo")

	d := sit(t, demo())
	d.want(0, []string{"follow it:"}, "topology", "sync", "cn1", "--wait=false")
	if got := d.cluster().Annotations[v1alpha1.AnnotationTopologySync]; got != asked+"/cn1" {
		t.Errorf("asked for %q", got)
	}
	d.want(1, []string{"asked for it already"}, "topology", "sync")
	sit(t, demo()).want(1, []string{"dn1 is a datanode: only gc and coordinators hold the node catalog"}, "topology", "sync", "dn1")
	sit(t, demo()).want(1, []string{`no node "cn9"`}, "topology", "sync", "cn9")
	sit(t, stopped()).want(1, []string{"cluster demo is stopped"}, "topology", "sync")
	sit(t, paused()).want(1, []string{"cluster demo is paused"}, "topology", "sync")
}
