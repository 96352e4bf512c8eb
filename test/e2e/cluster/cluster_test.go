// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
)

func TestParseWantReadsConditionsWithAndWithoutReason(t *testing.T) {
	for text, want := range map[string]cluster.Want{
		"Ready=True":                              {Type: "Ready", Status: "True"},
		"GTMAvailable=False:GTMWaitsForNodes":     {Type: "GTMAvailable", Status: "False", Reason: "GTMWaitsForNodes"},
		"ConfigurationApplied=Unknown:Restarting": {Type: "ConfigurationApplied", Status: "Unknown", Reason: "Restarting"},
	} {
		have, err := cluster.ParseWant(text)
		if err != nil || have != want || have.String() != text {
			t.Errorf("%s reads as %+v (%v)", text, have, err)
		}
	}
}

func TestParseWantRefusesWhatIsNoCondition(t *testing.T) {
	for _, text := range []string{"", "Ready", "=True", "Ready=true", "Ready=Yes:Because"} {
		if w, err := cluster.ParseWant(text); err == nil || !strings.Contains(err.Error(), "write Type=Status") {
			t.Errorf("%q reads as %+v (%v)", text, w, err)
		}
	}
}

func TestParseTargetFindsClusterAndNode(t *testing.T) {
	for text, want := range map[string]cluster.Target{
		"cn1": {Cluster: "demo", Node: "cn1"}, "app": {Cluster: "demo", Node: "app"},
		"east/dn2": {Cluster: "east", Node: "dn2"}, "east/app": {Cluster: "east", Node: "app"},
	} {
		if have, err := cluster.ParseTarget(text, "demo"); err != nil || have != want {
			t.Errorf("%s reads as %+v (%v)", text, have, err)
		}
	}
	for _, text := range []string{"", "/cn1", "east/", "a/b/c"} {
		if have, err := cluster.ParseTarget(text, "demo"); err == nil {
			t.Errorf("%q reads as %+v", text, have)
		}
	}
}

func TestSinceTellsWhatHappenedToEachObject(t *testing.T) {
	before := cluster.Inventory{"pods/same": "u1 7", "pods/written": "u2 8", "pods/anew": "u3 9", "pods/gone": "u4 9"}
	after := cluster.Inventory{"pods/same": "u1 7", "pods/written": "u2 12", "pods/anew": "u5 13", "pods/new": "u6 14"}
	want := []string{"pods/anew was made anew", "pods/gone is gone", "pods/new is new", "pods/written was written"}
	if diff := cmp.Diff(want, after.Since(before)); diff != "" {
		t.Errorf("differences differ (-want +have):\n%s", diff)
	}
	if diff := after.Since(after); len(diff) > 0 {
		t.Errorf("an inventory differs from itself: %v", diff)
	}
}

func TestSumMetricsAddsUpLabels(t *testing.T) {
	have, err := cluster.SumMetrics([]byte("# HELP a b c\na{kind=\"x y\"} 2\na{kind=\"z\"} 3.5\nb 1e+06\n\n"))
	if diff := cmp.Diff(map[string]float64{"a": 5.5, "b": 1e6}, have); err != nil || diff != "" {
		t.Errorf("sums differ (-want +have), error %v:\n%s", err, diff)
	}
	if _, err := cluster.SumMetrics([]byte("a b\n")); err == nil {
		t.Error("a word is taken for a number")
	}
}
