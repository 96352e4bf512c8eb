// SPDX-License-Identifier: Apache-2.0

package instanceapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/antdb-operator/antdb-operator/internal/roles"
)

// Roles asks a coordinator to make roles as they are wanted, and to compare them from then on. Others are left alone. An
// empty list makes it forget those that it was given.
type Roles struct {
	Roles []roles.Role `json:"roles"`
}

// Hash names roles; equal ones have equal hashes.
func (r Roles) Hash() string {
	text, err := json.Marshal(r.Roles)
	if err != nil { // strings, numbers and booleans always marshal
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// RolesStatus is what a coordinator tells of the roles that it was given last.
type RolesStatus struct {
	Hash string `json:"hash"`
	// Unequal are the roles that are not as they are wanted, each with what the server answered to the last attempt; with
	// an empty text where none was made since the difference came up.
	Unequal map[string]string `json:"unequal,omitempty"`
}

// HeldRole is a role as a person looks at it. CommandRoles prints a list of them as JSON.
type HeldRole struct {
	roles.Attributes

	Name     string   `json:"name"`
	Comment  string   `json:"comment,omitempty"`
	MemberOf []string `json:"memberOf,omitempty"`
	// Password is how the password is stored, such as scram-sha-256; empty if there is none.
	Password string `json:"password,omitempty"`
}

// PasswordMatch tells whether a password is the one that a server stores. CommandPassword prints it as JSON.
type PasswordMatch struct {
	Matches bool `json:"matches"`
}
