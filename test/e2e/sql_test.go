// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
	"github.com/antdb-operator/antdb-operator/test/e2e/writer"
)

const sqlUsage = "sql [-within DURATION] [-until FILE] [-user USER] [-password PASSWORD] TARGET STATEMENT [DATABASE]"

// statement is what a line with sql says.
type statement struct {
	within         time.Duration
	until          string
	user, password string
	changed        bool // whether a password was given, be it empty
	target         cluster.Target
	text, database string
}

func parseStatement(args []string, usual string) (s statement, err error) {
	f := flag.NewFlagSet("sql", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.DurationVar(&s.within, "within", 0, "")
	f.StringVar(&s.until, "until", "", "")
	f.StringVar(&s.user, "user", "", "")
	f.StringVar(&s.password, "password", "", "")
	if err := f.Parse(args); err != nil {
		return s, usage(sqlUsage + ": " + err.Error())
	}
	f.Visit(func(given *flag.Flag) { s.changed = s.changed || given.Name == "password" })
	if f.NArg() < 2 || f.NArg() > 3 {
		return s, usage(sqlUsage)
	}
	if s.target, err = cluster.ParseTarget(f.Arg(0), usual); err != nil {
		return s, usage(err.Error())
	}
	s.text, s.database = f.Arg(1), f.Arg(2)
	return s, nil
}

// publication is how long Kubernetes may take to let a Service lead to a pod that has become ready.
const publication = 10 * time.Second

// sql runs a statement through psql. With -within it is tried again until it succeeds, and with -until until it
// prints what the file holds, in which $VARIABLES are replaced.
func sql(ctx context.Context, c *call) error {
	s, err := parseStatement(c.args, c.ts.Getenv("CLUSTER"))
	if err != nil {
		return err
	}
	once := s.within == 0
	if once {
		s.within = 90 * time.Second // the engine itself gives a statement up after a minute without gc
	}
	want := ""
	if s.until != "" {
		want = os.Expand(c.ts.ReadFile(s.until), c.ts.Getenv)
	}
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	begin, tick := time.Now(), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	for {
		var out, said bytes.Buffer
		one := &call{story: c.story, ts: c.ts, stdout: &out, stderr: &said}
		err := one.psql(ctx, s)
		if err == nil && s.until != "" && out.String() != want {
			err = fmt.Errorf("it prints something else (-want +have):\n%s", cmp.Diff(want, out.String()))
		}
		unpublished := once && strings.Contains(said.String(), "Connection refused") && time.Since(begin) < publication
		if err == nil || once && !unpublished {
			_, _ = c.stdout.Write(out.Bytes())
			_, _ = c.stderr.Write(said.Bytes())
			if !once {
				c.ts.Logf("after %s", time.Since(begin).Round(100*time.Millisecond))
			}
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%q did not succeed on %s within %s: %w", s.text, s.target.Node, s.within, err)
		case <-tick.C:
		}
	}
}

// psql runs a statement once. Rows are printed bare, one a line, their columns divided by "|".
func (c *call) psql(ctx context.Context, s statement) error {
	login, err := c.space.Login(ctx, s.target)
	if err != nil {
		return err
	}
	if s.user != "" {
		login.User = s.user
	}
	if s.changed {
		login.Password = s.password
	}
	if s.database != "" {
		login.Database = s.database
	}
	return c.program(ctx, nil, login.Environment(), "psql", "-X", "-w", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", s.text)
}

// client runs a program of PostgreSQL's against a target.
func client(ctx context.Context, c *call) error {
	if len(c.args) < 2 {
		return usage("client TARGET PROGRAM [ARG...]")
	}
	target, err := cluster.ParseTarget(c.args[0], c.ts.Getenv("CLUSTER"))
	if err != nil {
		return usage(err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, 2*usual)
	defer cancel()
	login, err := c.space.Login(ctx, target)
	if err != nil {
		return err
	}
	return c.program(ctx, nil, login.Environment(), c.args[1], c.args[2:]...)
}

const writeUsage = "writer start NAME TARGET [SESSIONS], writer gap NAME MOST, writer faultless NAME, writer stop NAME [MOST]"

// write is the command writer.
func write(ctx context.Context, c *call) error {
	if len(c.args) < 2 {
		return usage(writeUsage)
	}
	verb, name := c.args[0], c.args[1]
	w := c.writers[name]
	if (w == nil) != (verb == "start") {
		return usage(fmt.Sprintf("writer %s %s: there are writers %d; %s", verb, name, len(c.writers), writeUsage))
	}
	switch verb {
	case "start":
		return c.startWriter(ctx, name)
	case "gap":
		return c.writerGap(ctx, name, w)
	case "faultless":
		if r := w.Report(); r.Faults > 0 {
			return fmt.Errorf("writer %s had errors that trying again would not mend: %s", name, r)
		}
		return nil
	case "stop":
		return c.stopWriter(ctx, name, w)
	default:
		return usage(writeUsage)
	}
}

// patience is longer than any hang that the engine is known for.
const patience = 80 * time.Second

func (c *call) startWriter(ctx context.Context, name string) error {
	if len(c.args) < 3 || len(c.args) > 4 {
		return usage(writeUsage)
	}
	sessions := 1
	if len(c.args) == 4 {
		if _, err := fmt.Sscanf(c.args[3], "%d", &sessions); err != nil || sessions < 1 {
			return usage(fmt.Sprintf("%q is no number of sessions", c.args[3]))
		}
	}
	target, err := cluster.ParseTarget(c.args[2], c.ts.Getenv("CLUSTER"))
	if err != nil {
		return usage(err.Error())
	}
	login, err := c.space.Login(ctx, target)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w, err := writer.Start(ctx, writer.Options{
		Connect: login.Connect, Table: "written_by_" + name, Writers: sessions, Readers: sessions,
		Pause: 150 * time.Millisecond, Patience: patience,
	})
	if err == nil {
		c.writers[name] = w
	}
	return err
}

// tooLong compares a gap with the third argument, if there is one.
func (c *call) tooLong(gap time.Duration) error {
	most, err := c.duration(2, 0)
	if err != nil {
		return err
	}
	if most > 0 && gap > most {
		return fmt.Errorf("a session of writer %s waited %s, allowed are %s", c.args[1], gap.Round(10*time.Millisecond), most)
	}
	return nil
}

func (c *call) writerGap(ctx context.Context, name string, w *writer.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, patience+10*time.Second)
	defer cancel()
	gap, err := w.Gap(ctx)
	if err != nil {
		return err
	}
	c.tell("%s: writer %s: longest gap %s", c.ts.Name(), name, gap.Round(10*time.Millisecond))
	return c.tooLong(gap)
}

func (c *call) stopWriter(ctx context.Context, name string, w *writer.Writer) error {
	report := w.Stop()
	delete(c.writers, name)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	took, err := w.Verify(ctx)
	text := fmt.Sprintf("writer %s: %s", name, report)
	if err == nil {
		text += fmt.Sprintf("\nnothing that was acknowledged is lost, nothing is there by half (verified within %s)", took.Round(100*time.Millisecond))
	}
	c.tell("%s: %s", c.ts.Name(), text)
	if _, fault := fmt.Fprintln(c.stdout, text); fault != nil || err != nil {
		return err
	}
	return c.tooLong(report.Longest)
}
