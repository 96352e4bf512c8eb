// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/util/exec"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/scripts"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// The ways of --dry-run.
const (
	dryNone   = "none"
	dryClient = "client"
	dryServer = "server"
)

// application is a script, and how it is to be run.
type application struct {
	script   scripts.Script
	database string
	role     string
	dry      string
	// single says that the script is one transaction.
	single  bool
	verbose bool
}

func (a *app) applyScript() *cobra.Command {
	var chosen choice
	var files []string
	var o application
	cmd := &cobra.Command{
		Use:   "apply [CLUSTER…] -f FILE",
		Short: "Run an SQL script in each of some clusters",
		Long: `Run an SQL script in each of some clusters, in one transaction each.

The script goes to psql in the pod of the first coordinator that serves, as superuser unless --role is given. A cluster in
which it fails keeps none of it, and holds up none of the others; the exit code is 0 only if it went through in all of them.

--dry-run runs the script and rolls it back; --dry-run=client only names the clusters. What ends the transaction (COMMIT,
ROLLBACK, \connect) is refused before anything is run. With --single-transaction=false each statement is a transaction of its
own, and the script may do what it likes.`,
		Example: `  kubectl antdb apply demo -f policies.sql
  kubectl antdb apply -l tier=test -f roles.sql -f grants.sql --dry-run
  kubectl antdb apply -A -l team=a --database shop -f - <change.sql`,
	}
	chosen.flags(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&files, "filename", "f", nil, "`FILE` with SQL, - for standard input; several are run one after the other (needed)")
	f.StringVar(&o.database, "database", "", "the database (default: the application's, or postgres)")
	f.StringVar(&o.role, "role", antdb.Superuser, "the role that runs it")
	f.BoolVar(&o.single, "single-transaction", true, "run all of it in one transaction")
	f.StringVar(&o.dry, "dry-run", dryNone, "none, server (run it and roll it back) or client (only name the clusters)")
	f.Lookup("dry-run").NoOptDefVal = dryServer
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print what psql prints")
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if o.script, err = a.readScript(files); err != nil {
			return err
		}
		if err := o.check(); err != nil {
			return err
		}
		k, err := a.connect()
		if err != nil {
			return err
		}
		clusters, err := chosen.clusters(cmd.Context(), k, args)
		if err != nil {
			return err
		}
		return a.apply(cmd.Context(), k, clusters, &o, format)
	}
	return cmd
}

// readScript reads the files of a command.
func (a *app) readScript(names []string) (scripts.Script, error) {
	if len(names) == 0 {
		return scripts.Script{}, errors.New("say which script: kubectl antdb apply demo -f script.sql; - is standard input")
	}
	var files []scripts.File
	for i, name := range names {
		var text []byte
		var err error
		switch {
		case name != "-":
			text, err = os.ReadFile(name)
		case slices.Contains(names[:i], name):
			err = errors.New("-f - is given twice, and standard input can be read once only")
		default:
			name = "standard input"
			text, err = io.ReadAll(a.In)
		}
		if err != nil {
			return scripts.Script{}, err
		}
		files = append(files, scripts.File{Name: name, Text: text})
	}
	return scripts.Join(files...), nil
}

// check refuses what cannot be done as it is asked for.
func (o *application) check() error {
	switch {
	case !slices.Contains([]string{dryNone, dryClient, dryServer}, o.dry):
		return fmt.Errorf("--dry-run=%s: allowed are none, client and server", o.dry)
	case o.dry == dryServer && !o.single:
		return errors.New("--dry-run rolls one transaction back: leave out --single-transaction=false, or use --dry-run=client")
	case len(bytes.TrimSpace(o.script.Text())) == 0:
		return errors.New("the script is empty")
	case !o.single:
		return nil
	}
	var wrong []string
	for _, f := range o.script.Findings() {
		wrong = append(wrong, fmt.Sprintf("%s: %s %s", f.Where, f.What, f.Why))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("the script cannot be run in one transaction:\n%s\nMend that, or run each statement by itself with --single-transaction=false", strings.Join(wrong, "\n"))
	}
	return nil
}

// apply runs the script in all clusters, some at once, and tells what became of it in each.
func (a *app) apply(ctx context.Context, k *Kube, clusters []v1alpha1.AntDBCluster, o *application, format *form) error {
	all := make([]view.Applied, len(clusters))
	var group errgroup.Group
	group.SetLimit(instancesAtOnce)
	for i := range clusters {
		group.Go(func() error {
			all[i] = a.applyTo(ctx, k, &clusters[i], o)
			return nil
		})
	}
	_ = group.Wait() // nobody returns an error
	failed := 0
	for _, r := range all {
		if r.Result == view.ApplyFailed {
			failed++
		}
	}
	if format.machine() {
		if err := format.print(a.Out, all); err != nil {
			return err
		}
	} else {
		a.say("%s", view.Applications(a.style(), all, o.verbose))
	}
	switch {
	case ctx.Err() != nil:
		return interrupted{"what was not committed by then is rolled back"}
	case failed > 0:
		return fmt.Errorf("the script failed in %d of %s", failed, view.Noun(len(all), "cluster"))
	}
	return nil
}

