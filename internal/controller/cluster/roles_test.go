// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/roles"
	"github.com/antdb-operator/antdb-operator/internal/scram"
)

// manage adds a role to the spec.
func (s *scene) manage(all ...v1alpha1.ManagedRole) {
	s.change(func(c *v1alpha1.AntDBCluster) {
		c.Spec.Managed = &v1alpha1.ManagedSpec{Roles: all}
	})
}

// put makes a Secret or changes it.
func (s *scene) put(o *corev1.Secret) {
	s.t.Helper()
	if o.UID == "" {
		if err := s.api.World.Create(s.ctx, o); err != nil {
			s.t.Fatalf("%v", err)
		}
		return
	}
	if err := s.api.World.Update(s.ctx, o); err != nil {
		s.t.Fatalf("%v", err)
	}
}

func (s *scene) role(name string) v1alpha1.ManagedRoleStatus {
	for _, r := range s.cluster().Status.ManagedRoles {
		if r.Name == name {
			return r
		}
	}
	return v1alpha1.ManagedRoleStatus{}
}

// anna is a role with a Secret of her own, whose password is "given".
func anna() (v1alpha1.ManagedRole, *corev1.Secret) {
	secret := login("anna-login")
	secret.Data["username"] = []byte("anna")
	return v1alpha1.ManagedRole{Name: "anna", Login: true, PasswordSecret: &v1alpha1.SecretReference{Name: "anna-login"}}, secret
}

func TestARoleIsMadeWithThePasswordOfItsSecretAndThenLeftAlone(t *testing.T) {
	s := settled(t)
	role, secret := anna()
	s.put(secret)
	s.world.SetRole(roles.Held{Name: "other", Comment: "none of ours"})
	s.manage(role, v1alpha1.ManagedRole{Name: "group", Comment: "people"}, v1alpha1.ManagedRole{Name: "gone", Ensure: v1alpha1.EnsureAbsent})
	s.settle(10)
	all := s.world.Roles()
	if h := all["anna"]; !h.Login || !scram.Matches(h.Verifier, "anna", "given") || strings.Contains(h.Verifier, "given") {
		t.Errorf("anna is %+v", h)
	}
	if all["group"].Comment != "people" || all["other"].Comment != "none of ours" || len(all) != 3 {
		t.Errorf("roles are %+v", all)
	}
	if r := s.role("anna"); r.State != v1alpha1.RoleReconciled || r.SecretVersion != s.secret("anna-login").ResourceVersion {
		t.Errorf("the status says %+v", r)
	}
	s.expect(v1alpha1.ConditionRolesReconciled, v1alpha1.ReasonRolesAsWanted)

	// Another operator comes to the same verifier, so that nothing is done; a Secret that is only labelled gives the same.
	s.restartOperator()
	s.settle(3)
	secret = s.secret("anna-login")
	secret.Labels = map[string]string{"team": "a"}
	s.put(secret)
	s.settle(4)
	if d := cmp.Diff(all, s.world.Roles()); d != "" {
		t.Errorf("roles were touched:\n%s", d)
	}

	// A changed password is handed on, and that is told.
	secret = s.secret("anna-login")
	secret.Data["password"] = []byte("changed\nwith a remark")
	s.put(secret)
	s.settle(10)
	if h := s.world.Roles()["anna"]; !scram.Matches(h.Verifier, "anna", "changed") {
		t.Errorf("anna is %+v", h)
	}
	if !slices.ContainsFunc(s.events.last(100), func(e string) bool {
		return strings.HasPrefix(e, "Normal RoleReconciled: role anna") && strings.Contains(e, "password")
	}) {
		t.Errorf("the change was not told: %v", s.events.last(100))
	}
	for _, e := range s.events.last(100) {
		if strings.Contains(e, "SCRAM") || strings.Contains(e, "changed\n") {
			t.Errorf("an event tells a password: %s", e)
		}
	}
}

func TestWhatSomebodyElseChangesOfARoleIsSetBack(t *testing.T) {
	s := settled(t)
	s.manage(v1alpha1.ManagedRole{Name: "anna", Login: true})
	s.settle(10)
	before := s.world.Roles()
	s.world.SetRole(roles.Held{Name: "anna", Attributes: roles.Attributes{Superuser: true}, MemberOf: []string{"other"}})
	s.settle(10)
	if d := cmp.Diff(before, s.world.Roles()); d != "" {
		t.Errorf("roles (-before +after):\n%s", d)
	}
}

func TestARoleThatLeavesTheListStaysInTheDatabase(t *testing.T) {
	s := settled(t)
	s.manage(v1alpha1.ManagedRole{Name: "anna"}, v1alpha1.ManagedRole{Name: "bob"})
	s.settle(10)
	s.manage(v1alpha1.ManagedRole{Name: "bob"})
	s.settle(10)
	s.manage()
	s.settle(10)
	if all := s.world.Roles(); len(all) != 2 {
		t.Errorf("roles are %+v", all)
	}
	if all := s.cluster().Status.ManagedRoles; len(all) > 0 {
		t.Errorf("the status tells of %+v", all)
	}
	s.expect(v1alpha1.ConditionRolesReconciled, v1alpha1.ReasonNoManagedRoles)
}

