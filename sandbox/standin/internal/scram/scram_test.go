// SPDX-License-Identifier: Apache-2.0

package scram_test

import (
	"errors"
	"testing"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/scram"
)

// The example exchange of RFC 7677, section 3, with its verifier as PostgreSQL would store it.
const (
	verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	first    = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
	final    = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)

func exchange(t *testing.T) *scram.Exchange {
	t.Helper()
	v, err := scram.ParseVerifier(verifier)
	if err != nil {
		t.Fatal(err)
	}
	x := scram.NewExchange(v, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
	got, err := x.First([]byte(first))
	if want := "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"; err != nil || string(got) != want {
		t.Fatalf("first answer %q, %v", got, err)
	}
	return x
}

func TestTheExampleOfTheRFCIsAccepted(t *testing.T) {
	got, err := exchange(t).Final([]byte(final))
	if err != nil || string(got) != "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestAWrongProofIsRefused(t *testing.T) {
	bad := []byte(final)
	bad[len(bad)-5] ^= 1
	if _, err := exchange(t).Final(bad); !errors.Is(err, scram.ErrMismatch) {
		t.Fatalf("%v", err)
	}
	if _, err := exchange(t).Final([]byte("c=biws,r=other,p=AA==")); err == nil {
		t.Fatal("a foreign nonce is accepted")
	}
}

func TestAClearTextPasswordIsComparedWithTheVerifier(t *testing.T) {
	v, err := scram.ParseVerifier(verifier)
	if err != nil {
		t.Fatal(err)
	}
	if !v.Matches("pencil") || v.Matches("Pencil") {
		t.Fatal("verifier does not tell passwords apart")
	}
}
