// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// scrape returns what a scraper reads.
func (s *scene) scrape() string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// measured are the lines of some metrics.
func (s *scene) measured(names ...string) []string {
	var out []string
	for line := range strings.Lines(s.scrape()) {
		for _, name := range names {
			if strings.HasPrefix(line, name) {
				out = append(out, strings.TrimSpace(line))
			}
		}
	}
	return out
}

func TestOperationsAreMeasured(t *testing.T) {
	s := settled(t)
	s.world.SetSessions("cn2", 2)
	s.counts(1, 2)
	s.until("the drain runs", enoughToScale, func() bool { return s.runs("demo-op1", "Drain") })
	began := s.operationNamed("demo-op1").Status.StartedAt
	if d := cmp.Diff([]string{
		`antdb_operator_cluster_members{cluster="demo",namespace="ns",role="coordinator",state="Active"} 2`,
		`antdb_operator_operations_open{cluster="demo",namespace="ns",phase="Running"} 1`,
		`antdb_operator_running_operation_start_time_seconds{cluster="demo",namespace="ns"} ` + strconv.FormatFloat(float64(began.Unix()), 'g', -1, 64),
	}, s.measured(
		`antdb_operator_cluster_members{cluster="demo",namespace="ns",role="coordinator",state="Active"}`,
		`antdb_operator_operations_open{cluster="demo",namespace="ns",phase="Running"}`, `antdb_operator_running_operation_start_time_seconds{`)); d != "" {
		t.Errorf("while it runs (-want +got):\n%s", d)
	}
	s.settle(enoughToScale)
	if d := cmp.Diff([]string{
		`antdb_operator_cluster_members{cluster="demo",namespace="ns",role="coordinator",state="Active"} 1`,
		`antdb_operator_cluster_members{cluster="demo",namespace="ns",role="coordinator",state="Joining"} 0`,
		`antdb_operator_cluster_members{cluster="demo",namespace="ns",role="coordinator",state="Leaving"} 0`,
		`antdb_operator_cluster_members{cluster="demo",namespace="ns",role="coordinator",state="Retained"} 1`,
		`antdb_operator_cluster_members{cluster="demo",namespace="ns",role="datanode",state="Active"} 2`,
		`antdb_operator_cluster_members{cluster="demo",namespace="ns",role="datanode",state="Joining"} 0`,
		`antdb_operator_cluster_members{cluster="demo",namespace="ns",role="datanode",state="Leaving"} 0`,
		`antdb_operator_cluster_members{cluster="demo",namespace="ns",role="datanode",state="Retained"} 0`,
		`antdb_operator_operation_duration_seconds_count{phase="Completed",type="RemoveNodes"} 1`,
		`antdb_operator_operations_open{cluster="demo",namespace="ns",phase="Pending"} 0`,
		`antdb_operator_operations_open{cluster="demo",namespace="ns",phase="Running"} 0`,
		`antdb_operator_operations_open{cluster="demo",namespace="ns",phase="Undoing"} 0`,
		`antdb_operator_operations_total{phase="Completed",type="RemoveNodes"} 1`,
		`antdb_operator_operations_total{phase="Running",type="RemoveNodes"} 1`,
		`antdb_operator_running_operation_start_time_seconds{cluster="demo",namespace="ns"} 0`,
	}, s.measured("antdb_operator_cluster_members{", "antdb_operator_operation_duration_seconds_count{", "antdb_operator_operations_",
		"antdb_operator_running_operation_start_time_seconds{")); d != "" {
		t.Errorf("when it has ended (-want +got):\n%s", d)
	}
	for _, step := range s.operationNamed("demo-op1").Status.Steps {
		if want := `antdb_operator_operation_step_duration_seconds_count{step="` + step.Name + `",type="RemoveNodes"} 1`; len(s.measured(want)) != 1 {
			t.Errorf("the step %s is not measured once: %v", step.Name, s.measured(`antdb_operator_operation_step_duration_seconds_count`))
		}
	}
	problems, err := promlint.New(strings.NewReader(s.scrape())).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("names and help texts: %v, %v", problems, err)
	}
}

func TestNothingIsToldOfAClusterThatIsGone(t *testing.T) {
	s := settled(t)
	s.settle(2)
	if len(s.measured("antdb_operator_cluster_members")) == 0 {
		t.Error("nothing is told while it is there")
	}
	if err := s.api.World.Delete(s.ctx, s.cluster()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.operator.Reconcile(s.ctx, request); err != nil {
		t.Fatal(err)
	}
	if left := s.measured(`antdb_operator_cluster_members{`, `antdb_operator_operations_open{`, `antdb_operator_running_`, `antdb_operator_managed_roles{`); len(left) > 0 {
		t.Errorf("still told: %v", left)
	}
}

// A failure is measured too, and what never began has no duration.
func TestOperationsThatDoNotSucceedAreMeasured(t *testing.T) {
	s := settled(t)
	s.ask("bad", v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRemoveNodes, Nodes: []string{"cn7"}})
	s.settle(20)
	s.world.FailJoins = 1000
	s.counts(3, 2)
	s.until("it has failed", 2*enoughToScale, func() bool {
		op := s.operationNamed("demo-op1")
		return op != nil && op.Status.Phase == v1alpha1.OperationFailed
	})
	if d := cmp.Diff([]string{
		`antdb_operator_operation_duration_seconds_count{phase="Failed",type="AddNodes"} 1`,
		`antdb_operator_operations_total{phase="Failed",type="AddNodes"} 1`,
		`antdb_operator_operations_total{phase="Refused",type="RemoveNodes"} 1`,
		`antdb_operator_operations_total{phase="Running",type="AddNodes"} 1`,
		`antdb_operator_operations_total{phase="Undoing",type="AddNodes"} 1`,
	}, s.measured("antdb_operator_operation_duration_seconds_count{", "antdb_operator_operations_total{")); d != "" {
		t.Errorf("measured (-want +got):\n%s", d)
	}
}
