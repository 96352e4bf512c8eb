// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/plan"
)

// Metrics count what the operator does, and tell how clusters are.
type Metrics struct {
	Writes  *prometheus.CounterVec
	Actions *prometheus.CounterVec
	// Operations count how often an operation reached a phase. Durations are those of operations that have ended, Steps
	// those of their steps.
	Operations       *prometheus.CounterVec
	Durations, Steps *prometheus.HistogramVec
	// Of each cluster: its nodes, its operations that have not ended, and when the one that runs began, in seconds since
	// 1970, 0 while none does.
	Members, Open, Began *prometheus.GaugeVec
	// Roles are the roles of spec.managed, by how far they are.
	Roles *prometheus.GaugeVec
}

// seconds are the bounds of durations of operations: some take seconds, a move of rows may take hours.
func seconds() []float64 {
	return []float64{1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 10800, 21600, 86400}
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "antdb_operator_" + name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "antdb_operator_" + name, Help: help}, append([]string{"namespace", "cluster"}, labels...))
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "antdb_operator_" + name, Help: help, Buckets: seconds()}, labels)
	}
	m := &Metrics{
		Writes:     counter("writes_total", "Writes to the API server, by what was written. A settled cluster costs none.", "kind"),
		Actions:    counter("actions_total", "Actions on instances and pods, by kind and outcome.", "action", "outcome"),
		Operations: counter("operations_total", "Operations (AntDBOperation) that reached a phase, by type and phase.", "type", "phase"),
		Durations:  histogram("operation_duration_seconds", "From the beginning of an operation to its end, by type and how it ended.", "type", "phase"),
		Steps:      histogram("operation_step_duration_seconds", "From the beginning of a step of an operation to its end, by type and step.", "type", "step"),
		Members:    gauge("cluster_members", "Nodes of a cluster besides gc, by role and state.", "role", "state"),
		Open:       gauge("operations_open", "Operations of a cluster that have not ended, by phase.", "phase"),
		Began:      gauge("running_operation_start_time_seconds", "When the operation of a cluster that runs began, since 1970; 0 while none runs."),
		Roles:      gauge("managed_roles", "Roles of spec.managed of a cluster, by state.", "state"),
	}
	r.MustRegister(m.Writes, m.Actions, m.Operations, m.Durations, m.Steps, m.Members, m.Open, m.Began, m.Roles)
	return m
}

func (m *Metrics) acted(a plan.Action, err error) {
	outcome := "done"
	if err != nil {
		outcome = "failed"
	}
	m.Actions.WithLabelValues(strings.TrimPrefix(fmt.Sprintf("%T", a), "plan."), outcome).Inc()
}

// journaled counts what a journal tells that it did not tell before. What was written once is counted once, whoever the
// operator is.
func (m *Metrics) journaled(kind v1alpha1.OperationType, before, after *v1alpha1.AntDBOperationStatus) {
	running := map[string]bool{}
	for _, s := range before.Steps {
		running[s.Name] = s.State == v1alpha1.StepRunning
	}
	for _, s := range after.Steps {
		if running[s.Name] && (s.State == v1alpha1.StepDone || s.State == v1alpha1.StepFailed) {
			observe(m.Steps, s.StartedAt, s.EndedAt, string(kind), s.Name)
		}
	}
	if before.Phase == after.Phase {
		return
	}
	m.Operations.WithLabelValues(string(kind), string(after.Phase)).Inc()
	if operation.Ended(&v1alpha1.AntDBOperation{Status: *after}) {
		observe(m.Durations, after.StartedAt, after.EndedAt, string(kind), string(after.Phase))
	}
}

// observe notes a duration; what never began has none.
func observe(h *prometheus.HistogramVec, from, to *metav1.Time, labels ...string) {
	if from != nil && to != nil {
		h.WithLabelValues(labels...).Observe(to.Sub(from.Time).Seconds())
	}
}

// looked tells how a cluster is after a pass over it.
func (m *Metrics) looked(cluster types.NamespacedName, operations []v1alpha1.AntDBOperation, p *plan.Plan) {
	members := map[[2]string]float64{}
	for _, x := range p.Status.Members {
		if role, _, err := antdb.ParseNodeName(x.Name); err == nil {
			members[[2]string{string(role), string(x.State)}]++
		}
	}
	for _, role := range []antdb.Role{antdb.RoleCoordinator, antdb.RoleDatanode} {
		for _, state := range []v1alpha1.MemberState{v1alpha1.MemberJoining, v1alpha1.MemberActive, v1alpha1.MemberLeaving, v1alpha1.MemberRetained} {
			m.Members.WithLabelValues(cluster.Namespace, cluster.Name, string(role), string(state)).Set(members[[2]string{string(role), string(state)}])
		}
	}
	open, began := map[v1alpha1.OperationPhase]float64{}, 0.0
	for i := range operations {
		s := operations[i].Status
		if now, speaks := p.Operations[operations[i].Name]; speaks {
			s = now
		}
		if s.Phase == "" {
			s.Phase = v1alpha1.OperationPending
		}
		open[s.Phase]++
		if (s.Phase == v1alpha1.OperationRunning || s.Phase == v1alpha1.OperationUndoing) && s.StartedAt != nil {
			began = float64(s.StartedAt.Unix())
		}
	}
	for _, phase := range []v1alpha1.OperationPhase{v1alpha1.OperationPending, v1alpha1.OperationRunning, v1alpha1.OperationUndoing} {
		m.Open.WithLabelValues(cluster.Namespace, cluster.Name, string(phase)).Set(open[phase])
	}
	m.Began.WithLabelValues(cluster.Namespace, cluster.Name).Set(began)
	roles := map[v1alpha1.ManagedRoleState]float64{}
	for _, s := range p.Status.ManagedRoles {
		roles[s.State]++
	}
	for _, state := range []v1alpha1.ManagedRoleState{v1alpha1.RolePending, v1alpha1.RoleReconciled, v1alpha1.RoleFailed} {
		m.Roles.WithLabelValues(cluster.Namespace, cluster.Name, string(state)).Set(roles[state])
	}
}

// forget takes away what is told of a cluster that is gone.
func (m *Metrics) forget(cluster types.NamespacedName) {
	labels := prometheus.Labels{"namespace": cluster.Namespace, "cluster": cluster.Name}
	for _, g := range []*prometheus.GaugeVec{m.Members, m.Open, m.Began, m.Roles} {
		g.DeletePartialMatch(labels)
	}
}
