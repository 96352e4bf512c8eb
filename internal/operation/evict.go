// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// judge looks whether coordinators that are down may be left out: only they know how transactions end that they had
// prepared on datanodes. What a datanode does not answer is not known, and then they stay. The lock that keeps DDL out
// cannot be had while a registered coordinator is down, and is not needed: until that one is out, all DDL fails.
func judge(r *run) outcome {
	for _, name := range r.nodes() {
		if !r.f.Nodes[name].Down {
			return fail("%s runs again, and stays", name)
		}
	}
	var open []string
	for _, name := range r.active(antdb.RoleDatanode) {
		switch s := r.status(name); {
		case s == nil:
			open = append(open, fmt.Sprintf("%s does not answer whether transactions of %s are undecided", name, list(r.nodes())))
		case len(s.StalePrepared) > 0:
			open = append(open, fmt.Sprintf("%s holds prepared transactions (%s)", name, list(s.StalePrepared)))
		}
	}
	if o := r.unless(StepJudge, open, "no datanode holds a prepared transaction"); o.kind != kindDone {
		if o.kind == kindFail {
			o.message = list(r.nodes()) + " stays registered: " + o.message
		}
		return o
	}
	r.turn(r.nodes(), v1alpha1.MemberActive, v1alpha1.MemberLeaving)
	if slices.ContainsFunc(r.nodes(), func(n string) bool { return !r.written(n, v1alpha1.MemberLeaving) }) {
		return wait("%s is about to leave", list(r.nodes()))
	}
	r.Status.PointOfNoReturn = true
	return done("no datanode holds a prepared transaction")
}

// forget waits until no catalog holds the coordinators any more.
func forget(r *run) outcome {
	if len(r.f.Unsynced) > 0 {
		return wait("%s", strings.Join(r.f.Unsynced, "; "))
	}
	return done("%s is in no catalog", list(r.nodes()))
}
