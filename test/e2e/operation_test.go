// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
)

// operation TITLE PHASE [DURATION]: waits until the operation with that title, such as "AddNodes cn3", is in that phase,
// and prints its journal. An operation that ends in another phase fails at once.
func operation(ctx context.Context, c *call) error {
	if len(c.args) < 2 || len(c.args) > 3 {
		return usage("operation TITLE PHASE [DURATION]")
	}
	title, phase := c.args[0], c.args[1]
	ctx, cancel, err := c.within(ctx, 2, longestOperation)
	if err != nil {
		return err
	}
	defer cancel()
	begin := time.Now()
	o, err := c.space.WaitOperation(ctx, title, c.ended, func(o cluster.Operation) bool { return o.Status.Phase == phase || o.Ended() })
	if err != nil {
		return err
	}
	c.ended[o.Metadata.Name] = o.Ended()
	c.tell("%s: after %s: %s", c.ts.Name(), time.Since(begin).Round(100*time.Millisecond), o)
	_, _ = fmt.Fprintln(c.stdout, o)
	if o.Status.Phase != phase {
		return fmt.Errorf("it ended as %s and not as %s", o.Status.Phase, phase)
	}
	return nil
}

// step TITLE STEP STATE [DURATION]: waits until a step of an operation is in that state.
func step(ctx context.Context, c *call) error {
	if len(c.args) < 3 || len(c.args) > 4 {
		return usage("step TITLE STEP STATE [DURATION]")
	}
	ctx, cancel, err := c.within(ctx, 3, usual)
	if err != nil {
		return err
	}
	defer cancel()
	o, err := c.space.WaitOperation(ctx, c.args[0], c.ended, func(o cluster.Operation) bool {
		return o.Step(c.args[1]) == c.args[2] || o.Ended()
	})
	if err == nil && o.Step(c.args[1]) != c.args[2] {
		err = fmt.Errorf("the operation ended and step %s was not seen as %s:\n%s", c.args[1], c.args[2], o)
	}
	return err
}

const disturbUsage = "disturb TITLE operator|sessions|pod POD|server POD"

// disturb TITLE FAULT: does the same harm at the beginning of every step of an operation, once a step, until the
// operation has ended in whatever way. It prints the journal.
func disturb(ctx context.Context, c *call) error {
	if len(c.args) < 2 {
		return usage(disturbUsage)
	}
	harm, err := c.fault(c.args[1:])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, longestOperation)
	defer cancel()
	earlier, err := c.space.EndedOperations(ctx)
	if err != nil {
		return err
	}
	for _, name := range earlier {
		c.ended[name] = true
	}
	seen := map[string]bool{}
	for {
		next := ""
		o, err := c.space.WaitOperation(ctx, c.args[0], c.ended, func(o cluster.Operation) bool {
			next = ""
			for _, s := range o.Status.Steps {
				if s.State == "Running" && !seen[s.Name] {
					next = s.Name
				}
			}
			return next != "" || o.Ended()
		})
		if err != nil {
			return err
		}
		if next == "" {
			c.ended[o.Metadata.Name] = true
			c.tell("%s: disturbed at %d steps by %s: %s", c.ts.Name(), len(seen), strings.Join(c.args[1:], " "), o)
			_, err = fmt.Fprintln(c.stdout, o)
			return err
		}
		seen[next] = true
		if err := harm(ctx); err != nil {
			c.ts.Logf("no harm done at step %s: %v", next, err) // what was to be harmed is not there yet, or no more
		}
	}
}

// longestOperation bounds an operation, also one that is disturbed at every step.
const longestOperation = 10 * time.Minute

func (c *call) fault(words []string) (func(context.Context) error, error) {
	with := func(do func(context.Context, *call) error, args ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			var out strings.Builder
			err := do(ctx, &call{story: c.story, ts: c.ts, args: args, stdout: &out, stderr: io.Discard})
			c.ts.Logf("%s", out.String())
			return err
		}
	}
	switch {
	case len(words) == 1 && words[0] == "operator":
		return with(operator, "kill"), nil
	case len(words) == 1 && words[0] == "sessions": // those that hold the lock or the pause
		return with(sql, "gc", "select application_name, client_addr, query, pg_terminate_backend(pid) from pg_stat_activity where application_name in ('antdb-ddl-lock', 'antdb-move', 'antdb-split')"), nil
	case len(words) == 2 && words[0] == "pod":
		return with(deletePod, words[1]), nil
	case len(words) == 2 && words[0] == "server":
		return with(killServer, words[1]), nil
	}
	return nil, usage(disturbUsage)
}

