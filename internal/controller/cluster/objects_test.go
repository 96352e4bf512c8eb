// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

func (s *scene) secret(name string) *corev1.Secret {
	s.t.Helper()
	out := &corev1.Secret{}
	if err := s.api.World.Get(s.ctx, types.NamespacedName{Namespace: "ns", Name: name}, out); err != nil {
		s.t.Fatalf("%v", err)
	}
	return out
}

func (s *scene) passes(n int) {
	s.t.Helper()
	for range n {
		if err := s.pass(); err != nil {
			s.t.Fatalf("%v\n%s", err, s)
		}
	}
}

func login(name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns"}, Type: corev1.SecretTypeBasicAuth,
		Data: map[string][]byte{"username": []byte("app"), "password": []byte("given")},
	}
}

func TestPasswordsAreMadeOnceAndNeverOverwritten(t *testing.T) {
	s := settled(t)
	for _, name := range []string{"demo-superuser", "demo-app"} {
		before := s.secret(name)
		if len(before.Data["password"]) < 16 || !strings.Contains(string(before.Data["uri"]), "demo.ns.svc:5432") {
			t.Errorf("%s: %d bytes of password, uri %s", name, len(before.Data["password"]), before.Data["uri"])
		}
		before.Data["password"] = []byte("changed")
		if err := s.api.World.Update(s.ctx, before); err != nil {
			t.Fatal(err)
		}
	}
	s.restartOperator()
	s.settle(20)
	for _, name := range []string{"demo-superuser", "demo-app"} {
		if got := string(s.secret(name).Data["password"]); got != "changed" {
			t.Errorf("the password in %s was overwritten with %q", name, got)
		}
	}
	for _, node := range []string{"gc", "cn1", "dn1"} { // the kubelet is told of the change
		if p := s.pod(node); !strings.Contains(p.Annotations[naming.AnnotationNudge], s.secret("demo-app").ResourceVersion) {
			t.Errorf("pod of %s was not nudged: %v", node, p.Annotations)
		}
	}
}

func TestASecretThatSomebodyMadeBeforeTheClusterIsTaken(t *testing.T) {
	s := newScene(t.Context(), t, small)
	if err := s.api.World.Create(s.ctx, login("demo-app")); err != nil {
		t.Fatal(err)
	}
	s.settle(30)
	if got := string(s.secret("demo-app").Data["password"]); got != "given" {
		t.Errorf("the password was overwritten with %q", got)
	}
}

func TestAClusterWaitsForASecretThatItsSpecNames(t *testing.T) {
	s := newScene(t.Context(), t, small+"  superuserSecret: {name: mine}\n")
	s.passes(5)
	s.expect(v1alpha1.ConditionReady, v1alpha1.ReasonSecretMissing, "mine", "username and password")
	if err := s.api.World.Create(s.ctx, login("mine")); err != nil {
		t.Fatal(err)
	}
	s.settle(30)
}

func TestCertificatesAreRenewedInTimeAndPodsAreTold(t *testing.T) {
	s := settled(t)
	before, pods := s.secret("demo-instances-tls"), s.pods()
	s.clock = s.clock.Add(200 * 24 * time.Hour)
	s.settle(10)
	if string(s.secret("demo-instances-tls").Data["tls.crt"]) != string(before.Data["tls.crt"]) {
		t.Error("a certificate with 165 days left was renewed")
	}
	s.clock = s.clock.Add(50 * 24 * time.Hour)
	s.settle(10)
	after := s.secret("demo-instances-tls")
	if string(after.Data["tls.crt"]) == string(before.Data["tls.crt"]) {
		t.Error("a certificate with 115 days left was not renewed")
	}
	if got := s.pod("dn1").Annotations[naming.AnnotationNudge]; !strings.Contains(got, after.ResourceVersion) {
		t.Errorf("the pod was nudged with %s, the Secret has version %s", got, after.ResourceVersion)
	}
	if d := cmp.Diff(pods, s.pods()); d != "" {
		t.Errorf("pods were replaced:\n%s", d)
	}
}

func TestAnInvalidSpecChangesNothingAndTheMendedOneGoesOn(t *testing.T) {
	s := settled(t)
	s.api.Writes()
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Image = "antdb:6"
		c.Spec.Datanodes.Overrides = []v1alpha1.NodeOverride{{Name: "cn9", Storage: &v1alpha1.StorageSpec{Size: "2Gi"}}}
	})
	s.passes(3)
	s.expect(v1alpha1.ConditionReady, v1alpha1.ReasonInvalidSpec, `"cn9"`)
	for _, w := range s.api.Writes() {
		if w.Kind != "AntDBCluster" {
			t.Errorf("written: %s", w)
		}
	}
	if c := s.cluster(); c.Status.ReadyNodes != "5/5" {
		t.Errorf("ready nodes %s", c.Status.ReadyNodes)
	}
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Datanodes.Overrides = nil })
	s.settle(120)
	if n := s.events.count(v1alpha1.EventCreating); n != 1 {
		t.Errorf("the event Creating was told %d times", n)
	}
}

