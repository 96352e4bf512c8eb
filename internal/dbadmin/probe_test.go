// SPDX-License-Identifier: Apache-2.0

package dbadmin_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
)

func TestBeingTurnedAwayIsAnAnswer(t *testing.T) {
	for err, want := range map[error]bool{
		fmt.Errorf("connect: %w", &pgconn.PgError{Code: "28000", Message: "no pg_hba.conf entry"}): true,
		fmt.Errorf("connect: %w", &pgconn.PgError{Code: "28P01", Message: "password"}):             true,
		fmt.Errorf("connect: %w", &pgconn.PgError{Code: "57P03", Message: "starting up"}):          false,
		errors.New("connection refused"): false,
	} {
		if got := dbadmin.TurnedAway(err); got != want {
			t.Errorf("%v: turned away is %v", err, got)
		}
	}
	if dbadmin.TurnedAway(nil) {
		t.Error("who is let in is turned away")
	}
}