func TestASecretThatGivesNoPasswordIsToldAndKeepsNoOtherRoleBack(t *testing.T) {
	for name, c := range map[string]struct {
		secret func(*corev1.Secret) // nil for none
		words  string
	}{
		"no Secret":         {nil, "Secret anna-login does not exist: make it with type kubernetes.io/basic-auth"},
		"another type":      {func(o *corev1.Secret) { o.Type = corev1.SecretTypeOpaque }, `has type "Opaque": allowed is kubernetes.io/basic-auth`},
		"another user":      {func(o *corev1.Secret) { o.Data["username"] = []byte("bob") }, `has username "bob": allowed is "anna"`},
		"an empty password": {func(o *corev1.Secret) { o.Data["password"] = []byte("\nx") }, "first line of password is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			s := settled(t)
			role, secret := anna()
			if c.secret != nil {
				c.secret(secret)
				s.put(secret)
			}
			s.manage(role, v1alpha1.ManagedRole{Name: "bob"})
			s.settle(10)
			s.expect(v1alpha1.ConditionRolesReconciled, v1alpha1.ReasonRoleFailed, c.words)
			if r := s.role("anna"); r.State != v1alpha1.RoleFailed || !strings.Contains(r.Message, c.words) || s.role("bob").State != v1alpha1.RoleReconciled {
				t.Errorf("the status says %+v", s.cluster().Status.ManagedRoles)
			}
			if all := s.world.Roles(); len(all) != 1 {
				t.Errorf("roles are %+v", all)
			}
			if d := cmp.Diff([]string{
				`antdb_operator_managed_roles{cluster="demo",namespace="ns",state="Failed"} 1`,
				`antdb_operator_managed_roles{cluster="demo",namespace="ns",state="Pending"} 0`,
				`antdb_operator_managed_roles{cluster="demo",namespace="ns",state="Reconciled"} 1`,
			}, s.measured("antdb_operator_managed_roles{")); d != "" {
				t.Errorf("measured (-want +got):\n%s", d)
			}
			s.expect(v1alpha1.ConditionReady, v1alpha1.ReasonAllNodesServe)
			if c.secret == nil {
				s.put(secret)
				s.settle(10)
				s.expect(v1alpha1.ConditionRolesReconciled, v1alpha1.ReasonRolesAsWanted)
			}
		})
	}
}

func TestRolesWaitForEveryNodeAndOutliveTheirCoordinator(t *testing.T) {
	s := settled(t)
	s.manage(v1alpha1.ManagedRole{Name: "anna"})
	s.settle(10)
	s.world.Kill("cn2")
	s.manage(v1alpha1.ManagedRole{Name: "anna"}, v1alpha1.ManagedRole{Name: "bob"})
	s.passes(1)
	s.expect(v1alpha1.ConditionRolesReconciled, v1alpha1.ReasonRolesPending, "cn2 does not serve")
	if s.role("anna").State != v1alpha1.RolePending || s.role("bob").State != v1alpha1.RolePending {
		t.Errorf("the status says %+v", s.cluster().Status.ManagedRoles)
	}
	s.settle(20)
	s.expect(v1alpha1.ConditionRolesReconciled, v1alpha1.ReasonRolesAsWanted)

	// The coordinator that holds the roles goes; nobody doubts them meanwhile, and the next one is handed them.
	told := s.events.count(v1alpha1.EventRoleReconciled)
	s.deletePod("cn1")
	for range 6 {
		s.passes(1)
		s.expect(v1alpha1.ConditionRolesReconciled, v1alpha1.ReasonRolesAsWanted)
	}
	s.settle(30)
	if n := s.events.count(v1alpha1.EventRoleReconciled); n != told {
		t.Errorf("the event RoleReconciled was told %d times more", n-told)
	}
}

func TestRolesWaitWhileAnOperationKeepsDDLOut(t *testing.T) {
	s := settled(t)
	s.manage(v1alpha1.ManagedRole{Name: "anna"})
	s.settle(10)
	s.change(func(c *v1alpha1.AntDBCluster) { c.Spec.Datanodes.Count++ })
	changed, waited := false, false
	s.eachPass = func() {
		if !changed && s.events.count(v1alpha1.EventDDLLocked) > 0 {
			s.world.SetRole(roles.Held{Name: "anna", Comment: "changed in between"})
			changed = true
		}
		_, _, message := s.condition(v1alpha1.ConditionRolesReconciled)
		waited = waited || strings.Contains(message, "keeps DDL out")
	}
	s.settle(120)
	if !waited || s.world.Roles()["anna"].Comment != "" {
		t.Errorf("roles waited: %t; anna is %+v", waited, s.world.Roles()["anna"])
	}
}
