// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// claim is the volume claim of a node, which goes away with the cluster.
func claim(c *v1alpha1.AntDBCluster, node string) *corev1.PersistentVolumeClaim {
	yes := true
	p := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: c.Namespace, Name: naming.Instance(c.Name, node, 1),
		Labels:      map[string]string{naming.LabelCluster: c.Name, naming.LabelNode: node, naming.LabelVolume: naming.VolumeData},
		Annotations: map[string]string{naming.AnnotationClusterUID: string(c.UID)},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "AntDBCluster", Name: c.Name, UID: c.UID, Controller: &yes,
		}},
	}}
	p.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}
	return p
}

// vanish deletes all objects of a kind, as Kubernetes does when their owner is gone.
func (d *desk) vanish(of client.Object) {
	if err := d.world.DeleteAllOf(context.Background(), of, client.InNamespace("prod")); err != nil {
		d.t.Error(err)
	}
}

// release takes the owner of all claims away, as the operator does.
func (d *desk) release() {
	all := &corev1.PersistentVolumeClaimList{}
	if err := d.world.List(context.Background(), all); err != nil {
		d.t.Error(err)
	}
	for i := range all.Items {
		all.Items[i].OwnerReferences = nil
		if err := d.world.Update(context.Background(), &all.Items[i]); err != nil {
			d.t.Error(err)
		}
	}
}

// doomed is a cluster with data, and a Kubernetes that takes away what belongs to nobody. The n-th watch is followed by the
// n-th of what happens.
func doomed(happens ...func(*desk)) func(*testing.T) *desk {
	return func(t *testing.T) *desk {
		t.Helper()
		c := demo()
		c.UID = "u1"
		d := sit(t, c)
		for _, n := range c.Status.Nodes {
			d.make(pod(c, n.Name, nil))
			d.make(claim(c, n.Name))
		}
		probed(d, c, map[string]func(*instanceapi.Probe){"dn1": func(p *instanceapi.Probe) {
			p.Databases = []instanceapi.DatabaseSize{{Database: "app", Bytes: 3 << 30}}
		}})
		d.watched = func(n int) {
			if n <= len(happens) && happens[n-1] != nil {
				happens[n-1](d)
			}
		}
		return d
	}
}

var (
	podsGo   = func(d *desk) { d.pass(4 * time.Second); d.vanish(&corev1.Pod{}) }
	claimsGo = func(d *desk) { d.vanish(&corev1.PersistentVolumeClaim{}) }
	deleting = doomed(nil, podsGo, claimsGo)
)

func (d *desk) exists() bool {
	d.t.Helper()
	err := d.world.Get(d.t.Context(), client.ObjectKey{Namespace: "prod", Name: "demo"}, &v1alpha1.AntDBCluster{})
	if client.IgnoreNotFound(err) != nil {
		d.t.Fatal(err)
	}
	return !apierrors.IsNotFound(err)
}

func TestAClusterIsDeletedWhenItsNameIsTyped(t *testing.T) {
	for answer, code := range map[string]int{"demo\n": 0, "y\n": 1, "yes\n": 1, "": 1, "other\n": 1} {
		d := deleting(t)
		d.env.In, d.env.Interactive = strings.NewReader(answer), true
		d.want(code, []string{"cluster prod/demo will be deleted: 6 nodes", "demo-dn1-1  dn1    10Gi  3.0 GiB  deleted", "app       3.0 GiB", "Type demo to delete the cluster: "},
			"delete", "demo")
		if d.exists() != (code == 1) {
			t.Errorf("after the answer %q the cluster is there: %t", answer, d.exists())
		}
	}
	deleting(t).want(0, []string{"cluster demo is being deleted\n", "cluster demo is gone after "}, "delete", "demo", "--yes")
}

func TestNothingIsDeletedThatWasNotNamedOrAgreedTo(t *testing.T) {
	for args, words := range map[string]string{
		"delete":                        "name the cluster that is to be deleted",
		"delete demo other":             "name the cluster that is to be deleted",
		"delete demo":                   "nobody can be asked here: --yes does it without asking",
		"delete other --yes":            `no AntDBCluster "other": it has demo`,
		"delete demo --yes --timeout 0": "--timeout 0s: allowed is more than 0",
	} {
		d := deleting(t)
		d.want(1, []string{words}, strings.Fields(args)...)
		if !d.exists() {
			t.Errorf("%s deleted it", args)
		}
	}
}

func TestVolumesAreKeptAndTheClusterIsDeletedOnlyWhenTheyAre(t *testing.T) {
	d := doomed((*desk).release, nil, podsGo)(t)
	d.want(0, []string{"demo-dn1-1  dn1    10Gi  3.0 GiB  kept", "is gone after ", "kubectl get pvc -l antdb.io/cluster=demo"}, "delete", "demo", "--keep-data", "--yes")
	all := &corev1.PersistentVolumeClaimList{}
	if err := d.world.List(t.Context(), all); err != nil || len(all.Items) != 6 || d.exists() {
		t.Errorf("%d volumes are left, the cluster is there: %t (%v)", len(all.Items), d.exists(), err)
	}

	d = doomed()(t) // an operator that does nothing
	d.want(1, []string{"cluster demo is not deleted: waited 200ms for the operator to let go of the volumes: demo-cn1-1, "},
		"delete", "demo", "--keep-data", "--yes", "--timeout", "200ms")
	if !d.exists() || d.cluster().Spec.VolumeRetention != v1alpha1.VolumeRetentionRetain {
		t.Error("it was deleted, or its volumes are not to be kept")
	}
	c := paused()
	sit(t, c).want(1, []string{"only the operator can keep the volumes: cluster demo is paused"}, "delete", "demo", "--keep-data", "--yes")
}

func TestWhatIsLeftOfADeletedClusterIsNamed(t *testing.T) {
	d := doomed(nil, podsGo)(t)
	d.want(1, []string{"waited 200ms for volumes to go away: left are demo-cn1-1, demo-cn2-1, "}, "delete", "demo", "--yes", "--timeout", "200ms")

	d = deleting(t) // instances that answer nothing hold nobody up
	for name := range d.answers {
		d.answers[name] = func([]string) (string, error) { return "", errors.New("no route to host") }
	}
	d.want(0, []string{"demo-dn1-1  dn1    10Gi     ?  deleted", "is gone after "}, "delete", "demo", "--yes")
}
