// SPDX-License-Identifier: Apache-2.0

package scram_test

import (
	"regexp"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/scram"
)

// Written by a PostgreSQL server for "app secret" and for "pässwörd ½".
const (
	scramOfServer       = "SCRAM-SHA-256$4096:6AE0VGsGPukzHvea2H7kZA==$QST/7OGHLNQgYbrnKt8Gf9UJLf/spqpaZvWrvk4RVZs=:ugMJmKMb3MzvUml2Kl9l/xiVqd6m2DUc3k8vYTLwyno="
	scramOfServerUmlaut = "SCRAM-SHA-256$4096:iPMEqaJ6ls2a8zfX3Qb1EA==$aHm7gAWD2sq8wFy5MNZec7srFBjRSXwp7WDDijRYXNQ=:tp5otdfA8fUuFJ79+v9EHsvvOolU/eION69Zlilgqis="
)

func TestStoredVerifiersOfRealServersMatchTheirPasswords(t *testing.T) {
	for name, c := range map[string]struct {
		verifier, role, password string
		want                     bool
	}{
		"scram":                    {scramOfServer, "app", "app secret", true},
		"scram, other password":    {scramOfServer, "app", "app secre", false},
		"scram, not ASCII":         {scramOfServerUmlaut, "app", "pässwörd ½", true},
		"md5":                      {"md54b65ee0aad584a9c393a7c4a32fdf04d", "app", "app secret", true},
		"md5, other role":          {"md54b65ee0aad584a9c393a7c4a32fdf04d", "bob", "app secret", false},
		"nothing stored":           {"", "app", "", false},
		"garbage":                  {"SCRAM-SHA-256$x:y$z", "app", "app secret", false},
		"garbage in the salt":      {"SCRAM-SHA-256$4096:??$AA==:AA==", "app", "app secret", false},
		"no iterations":            {"SCRAM-SHA-256$0:AA==$AA==:AA==", "app", "app secret", false},
		"the password in the open": {"app secret", "app", "app secret", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := scram.Matches(c.verifier, c.role, c.password); got != c.want {
				t.Errorf("Matches(%q, %q, %q) = %v, want %v", c.verifier, c.role, c.password, got, c.want)
			}
		})
	}
}

func TestAVerifierMatchesItsOwnPasswordAndDoesNotHoldIt(t *testing.T) {
	for _, password := range []string{"simple", "with 'quotes' and \\", "pässwörd ½", " blank "} {
		v, err := scram.Verifier(password, [scram.SaltBytes]byte{1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}$`).MatchString(v) {
			t.Errorf("verifier %q does not look like one of PostgreSQL", v)
		}
		if !scram.Matches(v, "app", password) {
			t.Errorf("verifier %q does not match its own password %q", v, password)
		}
		if scram.Matches(v, "app", password+"x") {
			t.Errorf("verifier %q matches another password", v)
		}
	}
}

func TestDifferentSaltsMakeDifferentVerifiers(t *testing.T) {
	a, _ := scram.Verifier("p", [scram.SaltBytes]byte{1})
	b, _ := scram.Verifier("p", [scram.SaltBytes]byte{2})
	if a == b {
		t.Errorf("both verifiers are %s", a)
	}
}

func TestOnlyTheFirstLineOfASecretIsThePassword(t *testing.T) {
	for text, want := range map[string]string{"one": "one", "one\n": "one", "one\r\nmore": "one", " one ": " one ", "\nmore": "", "": ""} {
		if got := scram.FirstLine([]byte(text)); got != want {
			t.Errorf("%q holds the password %q, not %q", text, got, want)
		}
	}
}

func TestKindNamesTheMethodOfAVerifier(t *testing.T) {
	for verifier, want := range map[string]string{scramOfServer: "scram-sha-256", "md54b65ee0aad584a9c393a7c4a32fdf04d": "md5", "": ""} {
		if got := scram.Kind(verifier); got != want {
			t.Errorf("%q is of the kind %q, not %q", verifier, got, want)
		}
	}
}
