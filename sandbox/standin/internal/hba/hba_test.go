// SPDX-License-Identifier: Apache-2.0

package hba_test

import (
	"net/netip"
	"testing"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/hba"
)

const file = `# comment
local   all             all                                     trust
host    "app db",other  app, reader     10.0.0.0/8              scram-sha-256
hostssl all             all             192.168.1.1 255.255.0.0 scram-sha-256
host    replication     all             10.1.0.0/16             trust # nodes
host    sameuser        all             ::1/128                 trust
host    all             all             all                     reject
`

func TestTheFirstRuleThatCoversTheClientGoverns(t *testing.T) {
	rules, err := hba.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr
	for _, c := range []struct {
		client hba.Client
		line   int
	}{
		{hba.Client{Local: true, Database: "x", User: "y"}, 2},
		{hba.Client{Addr: addr("10.9.9.9"), Database: "app db", User: "reader"}, 3},
		{hba.Client{Addr: addr("::ffff:10.9.9.9"), Database: "other", User: "app"}, 3},
		{hba.Client{Addr: addr("10.9.9.9"), Database: "app", User: "app"}, 7},
		{hba.Client{Addr: addr("192.168.9.9"), TLS: true, Database: "x", User: "y"}, 4},
		{hba.Client{Addr: addr("192.168.9.9"), Database: "x", User: "y"}, 7},
		{hba.Client{Addr: addr("10.1.2.3"), Replication: true, User: "y"}, 5},
		{hba.Client{Addr: addr("10.1.2.3"), Database: "replication", User: "y"}, 7},
		{hba.Client{Addr: addr("::1"), Database: "y", User: "y"}, 6},
	} {
		r, ok := hba.Match(rules, c.client)
		if !ok || r.Line != c.line {
			t.Errorf("%+v: line %d, %v; want line %d", c.client, r.Line, ok, c.line)
		}
	}
}

func TestABadLineRefusesTheFile(t *testing.T) {
	for _, line := range []string{
		"nonsense", "host all all", "host all all 10.0.0.0/8", "host all all 10.0.0.0/8 ldap", "host all all name.example trust",
		"host all +group all trust", "host all all all peer", "host all all all scram-sha-256 clientcert=1", "host all all 10.0.0.1 trust",
	} {
		if _, err := hba.Parse("local all all trust\n" + line); err == nil {
			t.Errorf("%q is accepted", line)
		}
	}
}
