// SPDX-License-Identifier: Apache-2.0

package bootstrap_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/instance/bootstrap"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// cluster records what is done, in order, and fails where a test says.
type cluster struct {
	did  []string
	fail string
}

type session struct {
	*cluster
	database string
}

func (c *cluster) do(what string) error {
	c.did = append(c.did, what)
	if what == c.fail {
		return errors.New("refused")
	}
	return nil
}

func (s session) Quieten(context.Context) error { return nil }
func (s session) EnsureRole(_ context.Context, role, verifier string) error {
	return s.do("role " + role + " " + verifier)
}

func (s session) EnsureDatabase(_ context.Context, database, owner string) error {
	return s.do("database " + database + " of " + owner)
}
func (s session) EnsureJournal(context.Context) error { return s.do("journal in " + s.database) }
func (s session) Once(_ context.Context, step, statement string) error {
	return s.do(s.database + " " + step + " " + statement)
}
func (s session) Close() {}

// fill carries a bootstrap out and returns the step at which it ended.
func (c *cluster) fill(b instanceapi.Bootstrap) (step string, err error) {
	err = bootstrap.Filler{
		Open:     func(_ context.Context, database string) (bootstrap.Session, error) { return session{c, database}, nil },
		Verifier: func() (string, error) { return "VERIFIER", nil },
		Step:     func(s string) { step = s },
	}.Fill(context.Background(), b)
	return step, err
}

func TestStepsComeInOrderAndInTheirDatabases(t *testing.T) {
	c := &cluster{}
	_, err := c.fill(instanceapi.Bootstrap{
		Database: "app", Owner: "me", PostInitSQL: []string{"one", "two"}, PostInitApplicationSQL: []string{"three"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"role me VERIFIER", "database app of me",
		"journal in postgres", "postgres postInitSQL[0] one", "postgres postInitSQL[1] two",
		"journal in app", "app postInitApplicationSQL[0] three",
	}
	if d := cmp.Diff(want, c.did); d != "" {
		t.Errorf("done (-want +got):\n%s", d)
	}
}

func TestWithoutStatementsNoJournalIsMade(t *testing.T) {
	c := &cluster{}
	if _, err := c.fill(instanceapi.Bootstrap{Database: "app", Owner: "me"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"role me VERIFIER", "database app of me"}, c.did); d != "" {
		t.Errorf("done (-want +got):\n%s", d)
	}
}

func TestAFailureStopsEverythingAfterIt(t *testing.T) {
	c := &cluster{fail: "postgres postInitSQL[0] one"}
	step, err := c.fill(instanceapi.Bootstrap{Database: "app", Owner: "me", PostInitSQL: []string{"one", "two"}})
	if err == nil || !strings.Contains(err.Error(), "postInitSQL[0]: refused") || step != "postInitSQL[0]" {
		t.Errorf("at %q: %v", step, err)
	}
	if last := c.did[len(c.did)-1]; last != c.fail {
		t.Errorf("went on with %q", last)
	}
}

func TestFailuresAreSpacedOut(t *testing.T) {
	p := bootstrap.Patience{First: 2 * time.Second, Last: 10 * time.Second}
	now := time.Unix(0, 0)
	if left := p.Left(now); left != 0 {
		t.Errorf("before anything failed: %s", left)
	}
	var pauses []time.Duration
	for range 5 {
		p.Failed(now)
		pauses = append(pauses, p.Left(now))
	}
	if d := cmp.Diff([]time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second}, pauses); d != "" {
		t.Errorf("pauses (-want +got):\n%s", d)
	}
	if left := p.Left(now.Add(time.Minute)); left != 0 {
		t.Errorf("later: %s", left)
	}
	p.Succeeded()
	if left := p.Left(now); left != 0 {
		t.Errorf("after success: %s", left)
	}
}
