// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/render"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// pod is the pod of a node as the API server reads it.
func pod(t *testing.T, c *spec.Cluster, node string, op render.Operator) *corev1.Pod {
	t.Helper()
	n, ok := c.Node(node)
	if !ok {
		t.Fatalf("no node %s", node)
	}
	text, err := json.Marshal(render.Pod(c, n, naming.Instance(c.Name, node, 1), op, "1"))
	if err != nil {
		t.Fatal(err)
	}
	p := &corev1.Pod{}
	if err := json.Unmarshal(text, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// volumeAllowed tells whether the standard allows a volume, as far as pods here have such.
func volumeAllowed(v corev1.Volume) bool {
	s := v.VolumeSource
	return s.ConfigMap != nil || s.EmptyDir != nil || s.PersistentVolumeClaim != nil || s.Secret != nil
}

func TestPodsKeepThePodSecurityStandardRestricted(t *testing.T) {
	for name, text := range map[string]string{"plain": plain, "rich": rich} {
		c := resolved(t, text)
		for _, n := range c.Nodes {
			p := pod(t, c, n.Name, operator)
			problem := func(what string, broken bool) {
				if broken {
					t.Errorf("%s, pod %s: %s", name, p.Name, what)
				}
			}
			s := p.Spec
			problem("it uses the host's namespaces", s.HostNetwork || s.HostPID || s.HostIPC)
			problem("it may run as root", s.SecurityContext.RunAsNonRoot == nil || !*s.SecurityContext.RunAsNonRoot ||
				s.SecurityContext.RunAsUser == nil || *s.SecurityContext.RunAsUser == 0)
			problem("it has no seccomp profile", s.SecurityContext.SeccompProfile == nil ||
				s.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault)
			problem("it sets sysctls", len(s.SecurityContext.Sysctls) > 0)
			for _, v := range s.Volumes {
				problem("volume "+v.Name+" is of a kind that is not allowed", !volumeAllowed(v))
			}
			for _, x := range slices.Concat(s.InitContainers, s.Containers) {
				sc := x.SecurityContext
				problem(x.Name+" may gain privileges", sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation)
				problem(x.Name+" is privileged", sc.Privileged != nil && *sc.Privileged)
				problem(x.Name+" keeps capabilities", sc.Capabilities == nil || !slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(sc.Capabilities.Add) > 0)
				problem(x.Name+" undoes what the pod says", sc.RunAsNonRoot != nil && !*sc.RunAsNonRoot || sc.RunAsUser != nil && *sc.RunAsUser == 0)
				for _, port := range x.Ports {
					problem(x.Name+" uses a port of the host", port.HostPort != 0)
				}
			}
		}
	}
}

func TestEveryMountHasItsVolume(t *testing.T) {
	for _, text := range []string{plain, rich} {
		c := resolved(t, text)
		for _, n := range c.Nodes {
			p := pod(t, c, n.Name, operator)
			mounted := map[string]bool{}
			for _, x := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
				for _, m := range x.VolumeMounts {
					mounted[m.Name] = true
				}
			}
			for _, v := range p.Spec.Volumes {
				if !mounted[v.Name] {
					t.Errorf("pod %s: volume %s is mounted nowhere", p.Name, v.Name)
				}
				delete(mounted, v.Name)
			}
			if len(mounted) > 0 {
				t.Errorf("pod %s mounts what it does not have: %v", p.Name, mounted)
			}
		}
	}
}

func TestANewOperatorReplacesNoPod(t *testing.T) {
	c := resolved(t, rich)
	newer := render.Operator{Image: "operator:2", Namespace: "elsewhere"}
	for _, n := range c.Nodes {
		old, now := pod(t, c, n.Name, operator), pod(t, c, n.Name, newer)
		if old.Annotations[naming.AnnotationTemplate] != now.Annotations[naming.AnnotationTemplate] {
			t.Errorf("the template of %s changes with the operator's version", n.Name)
		}
		if now.Spec.InitContainers[0].Image != "operator:2" {
			t.Errorf("the instance manager comes from %s", now.Spec.InitContainers[0].Image)
		}
	}
}

func TestTheTemplateChangesWithWhatNeedsANewPodAndWithNothingElse(t *testing.T) {
	template := func(text, node string) string {
		c := resolved(t, text)
		n, _ := c.Node(node)
		return render.Template(c, n)
	}
	before := template(rich, "dn1")
	for name, c := range map[string]struct {
		old, new string
		differs  bool
	}{
		"the image":                         {"image: antdb:5-big", "image: antdb:6", true},
		"the user":                          {"engineUser: 70", "engineUser: 71", true},
		"memory":                            {"memory: 2Gi", "memory: 3Gi", true},
		"the hosts":                         {"disk: ssd", "disk: nvme", true},
		"a toleration":                      {"effect: NoSchedule", "effect: NoExecute", true},
		"the spread over hosts":             {"podAntiAffinity: required", "podAntiAffinity: preferred", true},
		"another superuser Secret":          {"superuserSecret: {name: mine}", "superuserSecret: {name: yours}", true},
		"the image of another role":         {"image: antdb:5\n", "image: antdb:6\n", false},
		"the size of a volume":              {"size: 10Gi", "size: 20Gi", false},
		"another spelling of a size":        {"memory: 2Gi", "memory: 2048Mi", false},
		"a network policy":                  {"team: shop", "team: office", false},
		"the pull policy":                   {"imagePullPolicy: Always", "imagePullPolicy: Never", false},
		"what becomes of volumes at an end": {"volumeRetention: Retain", "volumeRetention: Delete", false},
		"a parameter":                       {"engineUser: 70", "engineUser: 70\n  parameters: {work_mem: 8MB}", false},
	} {
		if !strings.Contains(rich, c.old) {
			t.Fatalf("%s: the spec has no %q", name, c.old)
		}
		if changed := template(strings.Replace(rich, c.old, c.new, 1), "dn1") != before; changed != c.differs {
			t.Errorf("%s changes the template: %t, expected: %t", name, changed, c.differs)
		}
	}
}

func TestEachServiceSelectsThePodsItIsFor(t *testing.T) {
	c := resolved(t, plain)
	labels := map[string]map[string]string{}
	for _, n := range c.Nodes {
		labels[n.Name] = pod(t, c, n.Name, operator).Labels
	}
	for _, name := range []string{"gc", "cn1", "dn1"} {
		up := maps.Clone(labels[name])
		up[naming.LabelAccepting] = "true"
		labels[name+" up"] = up
	}
	serving := maps.Clone(labels["cn1 up"])
	serving[naming.LabelServing] = "true"
	labels["cn1 serving"] = serving
	for _, s := range render.Services(c) {
		var selected []string
		for name, have := range labels {
			all := true
			for k, v := range s.Spec.Selector {
				all = all && have[k] == v
			}
			if all {
				selected = append(selected, name)
			}
		}
		slices.Sort(selected)
		want := map[string]string{
			"demo": "cn1 serving", "demo-gc": "gc up", "demo-gc-h": "gc up", "demo-cn1": "cn1 serving,cn1 up",
			"demo-cn1-h": "cn1 serving,cn1 up", "demo-dn1": "dn1 up", "demo-dn1-h": "dn1 up",
		}[*s.Name]
		if got := strings.Join(selected, ","); got != want {
			t.Errorf("Service %s selects %q, not %q", *s.Name, got, want)
		}
		if s.Spec.PublishNotReadyAddresses != nil && *s.Spec.PublishNotReadyAddresses {
			t.Errorf("Service %s publishes addresses that are going away", *s.Name)
		}
		if headless := s.Spec.ClusterIP != nil && *s.Spec.ClusterIP == corev1.ClusterIPNone; headless != strings.HasSuffix(*s.Name, "-h") {
			t.Errorf("Service %s is headless: %t", *s.Name, headless)
		}
	}
}

func TestVolumesThatAreToBeKeptHaveNoOwner(t *testing.T) {
	for text, owners := range map[string]int{plain: 1, rich: 0} {
		c := resolved(t, text)
		n, _ := c.Node("dn1")
		for _, v := range render.Volumes(n, "demo-dn1-1") {
			claim := render.Claim(c, n, v)
			if len(claim.OwnerReferences) != owners {
				t.Errorf("claim %s has %d owners, not %d", v.Name, len(claim.OwnerReferences), owners)
			}
			if claim.Annotations[naming.AnnotationClusterUID] != "uid-1" {
				t.Errorf("claim %s does not tell whose data it holds", v.Name)
			}
		}
	}
}
