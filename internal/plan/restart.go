// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// forRequest comes before the id of the request that a restart serves, at the end of its token.
const forRequest = "#"

// restartedFor tells whether the server of a node was restarted for a request, or its pod was made for it.
func (n *node) restartedFor(id string) bool {
	return n.pod != nil && n.pod.DeletionTimestamp == nil && n.pod.Annotations[naming.AnnotationRestartedFor] == id ||
		n.status != nil && strings.HasSuffix(n.status.RestartedFor, forRequest+id)
}

// asked tells whether the user asked for a restart of a node that has not been done. What was written down once stays.
func (p *planner) asked(n *node) bool {
	r := p.want.Restart
	return r.Asks(n.Name) && !n.restartedFor(r.ID) && p.before(n).RestartedFor != r.ID
}

// lastRestart is the request for which the server of a node was restarted last.
func (p *planner) lastRestart(n *node) string {
	if r := p.want.Restart; r.Asks(n.Name) && n.restartedFor(r.ID) {
		return r.ID
	}
	return p.before(n).RestartedFor
}

// askedRestarts are the nodes that are left of a request to restart.
func (p *planner) askedRestarts() []string {
	r := p.want.Restart
	left := p.left(r, func(n *node) bool { return !p.asked(n) })
	if len(left) == 0 {
		p.answered(r, func(i v1alpha1.InstanceStatus) bool { return i.RestartedFor == r.ID })
	}
	return left
}