// applyTo runs the script in one cluster.
func (a *app) applyTo(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, o *application) view.Applied {
	r := view.Applied{Namespace: c.Namespace, Cluster: c.Name, Database: o.database, Result: view.ApplyFailed}
	if r.Database == "" {
		r.Database = applicationDatabase(c)
	}
	if r.Node = serving(c); r.Node == "" {
		r.Error = noneServes(c).Error()
		return r
	}
	pod, err := k.pod(c, r.Node)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	if o.dry == dryClient {
		r.Result = view.ApplyNamed
		return r
	}
	began, mark := a.Now(), "antdb-apply-"+rand.Text()
	var out, said bytes.Buffer
	err = k.Exec(ctx, pod, Exec{
		Command: []string{
			"psql", "-X", "-h", naming.PathSockets, "-p", strconv.Itoa(naming.PortSQL), "-U", o.role, "-d", r.Database,
			"-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-f", "-",
		},
		In: bytes.NewReader(o.text(mark)), Out: &out, Err: &said,
	})
	r.Millis = a.Now().Sub(began).Milliseconds()
	o.judge(&r, mark, out.String(), said.String(), err)
	return r
}

// headLines are how many lines stand before the script in what psql is given.
func (o *application) headLines() int {
	if o.single {
		return 1
	}
	return 0
}

// text is what psql is given: the script, and around it a transaction. Its end is part of the text, so that a text of which
// only a part arrives changes nothing. A setting that belongs to the transaction tells whether it is still the same one.
func (o *application) text(mark string) []byte {
	if !o.single {
		return fmt.Appendf(slices.Clone(o.script.Text()), "\\echo %s done\n\\q\n", mark)
	}
	end := "commit"
	if o.dry == dryServer {
		end = "rollback"
	}
	text := fmt.Appendf(nil, "begin; set local application_name = '%s';\n", mark)
	text = append(text, o.script.Text()...)
	return fmt.Appendf(text, `\set ON_ERROR_STOP on
select current_setting('application_name') = '%[1]s' as antdb_apply_whole \gset
\if :antdb_apply_whole
%[2]s;
\echo %[1]s done
\else
\echo %[1]s left
\endif
\q
`, mark, end)
}

// judge tells from what psql said what became of the script.
func (o *application) judge(r *view.Applied, mark, out, said string, err error) {
	r.Said = strings.TrimSpace(said)
	var done, left bool
	for line := range strings.Lines(out) {
		switch strings.TrimSpace(line) {
		case mark + " done":
			done = true
		case mark + " left":
			left = true
		default:
			r.Output += line
		}
	}
	switch {
	case err == nil && done:
		r.Result = view.ApplyDone
		if o.dry == dryServer {
			r.Result = view.ApplyTried
		}
	case left:
		r.Error = `the script left the transaction that it was run in, by COMMIT, ROLLBACK, \connect or RESET ALL: what it did outside of it stays`
	case err == nil:
		r.Error = `the end of the script was not reached: a quote, a comment, COPY or \if is left open, or it has \q`
		if o.single {
			r.Error += "; nothing of it stays"
		}
	case exitCode(err) == psqlStopped && o.refusal(r, said):
	default:
		r.Error = strings.TrimSuffix(err.Error()+": "+r.Said, ": ")
	}
}

// psqlStopped is the exit code of a psql that was told to stop at errors and did.
const psqlStopped = 3

// exitCode is that of a program in a pod; 0 if it is not known.
func exitCode(err error) int {
	if remote, ok := errors.AsType[exec.ExitError](err); ok {
		return remote.ExitStatus()
	}
	return 0
}

// notInTransaction is the SQLSTATE of a statement that refuses to run in a transaction.
const notInTransaction = "25001"

// refusal finds the server's last error in what psql said, and its place in the script.
func (o *application) refusal(r *view.Applied, said string) bool {
	e, ok := scripts.LastError(said)
	if !ok {
		return false
	}
	r.Where, r.Code, r.Error = o.script.Where(e.Line-o.headLines()), e.Code, e.Text
	switch {
	case r.Code != notInTransaction || !o.single:
	case o.dry == dryServer:
		r.Error += ": such a statement cannot be tried without doing it"
	default:
		r.Error += ": --single-transaction=false runs each statement by itself"
	}
	return true
}
