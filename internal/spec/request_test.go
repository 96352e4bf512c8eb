// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

func TestARequestIsAnIDAndNodes(t *testing.T) {
	for value, c := range map[string]struct {
		id, asks, wrong string // asks: of gc, cn1, cn2, dn1
	}{
		"2026-01-02T03:04:05Z":              {id: "2026-01-02T03:04:05Z", asks: "yyyy"},
		"2026-01-02T03:04:05.123+01:00/dn1": {id: "2026-01-02T03:04:05.123+01:00", asks: "nnny"},
		"r-1/gc, cn2":                       {id: "r-1", asks: "ynyn"},
		"":                                  {asks: "nnnn", wrong: `"": allowed is an id`},
		"/dn1":                              {asks: "nnnn", wrong: `"/dn1": allowed is an id`},
		"r1/":                               {id: "r1", asks: "nnnn", wrong: `"r1/": allowed is an id`},
		"r1#2":                              {id: "r1#2", asks: "nnnn", wrong: "allowed is an id"},
		strings.Repeat("x", 64):             {id: strings.Repeat("x", 64), asks: "nnnn", wrong: "at most 63"},
		"r1/dn1,dn9":                        {id: "r1", asks: "nnnn", wrong: `"dn9" is not a node of this cluster`},
		"r1/DN1":                            {id: "r1", asks: "nnnn", wrong: `"DN1" is not a node of this cluster`},
	} {
		cluster := &v1alpha1.AntDBCluster{}
		cluster.Name, cluster.Annotations = "demo", map[string]string{v1alpha1.AnnotationRestart: value}
		cluster.Spec.Coordinators.Count, cluster.Spec.Datanodes.Count = 2, 1
		want := spec.Resolve(cluster)
		r := want.Restart
		if r == nil {
			t.Errorf("%q is no request", value)
			continue
		}
		asks := ""
		for _, node := range []string{"gc", "cn1", "cn2", "dn1"} {
			if r.Asks(node) {
				asks += "y"
			} else {
				asks += "n"
			}
		}
		if r.ID != c.id || asks != c.asks || (c.wrong == "") != (r.Wrong == "") || !strings.Contains(r.Wrong, c.wrong) {
			t.Errorf("%q: id %q, asks %s, wrong %q", value, r.ID, asks, r.Wrong)
		}
	}
	if want := spec.Resolve(&v1alpha1.AntDBCluster{}); want.Restart != nil || want.Restart.Asks("dn1") {
		t.Error("something is asked where nobody asked")
	}
}
