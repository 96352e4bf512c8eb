// SPDX-License-Identifier: Apache-2.0

package daemons_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/daemons"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
)

func plan() daemons.Plan {
	return daemons.Plan{State: "/p/.sandbox", Programs: "/cache/kubernetes", Roots: "r1"}
}

func render(t *testing.T, p daemons.Plan, name string) daemons.Text {
	t.Helper()
	h, err := layout.Find(name, layout.MaxWorkers)
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.Host(h, []string{"/sys/fs/cgroup/x/cgroup.procs"})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEachHostRunsItsDaemonsInTheOrderOfTheirNeeds(t *testing.T) {
	for host, want := range map[string][]string{
		"control": {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "volume-provisioner", "kube-proxy"},
		"node2":   {"containerd", "kubelet", "kube-proxy"},
	} {
		var got []string
		for i, d := range render(t, plan(), host).Spec.Daemons {
			got = append(got, d.Name)
			if (d.After == "") != (i == 0) {
				t.Errorf("%s of %s waits for %q", d.Name, host, d.After)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("daemons of %s (-want +got):\n%s", host, diff)
		}
	}
}

func TestEveryFlagNamesAFileOfTheState(t *testing.T) {
	for _, host := range []string{"control", "node1"} {
		for _, d := range render(t, plan(), host).Spec.Daemons {
			for _, arg := range d.Command {
				_, value, _ := strings.Cut(arg, "=")
				if strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "/p/.sandbox/") && value != "/var/lib/kubelet" {
					t.Errorf("%s of %s: %s is outside the state", d.Name, host, arg)
				}
			}
		}
	}
}

func TestTheKubeletsConfigurationIsYAMLWithTheHostsOwnValues(t *testing.T) {
	text := render(t, plan(), "node2")
	var got struct {
		Kind, Address, CgroupRoot, ResolvConf string
		ClusterDNS                            []string
		FailCgroupV1                          *bool
		OOMScoreAdj                           *int
	}
	if err := yaml.Unmarshal(text.Files["/p/.sandbox/hosts/node2/etc/kubelet.yaml"], &got); err != nil {
		t.Fatal(err)
	}
	if got.Kind != "KubeletConfiguration" || got.Address != "10.89.0.12" || got.CgroupRoot != "/antdb-sandbox/node2" {
		t.Errorf("configuration %+v", got)
	}
	if got.FailCgroupV1 == nil || *got.FailCgroupV1 {
		t.Error("a kubelet that refuses version 1 of control groups does not start on many machines")
	}
	if got.OOMScoreAdj == nil || *got.OOMScoreAdj != 0 {
		t.Error("the kubelet lowers its oom score, which not every root may do")
	}
	if _, ok := text.Files[got.ResolvConf]; !ok {
		t.Errorf("resolver file %s is not written: pods would get the machine's own", got.ResolvConf)
	}
}

func TestPodsOfAHostHaveItsRange(t *testing.T) {
	for _, h := range layout.Workers(layout.MaxWorkers) {
		file := render(t, plan(), h.Name).Files["/p/.sandbox/hosts/"+h.Name+"/etc/cni/10-sandbox.conflist"]
		if !json.Valid(file) || !strings.Contains(string(file), `"subnet": "`+h.PodNet()+`"`) {
			t.Errorf("pod network of %s:\n%s", h.Name, file)
		}
	}
}

// A minSyncPeriod of zero is taken for none given, which is a second.
func TestServicesFollowTheirPodsAtOnce(t *testing.T) {
	found := false
	for path, text := range render(t, plan(), "node1").Files {
		found = found || strings.Contains(path, "proxy") && strings.Contains(string(text), "minSyncPeriod: 100ms")
	}
	if !found {
		t.Error("kube-proxy is not told to follow within 100ms")
	}
}

func TestAStateWithSpacesAndQuotesStaysOneArgument(t *testing.T) {
	p := plan()
	p.State = `/a "b"/.sandbox`
	text := render(t, p, "node1")
	config := string(text.Files[`/a "b"/.sandbox/hosts/node1/etc/containerd.toml`])
	if !strings.Contains(config, `conf_dir = "/a \"b\"/.sandbox/hosts/node1/etc/cni"`) {
		t.Errorf("containerd's configuration:\n%s", config)
	}
}

func TestTheTextChangesExactlyWhenAHostMustRestart(t *testing.T) {
	encode := func(p daemons.Plan, host string) string {
		text, err := render(t, p, host).Spec.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	base := encode(plan(), "node1")
	if encode(plan(), "node1") != base {
		t.Error("the same plan gives another text")
	}
	for name, change := range map[string]func(*daemons.Plan){
		"other programs":    func(p *daemons.Plan) { p.Programs = "/cache/new" },
		"other authorities": func(p *daemons.Plan) { p.Roots = "r2" },
	} {
		p := plan()
		change(&p)
		if encode(p, "node1") == base {
			t.Errorf("%s: the host is not restarted", name)
		}
	}
}

func TestAContentOfAFileChangesTheStamp(t *testing.T) {
	a, b := render(t, plan(), "node1"), render(t, plan(), "node2")
	if a.Spec.Stamp == b.Spec.Stamp || a.Spec.Stamp == "" {
		t.Errorf("stamps %q and %q", a.Spec.Stamp, b.Spec.Stamp)
	}
}

func TestMountPointsAreAmongTheHiddenPlaces(t *testing.T) {
	for _, b := range render(t, plan(), "node1").Spec.Binds {
		if !slices.Contains(daemons.Hidden(), b.To) {
			t.Errorf("%s is bound over, but a state there would not be refused", b.To)
		}
	}
}
