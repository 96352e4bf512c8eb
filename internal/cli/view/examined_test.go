// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"fmt"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

func TestChecksAreTablesAndWhyTheyFailedIsToldOnce(t *testing.T) {
	r := examine.Result{
		Instances: []examine.Check{{To: "gc", Up: true, Micros: 312}, {To: "cn1", Up: true, Micros: 12_400}, {To: "cn2", Message: "pod demo-cn2-1 does not\nanswer"}},
		Services:  []examine.Check{{From: "cn1", To: "demo", Up: true, Micros: 1_230_000}, {From: "cn1", To: "demo-cn2", Message: "connection refused"}},
		Catalogs:  examine.Check{To: "gc, cn1", Message: "cannot be read on cn2"},
		Objects:   examine.Check{Message: "cannot be read everywhere"},
	}
	for _, from := range []string{"gc", "cn1", "cn2"} {
		for i := 1; i <= 10; i++ {
			c := examine.Check{From: from, To: fmt.Sprintf("dn%d", i), Up: from != "cn2", Micros: int64(900 + i)}
			if !c.Up {
				c.Micros, c.Message = 0, "no statement runs on cn2"
			}
			if from == "cn1" && i == 3 {
				c.Up, c.Message = false, "no route to host"
			}
			r.Paths = append(r.Paths, c)
		}
	}
	golden(t, "test", func(s view.Style) string { return view.Test(s, "demo", &r) })
}

func TestFindingsSayWhatWhyAndWhatToRun(t *testing.T) {
	found := []examine.Finding{
		{Weight: examine.Problem, What: "gc is away: no host takes its pod", Why: "0/2 nodes are available: 2 node(s) were unschedulable, and some more words that do not fit on one line. Without gc no statement runs anywhere.", Run: []string{"kubectl describe pod demo-gc-1", "kubectl get nodes"}},
		{Weight: examine.Warning, What: "the data volume of dn1 is 85% full", Why: "it will be full"},
		{Weight: examine.Note, What: "somebody else changed pgxc_node on cn1 3 times", Why: "it was repaired"},
	}
	golden(t, "findings", func(s view.Style) string {
		return view.Findings(s, "demo", found, []string{"pods (your account may not list them)"})
	})
	golden(t, "findings-none", func(s view.Style) string { return view.Findings(s, "demo", nil, nil) })
}

func TestCatalogsStandSideBySide(t *testing.T) {
	row := func(name, host string) topology.Node {
		return topology.Node{Name: name, Type: "D", Host: host, Port: 5432}
	}
	dn1, dn2, other := row("dn1", "demo-dn1-h.prod.svc"), row("dn2", "demo-dn2-h.prod.svc"), row("dn1", "10.0.0.1")
	c := examine.Comparison{
		Holders: []string{"gc", "cn1", "cn2"}, Silent: map[string]string{"cn3": "it does not answer"}, Against: examine.AgainstWanted,
		Rows: []examine.CatalogRow{
			{Node: "dn1", Want: &dn1, Have: map[string]topology.Node{"gc": dn1, "cn1": dn1, "cn2": other}},
			{Node: "dn2", Want: &dn2, Have: map[string]topology.Node{"gc": dn2, "cn2": dn2}},
			{Node: "stranger", Have: map[string]topology.Node{"cn1": row("stranger", "x")}},
		},
	}
	golden(t, "catalogs", func(s view.Style) string { return view.Catalogs(s, "demo", &c) })
	c.Rows, c.Silent = c.Rows[:1], nil
	c.Rows[0].Have["cn2"] = dn1
	golden(t, "catalogs-same", func(s view.Style) string { return view.Catalogs(s, "demo", &c) })
}
