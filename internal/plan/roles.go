// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Password is what follows from the Secret of a managed role.
type Password struct {
	// Verifier is what the database shall store, and Version that of the Secret.
	Verifier, Version string
	// Problem tells why the Secret gives no password.
	Problem string
}

// retryRoles is after how many seconds roles that the server refused are tried again: nothing tells when their owner has
// cleared away what stands in their way.
const retryRoles = 30

// roles makes the first coordinator carry out what differs of spec.managed.roles; the engine carries it to every node.
func (p *planner) roles() {
	p.rolesWait = p.rolesHeld()
	cns, want := p.coordinators(), p.wantedRoles()
	for i, n := range cns { // whoever was handed roles before forgets them: he would compare with what is not wanted any more
		if n.status != nil && n.status.Roles != nil && (i > 0 || len(want.Roles) == 0) {
			p.act(PutRoles{Instance: n.instance})
		}
	}
	if len(want.Roles) == 0 || len(cns) == 0 || cns[0].status == nil {
		return
	}
	told := cns[0].status.Roles
	if told != nil && told.Hash == want.Hash() {
		p.rolesTold = told
	}
	if p.rolesWait != "" || p.rolesTold != nil && len(told.Unequal) == 0 {
		return
	}
	p.act(PutRoles{Instance: cns[0].instance, Roles: want})
	if p.rolesTold != nil {
		p.again(retryRoles)
	}
}

// rolesHeld tells what keeps roles from being made; empty if nothing does.
func (p *planner) rolesHeld() string {
	if why := p.noDDL(); why != "" {
		return why
	}
	if p.want.Bootstrap != nil && !p.bootstrapped() {
		return "spec.bootstrap is carried out first"
	}
	return ""
}

// wantedRoles are the roles that can be handed out: all but those whose password is not known.
func (p *planner) wantedRoles() instanceapi.Roles {
	var out instanceapi.Roles
	for _, r := range p.want.ManagedRoles {
		secret := p.snap.Passwords[r.Name]
		if secret.Problem == "" {
			r.Verifier = secret.Verifier
			out.Roles = append(out.Roles, r.Role)
		}
	}
	return out
}

// noDDL tells what keeps DDL from running on the whole cluster; empty if nothing does.
func (p *planner) noDDL() string {
	for i := range p.nodes {
		switch n := &p.nodes[i]; {
		case n.Counts() && !n.serving():
			return n.Name + " does not serve"
		case n.Registered && n.Role.HoldsCatalog() && !p.synced(n):
			return "pgxc_node is being made equal on " + n.Name
		}
	}
	if gc := p.node(antdb.GTMNode).status; gc != nil && gc.Lock != nil && gc.Lock.State == instanceapi.LockHeld {
		return "an operation keeps DDL out"
	}
	if c := p.reached(""); !c.status {
		return c.message
	}
	return ""
}

// managedRoles tells how far each role is. What nobody can tell just now is as it was, unless something else is wanted.
func (p *planner) managedRoles() []v1alpha1.ManagedRoleStatus {
	var out []v1alpha1.ManagedRoleStatus
	idle := p.want.Paused || p.halts()
	if idle {
		p.rolesWait = "the cluster is stopped, or left alone"
	}
	for _, r := range p.want.ManagedRoles {
		secret := p.snap.Passwords[r.Name]
		s := v1alpha1.ManagedRoleStatus{Name: r.Name, State: v1alpha1.RoleReconciled, SecretVersion: secret.Version}
		old := roleStatus(p.snap.Status.ManagedRoles, r.Name)
		same := p.snap.Status.ObservedGeneration == p.want.Generation && old.SecretVersion == secret.Version
		if idle && old.Name != "" {
			out = append(out, old)
			continue
		}
		switch {
		case secret.Problem != "":
			s.State, s.Message = v1alpha1.RoleFailed, secret.Problem
		case p.rolesTold != nil:
			if why, differs := p.rolesTold.Unequal[r.Name]; differs {
				s.State, s.Message = v1alpha1.RoleFailed, why
				if why == "" {
					s.State, s.Message = v1alpha1.RolePending, "being made as described"
				}
			}
		case old.State == v1alpha1.RoleReconciled && same:
		default:
			s.State, s.Message = v1alpha1.RolePending, "being made as described"
		}
		if s.State == v1alpha1.RolePending && p.rolesWait != "" {
			s.Message = "waiting: " + p.rolesWait
		}
		if s.State != v1alpha1.RoleReconciled {
			s.SecretVersion = old.SecretVersion
		}
		out = append(out, s)
	}
	return out
}

// roleStatus is what a status says of a role.
func roleStatus(all []v1alpha1.ManagedRoleStatus, name string) v1alpha1.ManagedRoleStatus {
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return v1alpha1.ManagedRoleStatus{}
}

// rolesReconciled is the summary of the roles.
func (p *planner) rolesReconciled() condition {
	all := p.plan.Status.ManagedRoles
	var failed []string
	var pending grouped
	for _, s := range all {
		switch s.State {
		case v1alpha1.RoleFailed:
			failed = append(failed, s.Name+": "+s.Message)
		case v1alpha1.RolePending:
			pending.add(s.Message, s.Name)
		case v1alpha1.RoleReconciled:
		}
	}
	switch {
	case len(all) == 0:
		return yes(v1alpha1.ReasonNoManagedRoles, "spec.managed.roles is empty")
	case len(failed) > 0:
		return no(v1alpha1.ReasonRoleFailed, "%s", strings.Join(failed, "; "))
	case len(pending) > 0:
		return no(v1alpha1.ReasonRolesPending, "%s", &pending)
	default:
		return yes(v1alpha1.ReasonRolesAsWanted, "every role of spec.managed.roles is as it is described")
	}
}

// tellOfRoles tells of roles that became as they are described, or failed.
func (p *planner) tellOfRoles(before []v1alpha1.ManagedRoleStatus) {
	for _, s := range p.plan.Status.ManagedRoles {
		switch old := roleStatus(before, s.Name); {
		case s.State == v1alpha1.RoleFailed && (old.State != s.State || old.Message != s.Message):
			p.event(true, v1alpha1.ReasonRoleFailed, "role %s: %s", s.Name, s.Message)
		case s.State == v1alpha1.RoleReconciled && old.State != s.State:
			password := ""
			if old.SecretVersion != "" && old.SecretVersion != s.SecretVersion {
				password = ", and the changed password is in force"
			}
			p.event(false, v1alpha1.EventRoleReconciled, "role %s is as it is described%s", s.Name, password)
		}
	}
}
