// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/antdb-operator/antdb-operator/internal/plan"
)

// Metrics count what the operator does.
type Metrics struct {
	Writes  *prometheus.CounterVec
	Actions *prometheus.CounterVec
	// Operations count how often an operation reached a phase.
	Operations *prometheus.CounterVec
}

// NewMetrics makes the counters and registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		Writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "antdb_operator_writes_total", Help: "Writes to the API server, by what was written. A settled cluster costs none.",
		}, []string{"kind"}),
		Actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "antdb_operator_actions_total", Help: "Actions on instances and pods, by kind and outcome.",
		}, []string{"action", "outcome"}),
		Operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "antdb_operator_operations_total", Help: "Operations (AntDBOperation) that reached a phase, by type and phase.",
		}, []string{"type", "phase"}),
	}
	r.MustRegister(m.Writes, m.Actions, m.Operations)
	return m
}

func (m *Metrics) acted(a plan.Action, err error) {
	outcome := "done"
	if err != nil {
		outcome = "failed"
	}
	m.Actions.WithLabelValues(strings.TrimPrefix(fmt.Sprintf("%T", a), "plan."), outcome).Inc()
}
