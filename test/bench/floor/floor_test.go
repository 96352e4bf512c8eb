// SPDX-License-Identifier: Apache-2.0

package floor

import (
	"testing"
	"time"
)

func TestCatalogAltersTheOwnRowAndCreatesTheOthers(t *testing.T) {
	servers, err := plan("/data")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, s := range servers {
		if seen[s.Port] {
			t.Errorf("port %d is given twice", s.Port)
		}
		seen[s.Port] = true
	}
	for i := range servers {
		servers[i].Port = i + 1
	}
	have := catalog(servers[1], servers)
	want := []string{
		"create node gc with (type = 'coordinator', host = '127.0.0.1', port = 1, gtm = true)",
		"alter node cn1 with (type = 'coordinator', host = '127.0.0.1', port = 2)",
		"create node cn2 with (type = 'coordinator', host = '127.0.0.1', port = 3)",
		"create node dn1 with (type = 'datanode', host = '127.0.0.1', port = 4, primary = true)",
		"create node dn2 with (type = 'datanode', host = '127.0.0.1', port = 5, primary = false)",
		"create node dn3 with (type = 'datanode', host = '127.0.0.1', port = 6, primary = false)",
		"select pgxc_pool_reload()",
	}
	for i := range want {
		if i >= len(have) || have[i] != want[i] {
			t.Fatalf("statements are\n%q\nwanted\n%q", have, want)
		}
	}
}

func TestTotalIsTheSumOfThePhases(t *testing.T) {
	p := Phases{InitDB: 4 * time.Second, Start: 3 * time.Second, Sync: 2 * time.Second, Use: time.Second}
	if p.Total() != 10*time.Second {
		t.Errorf("total is %s", p.Total())
	}
}
