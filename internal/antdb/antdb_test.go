// SPDX-License-Identifier: Apache-2.0

package antdb_test

import (
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

func TestParseNodeNameTakesTheNamesThatNodeNameMakes(t *testing.T) {
	for _, c := range []struct {
		name   string
		role   antdb.Role
		number int
	}{
		{"gc", antdb.RoleGTM, 1},
		{"cn1", antdb.RoleCoordinator, 1},
		{"cn15", antdb.RoleCoordinator, 15},
		{"dn1", antdb.RoleDatanode, 1},
		{"dn100", antdb.RoleDatanode, 100},
	} {
		role, number, err := antdb.ParseNodeName(c.name)
		if err != nil || role != c.role || number != c.number {
			t.Errorf("%s is read as %s number %d, %v", c.name, role, number, err)
		}
		if made := antdb.NodeName(c.role, c.number); made != c.name {
			t.Errorf("%s number %d is called %s, not %s", c.role, c.number, made, c.name)
		}
	}
}

func TestParseNodeNameRefusesEverythingElseAndSaysWhatIsAllowed(t *testing.T) {
	for _, name := range []string{
		"", "gc1", "GC", "cn", "cn0", "cn01", "CN1", "cn-1", "cn1 ", " cn1", "xn1", "dn1s1", "dn1\n",
	} {
		_, _, err := antdb.ParseNodeName(name)
		if err == nil {
			t.Errorf("%q was taken", name)
			continue
		}
		if !strings.Contains(err.Error(), "gc, cn1, cn2, … and dn1, dn2, …") {
			t.Errorf("the refusal of %q does not say what is allowed: %v", name, err)
		}
	}
	if _, _, err := antdb.ParseNodeName("dn99999999999999999999"); err == nil {
		t.Error("a number beyond all numbers was taken")
	}
}

func TestEachRoleHasItsFlagItsTypeAndItsCatalog(t *testing.T) {
	for _, c := range []struct {
		role    antdb.Role
		flag    string
		kind    antdb.NodeType
		word    string
		catalog bool
	}{
		{antdb.RoleGTM, "--gtm_coord", antdb.TypeCoordinator, "coordinator", true},
		{antdb.RoleCoordinator, "--coordinator", antdb.TypeCoordinator, "coordinator", true},
		{antdb.RoleDatanode, "--datanode", antdb.TypeDatanode, "datanode", false},
	} {
		kind := antdb.TypeOf(c.role)
		if c.role.Flag() != c.flag || kind != c.kind || kind.Word() != c.word || c.role.HoldsCatalog() != c.catalog {
			t.Errorf("%s: flag %s, type %s (%s), holds the catalog: %t", c.role, c.role.Flag(), kind, kind.Word(), c.role.HoldsCatalog())
		}
	}
}
