// SPDX-License-Identifier: Apache-2.0

package instanceapi_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

func TestEqualConfigurationsHaveEqualHashesAndOthersHaveNot(t *testing.T) {
	config := func() instanceapi.Config {
		return instanceapi.Config{Parameters: map[string]string{"a": "1", "b": "2", "c": "3"}, HBA: []string{"x", "y"}, GTMHost: "gc"}
	}
	before := config()
	seen := map[string]string{before.Hash(): "the original"}
	for range 20 { // the order of a map is another one each time
		if again := config(); again.Hash() != before.Hash() {
			t.Fatal("equal configurations have different hashes")
		}
	}
	for name, change := range map[string]func(*instanceapi.Config){
		"another value":         func(c *instanceapi.Config) { c.Parameters["a"] = "2" },
		"one parameter less":    func(c *instanceapi.Config) { delete(c.Parameters, "a") },
		"another order of HBA":  func(c *instanceapi.Config) { c.HBA = []string{"y", "x"} },
		"another gc":            func(c *instanceapi.Config) { c.GTMHost = "gc2" },
		"access of a superuser": func(c *instanceapi.Config) { c.SuperuserAccess = true },
	} {
		c := config()
		change(&c)
		if other, taken := seen[c.Hash()]; taken {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[c.Hash()] = name
	}
}

func TestAConfigurationKeepsItsHashOnItsWay(t *testing.T) {
	for _, c := range []instanceapi.Config{
		{},
		{Parameters: map[string]string{}, HBA: []string{}},
		{Parameters: map[string]string{"search_path": `"$user", public <&>`}, HBA: []string{"host all all all md5"}, GTMHost: "é"},
	} {
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back instanceapi.Config
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if back.Hash() != c.Hash() {
			t.Errorf("%s arrives as %+v with another hash", text, back)
		}
	}
}

func TestATopologyArrivesAsItWasSent(t *testing.T) {
	sent := instanceapi.Topology{Generation: 3, Topology: topology.Topology{Nodes: []topology.Node{
		{Name: "gc", Type: antdb.TypeCoordinator, Host: "h", Port: 5432, GTM: true},
		{Name: "dn1", Type: antdb.TypeDatanode, Host: "h", Port: 5432, Primary: true, Preferred: true},
	}}}
	text, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	var got instanceapi.Topology
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sent, got); d != "" || got.Hash() != sent.Hash() {
		t.Errorf("%s arrives as (-sent +got):\n%s", text, d)
	}
}
