// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/kube"
	"github.com/antdb-operator/antdb-operator/internal/testkit/apiserver"
)

// writer writes to a fake API server.
func writer() (*kube.Writer, *apiserver.Server) {
	s := apiserver.New()
	return &kube.Writer{Reader: s.Operator, Client: s.Operator, Scheme: s.Scheme}, s
}

func service(port int32) *corev1ac.ServiceApplyConfiguration {
	return corev1ac.Service("demo", "ns").WithLabels(map[string]string{"a": "b"}).
		WithSpec(corev1ac.ServiceSpec().WithSelector(map[string]string{"role": "x"}).
			WithPorts(corev1ac.ServicePort().WithName("sql").WithPort(port).WithProtocol(corev1.ProtocolTCP)))
}

func claim(size string) *corev1ac.PersistentVolumeClaimApplyConfiguration {
	return corev1ac.PersistentVolumeClaim("demo-dn1-1", "ns").
		WithSpec(corev1ac.PersistentVolumeClaimSpec().WithAccessModes(corev1.ReadWriteOnce).
			WithResources(corev1ac.VolumeResourceRequirements().
				WithRequests(corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)})))
}

func policy(ports ...int) *networkingv1ac.NetworkPolicyApplyConfiguration {
	rule := networkingv1ac.NetworkPolicyIngressRule()
	for _, p := range ports {
		rule.WithPorts(networkingv1ac.NetworkPolicyPort().WithPort(intstr.FromInt(p)))
	}
	return networkingv1ac.NetworkPolicy("demo", "ns").WithSpec(networkingv1ac.NetworkPolicySpec().
		WithPolicyTypes(networkingv1.PolicyTypeIngress).WithIngress(rule))
}

// applied applies and demands that it took a write, or none.
func applied(t *testing.T, w *kube.Writer, o runtime.ApplyConfiguration, wants bool) {
	t.Helper()
	wrote, err := w.Apply(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if wrote != wants {
		t.Fatalf("wrote: %t, expected: %t", wrote, wants)
	}
}

func get[T client.Object](t *testing.T, c client.Client, name string, o T) T {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: name}, o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestWhatIsAsWantedIsNotWrittenAgain(t *testing.T) {
	for name, make := range map[string]func() runtime.ApplyConfiguration{
		"a Service":                       func() runtime.ApplyConfiguration { return service(5432) },
		"a claim":                         func() runtime.ApplyConfiguration { return claim("1Gi") },
		"a NetworkPolicy":                 func() runtime.ApplyConfiguration { return policy(5432, 9187) },
		"a policy that lets everybody in": func() runtime.ApplyConfiguration { return policy() },
		"a ConfigMap": func() runtime.ApplyConfiguration {
			return corev1ac.ConfigMap("demo", "ns").WithData(map[string]string{"gc.json": "{}\n"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := writer()
			applied(t, w, make(), true)
			applied(t, w, make(), false)
			applied(t, w, make(), false)
		})
	}
}

func TestWhatOthersAddIsLeftAlone(t *testing.T) {
	w, server := writer()
	c := server.World
	applied(t, w, service(5432), true)
	s := get(t, c, "demo", &corev1.Service{})
	s.Labels["theirs"], s.Spec.ClusterIP = "yes", "10.96.0.1"
	if err := c.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	applied(t, w, service(5432), false)
	applied(t, w, service(5433), true)
	if s = get(t, c, "demo", &corev1.Service{}); s.Labels["theirs"] != "yes" || s.Spec.ClusterIP != "10.96.0.1" || s.Spec.Ports[0].Port != 5433 {
		t.Errorf("labels %v, ClusterIP %s, ports %v", s.Labels, s.Spec.ClusterIP, s.Spec.Ports)
	}
}

func TestWhatOthersChangedIsWrittenAgain(t *testing.T) {
	for name, change := range map[string]func(*corev1.Service){
		"a field":           func(s *corev1.Service) { s.Spec.Selector["role"] = "y" },
		"a label":           func(s *corev1.Service) { delete(s.Labels, "a") },
		"an item of a list": func(s *corev1.Service) { s.Spec.Ports[0].Port = 1 },
		"one item too many": func(s *corev1.Service) { s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "x", Port: 7}) },
		"the hash":          func(s *corev1.Service) { s.Annotations = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w, server := writer()
			c := server.World
			applied(t, w, service(5432), true)
			s := get(t, c, "demo", &corev1.Service{})
			change(s)
			if err := c.Update(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			applied(t, w, service(5432), true)
			s = get(t, c, "demo", &corev1.Service{})
			if s.Spec.Selector["role"] != "x" || s.Labels["a"] != "b" || len(s.Spec.Ports) != 1 || s.Spec.Ports[0].Port != 5432 {
				t.Errorf("selector %v, labels %v, ports %v", s.Spec.Selector, s.Labels, s.Spec.Ports)
			}
			applied(t, w, service(5432), false)
		})
	}
}