// checksums FILE NODE…: prints, for each line "DATABASE TABLE [HASH]" of the file, how many rows the table has and a sum
// over their contents, as every one of the nodes sees it. HASH is an expression over one row that datanodes can compute;
// without one the whole row is hashed where it is read. Nodes that see different things are an error.
func checksums(ctx context.Context, c *call) error {
	if len(c.args) < 2 {
		return usage("checksums FILE NODE…")
	}
	ctx, cancel := context.WithTimeout(ctx, usual)
	defer cancel()
	first := ""
	for _, node := range c.args[1:] {
		seen, err := c.checksumsOn(ctx, node, strings.Split(strings.TrimSpace(c.ts.ReadFile(c.args[0])), "\n"))
		if err != nil {
			return err
		}
		if first == "" {
			first = seen
		}
		if seen != first {
			return fmt.Errorf("%s sees something else than %s (-%s +%s):\n%s", node, c.args[1], c.args[1], node, cmp.Diff(first, seen))
		}
	}
	_, err := fmt.Fprint(c.stdout, first)
	return err
}

func (c *call) checksumsOn(ctx context.Context, node string, tables []string) (string, error) {
	target, err := cluster.ParseTarget(node, c.ts.Getenv("CLUSTER"))
	if err != nil {
		return "", usage(err.Error())
	}
	login, err := c.space.Login(ctx, target)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, line := range tables {
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(words) < 2 {
			return "", usage(fmt.Sprintf("checksums: line %q: write DATABASE TABLE [HASH]", line))
		}
		hash := "hashtext(t::text)::bigint"
		if len(words) == 3 {
			hash = words[2]
		}
		login.Database = words[0]
		sum, err := checksum(ctx, login, words[1], hash)
		if err != nil {
			return "", fmt.Errorf("read table %s of database %s on %s: %w", words[1], words[0], node, err)
		}
		_, _ = fmt.Fprintf(&out, "%s %s %s\n", words[0], words[1], sum)
	}
	return out.String(), nil
}

func checksum(ctx context.Context, login cluster.Login, table, hash string) (text string, err error) {
	conn, err := login.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, "set enable_partitionwise_aggregate = on"); err != nil {
		return "", err
	}
	var rows, sum string
	err = conn.QueryRow(ctx, "select count(*)::text, coalesce(sum("+hash+"), 0)::text from "+table+" t").Scan(&rows, &sum)
	return rows + " rows " + sum, err
}

// unharmed FILE BEFORE: waits until nothing is under way in the story's cluster and it is Ready; then gc and all coordinators
// must print the checksums of FILE that are in BEFORE, no session of an operation may be left, and DDL must run.
func unharmed(ctx context.Context, c *call) error {
	if len(c.args) != 2 {
		return usage("unharmed FILE BEFORE")
	}
	name := c.ts.Getenv("CLUSTER")
	in := func(out io.Writer, args ...string) *call {
		return &call{story: c.story, ts: c.ts, args: args, stdout: out, stderr: io.Discard}
	}
	if err := waitCondition(ctx, in(io.Discard, name, "Progressing=False:Stable", "", "5m")); err != nil {
		return err
	}
	if err := waitReady(ctx, in(io.Discard, name, "5m")); err != nil {
		return err
	}
	var now strings.Builder
	if err := checksums(ctx, in(&now, c.args[0], "gc", "cn1", "cn2")); err != nil {
		return err
	}
	if d := cmp.Diff(c.ts.ReadFile(c.args[1]), now.String()); d != "" {
		return fmt.Errorf("rows are not what they were (-before +now):\n%s", d)
	}
	for _, args := range [][]string{
		// A session of an operation that is left divides by zero.
		{"-within", "60s", "gc", "select 1 / (count(*) = 0)::int from pg_stat_activity where application_name in ('antdb-ddl-lock', 'antdb-move', 'antdb-split')"},
		{"-within", "60s", "cn1", "create table probe (id int)"},
		{"-within", "60s", "cn2", "drop table probe"},
	} {
		if err := sql(ctx, in(io.Discard, args...)); err != nil {
			return err
		}
	}
	return nil
}
