// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/operation"
)

// look reports how a cluster is that is left alone. The time in which nobody would have acted counts for no eviction.
func (p *planner) look(now metav1.Time) {
	p.operating = operation.Active(p.snap.Operations)
	p.volumes()
	p.plan = Plan{Status: p.plan.Status} // what follows for volumes is left out
	p.plan.Status.Members = slices.Clone(p.plan.Status.Members)
	for i := range p.plan.Status.Members {
		p.plan.Status.Members[i].DownSince = nil
	}
	p.report(now)
}

// paused is the condition Progressing of a cluster that is left alone.
func (p *planner) paused() condition {
	message := fmt.Sprintf("the operator changes nothing, as spec.paused says; to let it go on: "+
		`kubectl patch antdbcluster %s --type merge -p '{"spec":{"paused":false}}'`, p.want.Name)
	if p.operating != nil {
		message += fmt.Sprintf(". Operation %s (%s) is not led on meanwhile", p.operating.Name, p.operating.Spec.Type)
	}
	return no(v1alpha1.ReasonPaused, "%s", message)
}

// tellOfPause tells that the operator leaves the cluster alone from now on, or no longer does.
func (p *planner) tellOfPause(before last) {
	switch was := before.is(v1alpha1.ReasonPaused); {
	case p.want.Paused && !was:
		p.event(false, v1alpha1.EventPaused, "the operator leaves %s alone", p.want.Name)
	case !p.want.Paused && was:
		p.event(false, v1alpha1.EventResumed, "the operator looks after %s again", p.want.Name)
	}
}