func TestAFieldThatIsNotWantedAnyMoreIsTakenAway(t *testing.T) {
	w, server := writer()
	c := server.World
	applied(t, w, corev1ac.ConfigMap("demo", "ns").WithData(map[string]string{"dn1.json": "1", "dn2.json": "2"}), true)
	less := corev1ac.ConfigMap("demo", "ns").WithData(map[string]string{"dn1.json": "1"})
	applied(t, w, less, true)
	if m := get(t, c, "demo", &corev1.ConfigMap{}); len(m.Data) != 1 {
		t.Errorf("data: %v", m.Data)
	}
	applied(t, w, less, false)
}

func TestAnotherSpellingOfAQuantityIsNoDifference(t *testing.T) {
	w, server := writer()
	c := server.World
	applied(t, w, claim("1Gi"), true)
	p := get(t, c, "demo-dn1-1", &corev1.PersistentVolumeClaim{})
	p.Spec.Resources.Requests[corev1.ResourceStorage] = *resource.NewQuantity(1<<30, resource.DecimalSI)
	if err := c.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	applied(t, w, claim("1Gi"), false)
	applied(t, w, claim("1024Mi"), false)
	applied(t, w, claim("2Gi"), true)
}

func TestARefusedWriteSaysWhatWasWritten(t *testing.T) {
	refusal := errors.New("no")
	w, server := writer()
	server.Refuse = func(apiserver.Write) error { return refusal }
	wrote, err := w.Apply(t.Context(), service(5432))
	if wrote || !errors.Is(err, refusal) || !strings.Contains(err.Error(), "apply Service ns/demo") {
		t.Errorf("wrote %t, %v", wrote, err)
	}
}

func TestAStatusIsWrittenOnlyWhenItDiffers(t *testing.T) {
	_, server := writer()
	c := server.Operator
	cluster := &v1alpha1.AntDBCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "ns"}}
	if err := c.Create(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	phase := func(p string) func(*v1alpha1.AntDBCluster) {
		return func(c *v1alpha1.AntDBCluster) { c.Status.Phase = p }
	}
	stale := cluster.DeepCopy()
	for _, step := range []struct {
		phase string
		wrote bool
	}{{"", false}, {"Creating", true}} {
		if wrote, err := kube.PatchStatus(t.Context(), c, cluster, phase(step.phase)); err != nil || wrote != step.wrote {
			t.Fatalf("phase %q: wrote %t, %v", step.phase, wrote, err)
		}
	}
	now := get(t, c, "demo", &v1alpha1.AntDBCluster{})
	if now.Status.Phase != "Creating" {
		t.Errorf("phase %q", now.Status.Phase)
	}
	if wrote, err := kube.PatchStatus(t.Context(), c, now, phase("Creating")); err != nil || wrote {
		t.Errorf("an equal status: wrote %t, %v", wrote, err)
	}
	if _, err := kube.PatchStatus(t.Context(), c, stale, phase("Ready")); err == nil {
		t.Error("a status was written over one that had changed since it was read")
	}
}