func TestAVolumeGrowsWhereItsClassAllowsIt(t *testing.T) {
	s := newScene(t.Context(), t, strings.Replace(small, "datanodes: {count: 2, storage: {size: 1Gi}}",
		"datanodes: {count: 2, storage: {size: 1Gi, storageClassName: fast}}", 1))
	yes := true
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: "x", AllowVolumeExpansion: &yes}
	if err := s.api.World.Create(s.ctx, class); err != nil {
		t.Fatal(err)
	}
	s.settle(30)
	pods := s.pods()
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Datanodes.Storage.Size, c.Spec.GTM.Storage.Size = "3Gi", "3Gi"
	})
	s.settle(30)
	sizes := map[string]string{}
	claims := &corev1.PersistentVolumeClaimList{}
	if err := s.api.World.List(s.ctx, claims); err != nil {
		t.Fatal(err)
	}
	for _, c := range claims.Items {
		sizes[c.Name] = c.Status.Capacity.Storage().String()
	}
	want := map[string]string{"demo-gc-1": "1Gi", "demo-cn1-1": "1Gi", "demo-cn2-1": "1Gi", "demo-dn1-1": "3Gi", "demo-dn2-1": "3Gi"}
	if d := cmp.Diff(want, sizes); d != "" {
		t.Errorf("sizes (-want +got):\n%s", d)
	}
	s.expect(v1alpha1.ConditionVolumesHealthy, v1alpha1.ReasonResizeRefused, "demo-gc-1 cannot grow from 1Gi to 3Gi")
	if d := cmp.Diff(pods, s.pods()); d != "" {
		t.Errorf("pods were replaced:\n%s", d)
	}
}

// recreate deletes the cluster and makes another one of the same name; what belongs to the old one stays for now.
func (s *scene) recreate() {
	c := s.cluster()
	if err := s.api.World.Delete(s.ctx, c); err != nil {
		s.t.Fatalf("%v", err)
	}
	next := &v1alpha1.AntDBCluster{ObjectMeta: metav1.ObjectMeta{Name: c.Name, Namespace: c.Namespace, Generation: 1}, Spec: c.Spec}
	if err := s.api.World.Create(s.ctx, next); err != nil {
		s.t.Fatalf("%v", err)
	}
}

func TestAClusterOfTheSameNameTouchesNothingOfTheOldOne(t *testing.T) {
	s := settled(t)
	old := s.pods()
	s.recreate()
	for range 5 { // the old Secrets are in the way, which is an error that is told
		_ = s.pass()
	}
	if d := cmp.Diff(old, s.pods()); d != "" {
		t.Errorf("pods of the old cluster were touched:\n%s", d)
	}
	for _, o := range []client.Object{&corev1.Secret{}, &corev1.Pod{}, &corev1.Service{}, &corev1.ConfigMap{}} { // as the garbage collector does
		if err := s.api.World.DeleteAllOf(s.ctx, o, client.InNamespace("ns")); err != nil {
			t.Fatal(err)
		}
	}
	s.passes(8)
	s.expect(v1alpha1.ConditionReady, v1alpha1.ReasonVolumeRefused, "demo-dn1-1 belongs to another cluster", "delete it")
	if pods := s.pods(); len(pods) > 0 {
		t.Errorf("pods were started on volumes of the old cluster: %v", pods)
	}
	if err := s.api.World.DeleteAllOf(s.ctx, &corev1.PersistentVolumeClaim{}, client.InNamespace("ns")); err != nil {
		t.Fatal(err)
	}
	s.settle(30)
}

func TestADeletedClusterIsLeftToTheGarbageCollector(t *testing.T) {
	s := settled(t)
	c := s.cluster()
	c.Finalizers = []string{"test.antdb.io/held"}
	if err := s.api.World.Update(s.ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := s.api.World.Delete(s.ctx, c); err != nil {
		t.Fatal(err)
	}
	s.deletePod("dn1")
	s.api.Writes()
	s.passes(5)
	if writes := s.api.Writes(); len(writes) > 0 {
		t.Errorf("written for a cluster that is being deleted: %v", writes)
	}
	if _, there := s.pods()["demo-dn1-1"]; there {
		t.Error("the pod of dn1 was made anew")
	}
}

func TestEveryObjectHasTheLabelsThatTheCacheLooksFor(t *testing.T) {
	s := settled(t)
	for _, list := range []client.ObjectList{
		&corev1.PodList{}, &corev1.PersistentVolumeClaimList{}, &corev1.ServiceList{}, &corev1.SecretList{}, &corev1.ConfigMapList{},
		&corev1.ServiceAccountList{},
	} {
		if err := s.api.World.List(s.ctx, list); err != nil {
			t.Fatal(err)
		}
		for _, o := range items(t, list) {
			l := o.GetLabels()
			if l[naming.LabelManagedBy] != naming.Operator || l[naming.LabelCluster] != "demo" {
				t.Errorf("%T %s has the labels %v", o, o.GetName(), l)
			}
			if !slices.ContainsFunc(o.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == s.cluster().UID }) {
				t.Errorf("%T %s does not go with its cluster: %v", o, o.GetName(), o.GetOwnerReferences())
			}
		}
	}
}

func items(t *testing.T, list client.ObjectList) []client.Object {
	t.Helper()
	all, err := meta.ExtractList(list)
	if err != nil {
		t.Fatal(err)
	}
	var out []client.Object
	for _, o := range all {
		if object, ok := o.(client.Object); ok {
			out = append(out, object)
		}
	}
	return out
}
