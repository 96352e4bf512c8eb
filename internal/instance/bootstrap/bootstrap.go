// SPDX-License-Identifier: Apache-2.0

// Package bootstrap fills a new cluster once: the application's role and database, and the statements that the user
// wants to have run.
//
// Each step is done once, whatever crashes in between: what the catalog cannot tell is in a journal in the database.
package bootstrap

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// Session is a connection to one database.
type Session interface {
	Quieten(context.Context) error
	EnsureRole(ctx context.Context, role, verifier string) error
	EnsureDatabase(ctx context.Context, database, owner string) error
	EnsureJournal(context.Context) error
	Once(ctx context.Context, step, statement string) error
	Close()
}

// Filler carries a bootstrap out.
type Filler struct {
	Open func(ctx context.Context, database string) (Session, error)
	// Verifier makes the verifier of the owner's password.
	Verifier func() (string, error)
	// Step is told what begins.
	Step func(string)
}

// Fill does what is not done yet.
func (f Filler) Fill(ctx context.Context, b instanceapi.Bootstrap) error {
	if err := f.owner(ctx, b); err != nil {
		return err
	}
	if err := f.run(ctx, dbadmin.Maintenance, "postInitSQL", b.PostInitSQL); err != nil {
		return err
	}
	return f.run(ctx, b.Database, "postInitApplicationSQL", b.PostInitApplicationSQL)
}

// owner makes the application's role and database.
func (f Filler) owner(ctx context.Context, b instanceapi.Bootstrap) error {
	f.Step("role " + b.Owner)
	verifier, err := f.Verifier()
	if err != nil {
		return err
	}
	db, err := f.Open(ctx, dbadmin.Maintenance)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.EnsureRole(ctx, b.Owner, verifier); err != nil {
		return err
	}
	f.Step("database " + b.Database)
	return db.EnsureDatabase(ctx, b.Database, b.Owner)
}

// run runs the statements of one list in one database. Their texts are kept out of the server's log: they may hold
// passwords.
func (f Filler) run(ctx context.Context, database, list string, statements []string) error {
	if len(statements) == 0 {
		return nil
	}
	f.Step("journal of database " + database)
	db, err := f.Open(ctx, database)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.EnsureJournal(ctx); err != nil {
		return err
	}
	if err := db.Quieten(ctx); err != nil {
		return err
	}
	for i, statement := range statements {
		step := list + "[" + strconv.Itoa(i) + "]"
		f.Step(step)
		if err := db.Once(ctx, step, statement); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	return nil
}

// Patience spaces out attempts: an operator that asks again at once after each failure would do nothing else.
type Patience struct {
	First, Last time.Duration

	pause time.Duration
	until time.Time
}

// Failed lengthens the pause.
func (p *Patience) Failed(now time.Time) {
	p.pause = min(max(2*p.pause, p.First), p.Last)
	p.until = now.Add(p.pause)
}

// Succeeded ends the pause.
func (p *Patience) Succeeded() { p.pause, p.until = 0, time.Time{} }

// Left is how long the pause still is.
func (p *Patience) Left(now time.Time) time.Duration { return max(0, p.until.Sub(now)) }
