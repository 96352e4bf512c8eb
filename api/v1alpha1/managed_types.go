// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ManagedSpec is what the operator keeps in the database besides what spec.bootstrap made once.
type ManagedSpec struct {
	// Roles of the database. Each is made and kept as it is described here, what is left out having its default. A role
	// that is not in the list is never touched; one that leaves the list stays in the database as it is.
	// +kubebuilder:validation:MaxItems=256
	// +listType=map
	// +listMapKey=name
	// +optional
	Roles []ManagedRole `json:"roles,omitempty"`
}

// Ensure says whether something shall be there.
//
// +kubebuilder:validation:Enum=present;absent
type Ensure string

// The ways of ensuring.
const (
	EnsurePresent Ensure = "present"
	EnsureAbsent  Ensure = "absent"
)

// ManagedRole is one role of the database.
//
// +kubebuilder:validation:XValidation:rule="!(self.name in ['postgres', 'public', 'none']) && !self.name.startsWith('pg_')",messageExpression="'spec.managed.roles: name \"' + self.name + '\" is not allowed: postgres, public, none and names that begin with pg_ are the engine\\'s own'"
// +kubebuilder:validation:XValidation:rule="!has(self.passwordSecret) || !has(self.disablePassword) || !self.disablePassword",messageExpression="'spec.managed.roles: \"' + self.name + '\" has both passwordSecret and disablePassword: allowed is one of them'"
// +kubebuilder:validation:XValidation:rule="!has(self.inRoles) || !(self.name in self.inRoles)",messageExpression="'spec.managed.roles: inRoles of \"' + self.name + '\" names the role itself: allowed are others'"
type ManagedRole struct {
	// Name of the role.
	// +kubebuilder:validation:Pattern=`^[a-z_][a-z0-9_]{0,62}$`
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Ensure that the role is present, or absent. A role that owns something, or has rights on something, cannot be
	// removed; the server's refusal is told in the status.
	// +kubebuilder:default=present
	// +optional
	Ensure Ensure `json:"ensure,omitempty"`
	// Comment on the role.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Comment string `json:"comment,omitempty"`
	// Login lets the role begin sessions.
	// +optional
	Login bool `json:"login,omitempty"`
	// Superuser gives the role all rights. Unlike postgres it may log in over the network.
	// +optional
	Superuser bool `json:"superuser,omitempty"`
	// CreateDB lets the role make databases.
	// +optional
	CreateDB bool `json:"createdb,omitempty"`
	// CreateRole lets the role make and change other roles.
	// +optional
	CreateRole bool `json:"createrole,omitempty"`
	// Inherit gives the role the rights of the roles that it is a member of without SET ROLE.
	// +kubebuilder:default=true
	// +optional
	Inherit *bool `json:"inherit,omitempty"`
	// ConnectionLimit is how many sessions the role may have on each node; -1 for any number. Sessions that coordinators
	// open on other nodes for the role count there too.
	// +kubebuilder:default=-1
	// +kubebuilder:validation:Minimum=-1
	// +optional
	ConnectionLimit *int32 `json:"connectionLimit,omitempty"`
	// InRoles are the roles that this one is a member of, and no others.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	// +optional
	InRoles []string `json:"inRoles,omitempty"`
	// PasswordSecret names a Secret of type kubernetes.io/basic-auth with the role's password; its username must equal
	// Name. Without it the password is left alone. The Secret is watched if it has the label antdb.io/cluster with the name
	// of the cluster.
	// +optional
	PasswordSecret *SecretReference `json:"passwordSecret,omitempty"`
	// DisablePassword takes the role's password away.
	// +optional
	DisablePassword bool `json:"disablePassword,omitempty"`
}

// ManagedRoleState says how far a role is.
type ManagedRoleState string

// The states of a managed role.
const (
	// RolePending: it is not as the spec wants it yet.
	RolePending ManagedRoleState = "Pending"
	// RoleReconciled: it is as the spec wants it, on all nodes.
	RoleReconciled ManagedRoleState = "Reconciled"
	// RoleFailed: it cannot be made so; the message says why. It is tried again.
	RoleFailed ManagedRoleState = "Failed"
)

// ManagedRoleStatus is one role of spec.managed.roles.
type ManagedRoleStatus struct {
	// Name of the role.
	Name  string           `json:"name"`
	State ManagedRoleState `json:"state"`
	// Message tells what a role waits for, or why it failed, in the server's words.
	// +optional
	Message string `json:"message,omitempty"`
	// SecretVersion is the resource version of the Secret whose password is in force.
	// +optional
	SecretVersion string `json:"secretVersion,omitempty"`
}
