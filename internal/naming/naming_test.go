// SPDX-License-Identifier: Apache-2.0

package naming_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// longest is as long as the CRD lets a cluster's name be.
var longest = "c" + strings.Repeat("x", 44)

func nodes() map[string]antdb.Role {
	out := map[string]antdb.Role{antdb.GTMNode: antdb.RoleGTM}
	for i := 1; i <= 15; i++ {
		out[antdb.NodeName(antdb.RoleCoordinator, i)] = antdb.RoleCoordinator
	}
	for i := 1; i <= 16; i++ {
		out[antdb.NodeName(antdb.RoleDatanode, i)] = antdb.RoleDatanode
	}
	return out
}

// names are all names of a cluster by the kind of the object.
func names(cluster string) map[string][]string {
	out := map[string][]string{
		"Service": {naming.ApplicationService(cluster)},
		"Secret": {
			naming.SuperuserSecret(cluster), naming.ApplicationSecret(cluster), naming.CASecret(cluster), naming.InstancesTLSSecret(cluster),
		},
		"ConfigMap":      {naming.ConfigMap(cluster)},
		"ServiceAccount": {naming.ServiceAccount(cluster)},
		"NetworkPolicy":  {naming.NetworkPolicyCluster(cluster), naming.NetworkPolicyApplications(cluster)},
		"PodDisruptionBudget": {
			naming.PodDisruptionBudget(cluster, antdb.RoleGTM), naming.PodDisruptionBudget(cluster, antdb.RoleCoordinator),
			naming.PodDisruptionBudget(cluster, antdb.RoleDatanode),
		},
	}
	for node := range nodes() {
		out["Service"] = append(out["Service"], naming.NodeService(cluster, node), naming.HeadlessService(cluster, node))
		for _, serial := range []int{1, 2, 11, 999} {
			instance := naming.Instance(cluster, node, serial)
			out["Pod"] = append(out["Pod"], instance)
			out["PersistentVolumeClaim"] = append(out["PersistentVolumeClaim"], naming.DataVolume(instance), naming.WALVolume(instance))
		}
	}
	return out
}

func TestAllNamesOfAClusterAreUniqueLabelsOfDNS(t *testing.T) {
	for _, cluster := range []string{"demo", "a", longest} {
		for kind, all := range names(cluster) {
			seen := map[string]bool{}
			for _, name := range all {
				if seen[name] {
					t.Errorf("cluster %s has two objects of kind %s called %s", cluster, kind, name)
				}
				seen[name] = true
				if problems := validation.IsDNS1035Label(name); len(problems) > 0 {
					t.Errorf("%s %q of cluster %s: %v", kind, name, cluster, problems)
				}
			}
		}
	}
}

func TestAllLabelsAndAnnotationsAreValid(t *testing.T) {
	for node, role := range nodes() {
		for key, value := range naming.NodeLabels(longest, role, node) {
			if problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(problems) > 0 {
				t.Errorf("label %s=%s: %v", key, value, problems)
			}
		}
	}
	for _, key := range []string{
		naming.LabelServing, naming.LabelVolume, naming.LabelInstanceRole, naming.AnnotationClusterUID, naming.AnnotationTemplate,
		naming.AnnotationApplied, naming.AnnotationReport, naming.AnnotationNudge, naming.ConditionServing, naming.ConditionAccepting,
	} {
		if problems := validation.IsQualifiedName(key); len(problems) > 0 {
			t.Errorf("%s: %v", key, problems)
		}
	}
	if problems := validation.IsDNS1123Subdomain(naming.TLSServerName(longest, strings.Repeat("n", 63))); len(problems) > 0 {
		t.Errorf("name in the certificate: %v", problems)
	}
}

func TestASelectorOfARoleSelectsExactlyItsNodes(t *testing.T) {
	for node, role := range nodes() {
		for _, other := range []antdb.Role{antdb.RoleGTM, antdb.RoleCoordinator, antdb.RoleDatanode} {
			selected, labels := true, naming.NodeLabels("demo", role, node)
			for key, value := range naming.RoleSelector("demo", other) {
				selected = selected && labels[key] == value
			}
			if selected != (role == other) {
				t.Errorf("%s (%s) selected as %s: %t", node, role, other, selected)
			}
		}
	}
}

func TestCheckLengthAllows63BytesAndNotOneMore(t *testing.T) {
	// demo-dn16-h.NAMESPACE.svc
	fits := strings.Repeat("n", antdb.MaxHostBytes-len("demo-dn16-h."+".svc"))
	if err := naming.CheckLength("demo", fits, "dn16"); err != nil {
		t.Errorf("63 bytes are refused: %v", err)
	}
	err := naming.CheckLength("demo", fits+"n", "dn16")
	if err == nil {
		t.Fatal("64 bytes are taken")
	}
	for _, words := range []string{`"demo"`, fits + "n", "64 bytes", "AntDB allows 63", "by 1"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("the refusal does not say %q: %v", words, err)
		}
	}
	if err := naming.CheckLength("demo", fits+"nn", "dn9"); err == nil {
		t.Error("64 bytes with a shorter node name are taken")
	}
}

func TestParseInstanceReadsWhatInstanceMade(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cluster := rapid.StringMatching(`[a-z]([-a-z0-9]{0,20}[a-z0-9])?`).Draw(t, "cluster")
		role := rapid.SampledFrom([]antdb.Role{antdb.RoleGTM, antdb.RoleCoordinator, antdb.RoleDatanode}).Draw(t, "role")
		node := antdb.NodeName(role, rapid.IntRange(1, 99).Draw(t, "number"))
		serial := rapid.IntRange(1, 100000).Draw(t, "serial")
		gotNode, gotSerial, err := naming.ParseInstance(cluster, naming.Instance(cluster, node, serial))
		if err != nil || gotNode != node || gotSerial != serial {
			t.Fatalf("%s number %d of %s is read as %s number %d, %v", node, serial, cluster, gotNode, gotSerial, err)
		}
	})
}

func TestParseInstanceRefusesWhatInstanceNeverMakes(t *testing.T) {
	for name, why := range map[string]string{
		"demo":           "no node",
		"demo-dn1":       "no number",
		"demo-dn1-":      "an empty number",
		"demo-dn1-x":     "no number but a word",
		"demo-dn1-1-wal": "a claim",
		"demo-dn1--1":    "a negative number",
		"demo-dn1-+1":    "a sign",
		"demo-dn1-01":    "a leading zero",
		"demo-dn1-0":     "numbers begin with 1",
		"demo--1":        "an empty node",
		"demo2-dn1-1":    "another cluster",
		"demo-x-dn1-1":   "another cluster whose name begins like ours",
		"other-dn1-1":    "another cluster",
	} {
		if node, serial, err := naming.ParseInstance("demo", name); err == nil {
			t.Errorf("%s (%s) is read as %s number %d", name, why, node, serial)
		}
	}
}

func TestSecretsOfRolesHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]string{}
	for _, role := range []string{"a", "a_b", "a__b", "ab", "_a", "app", "superuser", strings.Repeat("r", 63)} {
		name := naming.RoleSecret(longest, role)
		if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
			t.Errorf("the Secret of %q cannot be called %q: %v", role, name, errs)
		}
		if other, taken := seen[name]; taken {
			t.Errorf("%q and %q share the Secret %s", role, other, name)
		}
		seen[name] = role
	}
}
