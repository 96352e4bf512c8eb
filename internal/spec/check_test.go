// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/spec"
)

func TestCheckNamesFieldValueAndRuleOfWhatTheCRDCannotSee(t *testing.T) {
	for name, c := range map[string]struct {
		cluster string
		// words of each finding, in order
		findings [][]string
	}{
		"a sound cluster": {cluster: least},
		"a name that leaves no room in pgxc_node": {
			cluster:  "metadata: {name: " + strings.Repeat("x", 40) + ", namespace: a-namespace-of-some-length}" + least,
			findings: [][]string{{"metadata.name", strings.Repeat("x", 40), "AntDB allows 63", "shorten"}},
		},
		"an override of a node that is not there yet": {
			cluster: strings.Replace(least, "datanodes: {count: 3,", "datanodes: {count: 3, overrides: [{name: dn4}],", 1),
		},
		"an override of a coordinator among the datanodes": {
			cluster:  strings.Replace(least, "datanodes: {count: 3,", "datanodes: {count: 3, overrides: [{name: cn1}],", 1),
			findings: [][]string{{"spec.datanodes.overrides", `"cn1"`, "not the name of a datanode"}},
		},
		"a WAL volume for one node where the role has none": {
			cluster:  strings.Replace(least, "coordinators: {count: 2,", "coordinators: {count: 2, overrides: [{name: cn1, walStorage: {size: 1Gi}}],", 1),
			findings: [][]string{{"spec.coordinators.overrides[cn1].walStorage", "allowed only where spec.coordinators.walStorage is set"}},
		},
		"a size that is no quantity": {
			cluster:  strings.Replace(least, "gtm: {storage: {size: 1Gi}}", "gtm: {storage: {size: much}}", 1),
			findings: [][]string{{"storage of gc", "above 0", "10Gi"}},
		},
		"a WAL volume of no size": {
			cluster:  strings.Replace(least, "gtm: {storage: {size: 1Gi}}", "gtm: {storage: {size: 1Gi}, walStorage: {size: \"0\"}}", 1),
			findings: [][]string{{"storage of gc"}},
		},
		"several at once": {
			cluster: strings.Replace(strings.Replace(least, "gtm: {storage: {size: 1Gi}}", "gtm: {storage: {size: -1Gi}}", 1),
				"datanodes: {count: 3,", "datanodes: {count: 3, overrides: [{name: cn9, walStorage: {size: 1Gi}}],", 1),
			findings: [][]string{{"storage of gc"}, {`"cn9"`}, {"walStorage"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, c.findings, spec.Check(given(t, c.cluster)))
		})
	}
}

func expect(t *testing.T, want [][]string, got []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d findings, not %d: %v", len(got), len(want), got)
	}
	for i, words := range want {
		for _, w := range words {
			if !strings.Contains(got[i], w) {
				t.Errorf("finding %d does not say %q: %s", i, w, got[i])
			}
		}
	}
}

func TestCheckEscapeLetsOnlyMissingCoordinatorsBeLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		ask      string
		missing  []string
		findings [][]string
	}{
		"nothing is asked":             {ask: ""},
		"a missing coordinator":        {ask: "cn2", missing: []string{"cn2", "dn1"}},
		"two, however they are listed": {ask: " cn1,cn2 ", missing: []string{"cn1", "cn2"}},
		"a running coordinator":        {ask: "cn1", missing: []string{"cn2"}, findings: [][]string{{"antdb.io/escape-gtm-wait", `"cn1" is running`}}},
		"a datanode":                   {ask: "dn1", missing: []string{"dn1"}, findings: [][]string{{`"dn1" is a datanode`, "only coordinators"}}},
		"gc itself":                    {ask: "gc", missing: []string{"cn1"}, findings: [][]string{{`"gc" is a gtm`}}},
		"a node of another cluster":    {ask: "cn9", missing: []string{"cn2"}, findings: [][]string{{`"cn9" is not a node of this cluster`}}},
		"no name of a node":            {ask: "all", findings: [][]string{{`"all" is not a node of this cluster`}}},
		"one good and one bad":         {ask: "cn2,dn1", missing: []string{"cn2", "dn1"}, findings: [][]string{{`"dn1"`}}},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := given(t, least)
			cluster.Annotations = map[string]string{"antdb.io/escape-gtm-wait": c.ask}
			want := spec.Resolve(cluster)
			expect(t, c.findings, want.CheckEscape(c.missing))
		})
	}
}

func TestLongestNodeIsTheOneWithTheLongestName(t *testing.T) {
	c := spec.Resolve(given(t, strings.Replace(least, "count: 3", "count: 12", 1)))
	if got := c.LongestNode(); len(got) != 4 {
		t.Errorf("longest is %q", got)
	}
}
