// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/antdb-operator/antdb-operator/internal/metrics"
)

// source is an instance of which everything is known, while its server answers.
type source struct {
	fail  bool
	asked int
}

func (s *source) Present() metrics.Present {
	return metrics.Present{
		Cluster: "demo", Node: "cn1", Instance: "demo-cn1-1", Role: "coordinator", Version: "11.10",
		Up: true, Accepting: true, Serving: !s.fail, GTMReachable: !s.fail, Starts: 2, Timeline: 1,
		HoldsCatalog: true, Generation: 3, Drifts: 1, Volumes: map[string]metrics.Volume{"data": {Used: 10, Capacity: 100}},
		Move: &metrics.Move{
			Running: true, TablesDone: 1, TablesLeft: 2, RowsDone: 30, RowsLeft: 70, BytesDone: 6, BytesLeft: 4,
			LongestPause: 1500 * time.Millisecond, Retries: 2,
			Pauses: metrics.Histogram{}.With(40 * time.Millisecond).With(1500 * time.Millisecond).With(2 * time.Minute),
		},
		Lock:  &metrics.Lock{Held: true, HeldFor: 12 * time.Second, Losses: 1},
		Drain: &metrics.Drain{Draining: true, Sessions: 3, Ended: 2},
		Join:  &metrics.Join{Kind: "Copy", Made: 1, Failed: 2, Took: 4 * time.Second},
	}
}

func (s *source) Numbers(ctx context.Context) (metrics.Numbers, error) {
	s.asked++
	if _, bounded := ctx.Deadline(); !bounded {
		return metrics.Numbers{}, errors.New("asked without a deadline")
	}
	if s.fail {
		return metrics.Numbers{}, errors.New("SQL does not run")
	}
	return metrics.Numbers{
		WALPosition: 4096, Prepared: 5, Connections: map[string]int64{"idle": 7},
		Databases: []metrics.Database{{Name: "app", Commits: 11, Rollbacks: 1, Size: 1000}, {Name: "elsewhere"}},
	}, nil
}

func present() []string {
	return []string{
		`antdb_accepting 1`,
		`antdb_catalog_drift_total 1`,
		`antdb_ddl_lock_held 1`,
		`antdb_ddl_lock_held_seconds 12`,
		`antdb_ddl_lock_losses_total 1`,
		`antdb_drain_ended_sessions_total 2`,
		`antdb_drain_sessions 3`,
		`antdb_draining 1`,
		`antdb_join_duration_seconds{kind="Copy"} 4`,
		`antdb_join_running{kind="Copy"} 0`,
		`antdb_joins_total{kind="Copy",result="failed"} 2`,
		`antdb_joins_total{kind="Copy",result="made"} 1`,
		`antdb_info{cluster="demo",instance="demo-cn1-1",node="cn1",role="coordinator",version="11.10"} 1`,
		`antdb_move_bytes{state="done"} 6`,
		`antdb_move_bytes{state="left"} 4`,
		`antdb_move_longest_pause_seconds 1.5`,
		`antdb_move_pause_seconds_bucket{le="0.05"} 1`,
		`antdb_move_pause_seconds_bucket{le="0.1"} 1`,
		`antdb_move_pause_seconds_bucket{le="0.25"} 1`,
		`antdb_move_pause_seconds_bucket{le="0.5"} 1`,
		`antdb_move_pause_seconds_bucket{le="1"} 1`,
		`antdb_move_pause_seconds_bucket{le="2.5"} 2`,
		`antdb_move_pause_seconds_bucket{le="5"} 2`,
		`antdb_move_pause_seconds_bucket{le="10"} 2`,
		`antdb_move_pause_seconds_bucket{le="30"} 2`,
		`antdb_move_pause_seconds_bucket{le="60"} 2`,
		`antdb_move_pause_seconds_bucket{le="+Inf"} 3`,
		`antdb_move_pause_seconds_count 3`,
		`antdb_move_pause_seconds_sum 121.54`,
		`antdb_move_retries 2`,
		`antdb_move_rows{state="done"} 30`,
		`antdb_move_rows{state="left"} 70`,
		`antdb_move_tables{state="done"} 1`,
		`antdb_move_tables{state="left"} 2`,
		`antdb_move_running 1`,
		`antdb_server_starts_total 2`,
		`antdb_timeline 1`,
		`antdb_topology_generation 3`,
		`antdb_up 1`,
		`antdb_volume_capacity_bytes{volume="data"} 100`,
		`antdb_volume_used_bytes{volume="data"} 10`,
	}
}

func answered() []string {
	return []string{
		`antdb_connections{state="idle"} 7`,
		`antdb_database_size_bytes{database="app"} 1000`,
		`antdb_gtm_reachable 1`,
		`antdb_prepared_transactions 5`,
		`antdb_serving 1`,
		`antdb_transactions_total{database="app",result="commit"} 11`,
		`antdb_transactions_total{database="app",result="rollback"} 1`,
		`antdb_transactions_total{database="elsewhere",result="commit"} 0`,
		`antdb_transactions_total{database="elsewhere",result="rollback"} 0`,
		`antdb_wal_position_bytes 4096`,
	}
}

func silent() []string {
	return []string{
		`antdb_gtm_reachable 0`,
		`antdb_serving 0`,
	}
}

// scrape returns what a scraper reads.
func scrape(t *testing.T, s metrics.Source) string {
	t.Helper()
	w := httptest.NewRecorder()
	metrics.Handler(s).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("code %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// values are the lines of a scrape that are no comments.
func values(t *testing.T, s metrics.Source) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(scrape(t, s)) {
		if line[0] != '#' {
			out = append(out, strings.TrimSuffix(line, "\n"))
		}
	}
	return out
}

func sorted(lists ...[]string) []string { return slices.Sorted(slices.Values(slices.Concat(lists...))) }

func TestEverythingThatIsKnownIsTold(t *testing.T) {
	if d := cmp.Diff(sorted(present(), answered()), sorted(values(t, &source{}))); d != "" {
		t.Errorf("metrics (-want +got):\n%s", d)
	}
}

func TestWhileTheServerDoesNotAnswerOnlyItsOwnNumbersAreMissing(t *testing.T) {
	if d := cmp.Diff(sorted(present(), silent()), sorted(values(t, &source{fail: true}))); d != "" {
		t.Errorf("metrics (-want +got):\n%s", d)
	}
}

func TestNamesAndHelpTextsAreAsPrometheusWantsThem(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(scrape(t, &source{}))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestTheServerIsAskedOnceHoweverManyScrape(t *testing.T) {
	for name, s := range map[string]*source{"it answers": {}, "it does not": {fail: true}} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(0, 0)
			registry := prometheus.NewPedanticRegistry()
			registry.MustRegister(metrics.NewCollector(s, func() time.Time { return now }))
			scrape := func(want int) {
				t.Helper()
				if _, err := registry.Gather(); err != nil {
					t.Fatal(err)
				}
				if s.asked != want {
					t.Errorf("asked %d times, want %d", s.asked, want)
				}
			}
			scrape(1)
			scrape(1)
			now = now.Add(5 * time.Second)
			scrape(2)
		})
	}
}
