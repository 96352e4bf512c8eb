// SPDX-License-Identifier: Apache-2.0

// Package credentials compares the passwords in the mounted Secrets with those in the database, and makes the
// database's equal to them.
//
// A password never leaves the pod: what is sent, even to the server next door, is its verifier.
package credentials

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/scram"
)

// Credential is one role and the password that its Secret holds.
type Credential struct{ Role, Password string }

// Read reads the Secrets. owner is the application's role; empty if there is none.
func Read(p pod.Paths, owner string) ([]Credential, error) {
	superuser, err := Password(p.Superuser)
	if err != nil {
		return nil, err
	}
	all := []Credential{{antdb.Superuser, superuser}}
	if owner == "" {
		return all, nil
	}
	application, err := Password(p.Application)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	return append(all, Credential{owner, application}), nil
}

// Password reads the password in the folder of a mounted Secret: its first line, as the engine reads it too.
func Password(folder string) (string, error) {
	text, err := os.ReadFile(filepath.Join(folder, "password"))
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	line := scram.FirstLine(text)
	if line == "" {
		return "", fmt.Errorf("read password: %s is empty", filepath.Join(folder, "password"))
	}
	return line, nil
}

// Salt is one for a new verifier.
func Salt() (s [scram.SaltBytes]byte) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// Database is a connection to the server.
type Database interface {
	StoredPassword(ctx context.Context, role string) (verifier string, exists bool, err error)
	SetPassword(ctx context.Context, role, verifier string) error
}

// Stale lists the roles whose password in the database is another one. A role that does not exist is not stale.
func Stale(ctx context.Context, db Database, want []Credential) ([]Credential, error) {
	var stale []Credential
	for _, c := range want {
		verifier, exists, err := db.StoredPassword(ctx, c.Role)
		if err != nil {
			return nil, err
		}
		if exists && !scram.Matches(verifier, c.Role, c.Password) {
			stale = append(stale, c)
		}
	}
	return stale, nil
}

// Apply gives the roles that are stale their passwords.
func Apply(ctx context.Context, db Database, want []Credential, salt func() [scram.SaltBytes]byte) error {
	stale, err := Stale(ctx, db, want)
	if err != nil {
		return err
	}
	for _, c := range stale {
		verifier, err := scram.Verifier(c.Password, salt())
		if err != nil {
			return err
		}
		if err := db.SetPassword(ctx, c.Role, verifier); err != nil {
			return err
		}
	}
	return nil
}

// Roles are the names of the roles.
func Roles(all []Credential) []string {
	var names []string
	for _, c := range all {
		names = append(names, c.Role)
	}
	return names
}
