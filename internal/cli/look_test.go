// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func TestTheClusterThatIsMeantIsFound(t *testing.T) {
	other := demo()
	other.Name = "orders"
	d := sit(t, demo(), other)
	d.want(1, []string{"namespace prod has 2 clusters, name one: demo, orders"}, "status")
	d.want(0, []string{"orders  Ready"}, "status", "orders")
	d.want(1, []string{`namespace prod has no AntDBCluster "x": it has demo, orders`}, "status", "x")
	d.want(1, []string{"namespace empty has no AntDBCluster", "status -A"}, "status", "-n", "empty")
	d.want(0, []string{"2 clusters, 2 Ready"}, "status", "-A")
}

// spread answers for the datanodes.
func spread(d *desk) {
	d.tables["demo-dn1-1"] = `[{"database":"app","table":"public.orders","rows":60,"bytes":6291456},{"database":"app","table":"public.\"Odd\"","rows":1,"bytes":8192}]`
	d.tables["demo-dn2-1"] = `[{"database":"app","table":"public.orders","rows":30,"bytes":3145728},{"database":"app","table":"public.\"Odd\"","rows":1,"bytes":8192}]`
	d.tables["demo-dn3-1"] = `[{"database":"app","table":"public.orders","rows":0,"bytes":0}]`
}

func TestSkewAsksEachDatanode(t *testing.T) {
	d := sit(t, demo())
	spread(d)
	d.want(0, []string{"2 tables on 3 datanodes", "app public.orders  dn1 holds 100% more than an even share", "60 rows"}, "skew")
	slices.Sort(d.ran)
	want := "demo-dn1-1: /opt/antdb-instance/antdb-instance tables, demo-dn2-1: /opt/antdb-instance/antdb-instance tables, demo-dn3-1: /opt/antdb-instance/antdb-instance tables"
	if got := strings.Join(d.ran, ", "); got != want {
		t.Errorf("it ran %s", got)
	}
	d.want(0, []string{"1 table on"}, "skew", "demo", "--table", "orders")
	d.want(1, []string{"no datanode of demo holds a table that is asked for"}, "skew", "--database", "none")
	d.want(0, nil, "skew", "-o", "json", "--table", `public."Odd"`)
	var got []view.Holding
	if err := json.Unmarshal([]byte(d.out.text()), &got); err != nil || len(got) != 2 || got[1].Node != "dn2" || got[1].Bytes != 8192 {
		t.Errorf("%+v (%v)", got, err)
	}
	d.tables["demo-dn2-1"] = "no JSON"
	d.want(1, []string{"ask dn2 for its tables: read what tables in pod demo-dn2-1 printed"}, "skew")
}

func TestPsqlRunsOnACoordinatorThatServesOrOnTheNamedNode(t *testing.T) {
	c := demo()
	c.Status.Nodes[1].Instances[0].Serving = false
	d := sit(t, c)
	for args, want := range map[string]string{
		"psql":                      "demo-cn2-1: psql -h /run/antdb -p 5432 -U postgres",
		"psql dn3":                  "demo-dn3-1: psql -h /run/antdb -p 5432 -U postgres",
		"psql demo gc":              "demo-gc-1: psql -h /run/antdb -p 5432 -U postgres",
		"psql demo -- app -c x":     "demo-cn2-1: psql -h /run/antdb -p 5432 -U postgres app -c x",
		"psql demo cn1 -- -l -A -t": "demo-cn1-1: psql -h /run/antdb -p 5432 -U postgres -l -A -t",
	} {
		d.ran = nil
		d.want(0, nil, strings.Fields(args)...)
		if got := strings.Join(d.ran, ", "); got != want {
			t.Errorf("%s runs %q", args, got)
		}
	}
	d.want(1, []string{`no instance of a node "dn9": it has gc, cn1, cn2, dn1, dn2, dn3`}, "psql", "demo", "dn9")
}

func TestLogsAreMergedByTime(t *testing.T) {
	d := sit(t, demo())
	d.logs["demo-cn1-1"] = `{"time":"2026-03-01T10:00:02Z","level":"INFO","msg":"second","logger":"manager"}` + "\n" +
		`{"time":"2026-03-01T10:00:04Z","level":"ERROR","msg":"fourth","logger":"postgres"}` + "\n"
	d.logs["demo-dn1-1"] = `{"time":"2026-03-01T10:00:01Z","level":"INFO","msg":"first","logger":"manager"}` + "\n" +
		`{"time":"2026-03-01T10:00:03Z","level":"INFO","msg":"third","logger":"postgres"}` + "\n"
	d.want(0, nil, "logs")
	want := "10:00:01.000 dn1  -        INFO  first\n10:00:02.000 cn1  -        INFO  second\n" +
		"10:00:03.000 dn1  postgres INFO  third\n10:00:04.000 cn1  postgres ERROR fourth\n"
	if got := d.out.text(); got != want {
		t.Errorf("%s", got)
	}
	d.want(0, nil, "logs", "dn1", "-f")
	if got := d.out.text(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "third") {
		t.Errorf("%s", got)
	}
	d.want(1, []string{`no instance of a node "dn9"`}, "logs", "dn9")
}

func event(name, kind, object, reason string, at time.Duration) *corev1.Event {
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: name}, InvolvedObject: corev1.ObjectReference{Kind: kind, Name: object},
		Reason: reason, Type: "Normal", Message: "about " + object, LastTimestamp: *ago(at),
	}
}

func TestEventsAreThoseOfTheClusterItsOperationsAndItsPods(t *testing.T) {
	foreign := operation("demo-x-add", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "dn2")
	foreign.Spec.Cluster = "demo-x"
	d := sit(t, demo(), foreign, operation("demo-add", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "dn4"),
		event("a", "AntDBCluster", "demo", "Ready", time.Minute), event("b", "Pod", "demo-dn1-1", "Pulled", 2*time.Minute),
		event("c", "AntDBOperation", "demo-add", "Completed", 3*time.Minute), event("d", "AntDBOperation", "demo-x-add", "Foreign", 0),
		event("e", "Pod", "demo-x-dn1-1", "Foreign", 0), event("f", "AntDBCluster", "other", "Foreign", 0))
	d.want(0, nil, "events")
	got := d.out.text()
	first, second, third := strings.Index(got, "Completed"), strings.Index(got, "Pulled"), strings.Index(got, "Ready")
	if strings.Contains(got, "Foreign") || first < 0 || second < first || third < second {
		t.Errorf("%s", got)
	}
	d.once = func(text string) bool { return strings.Contains(text, "NewOne") }
	d.watched = func(int) {
		if err := d.world.Create(context.Background(), event("g", "AntDBCluster", "demo", "NewOne", 0)); err != nil {
			t.Error(err)
		}
	}
	if code := d.run("events", "-w"); code != 0 || !strings.Contains(d.out.text(), "NewOne") {
		t.Errorf("it ends with %d: %s%s", code, d.out.text(), d.err.String())
	}
}

func TestVersionsOfAllPartsAreShown(t *testing.T) {
	d := sit(t, demo())
	d.want(0, []string{"kubectl antdb  1.0", "operator       unknown: ", "engine         demo  5.0.1"}, "version")
	d.want(0, []string{`"client": "1.0"`}, "version", "--client", "-o", "json")
}
