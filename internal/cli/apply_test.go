// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/util/exec"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// mark is what apply marks a transaction by.
var mark = regexp.MustCompile(`antdb-apply-[A-Z0-9]+`)

// goesThrough is a psql that has run all that it was given.
func goesThrough(out string) func([]string, string) (string, string, error) {
	return func(_ []string, text string) (string, string, error) {
		return out + mark.FindString(text) + " done\n", "", nil
	}
}

// stops is a psql that stops at an error of the server.
func stops(said string) func([]string, string) (string, string, error) {
	return func([]string, string) (string, string, error) {
		return "", said, exec.CodeExitError{Err: errors.New("command terminated with exit code 3"), Code: 3}
	}
}

// scriptFile writes a script into the folder of the test, and goes there.
func scriptFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(".", name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// labelled is another cluster with a label.
func labelled(namespace, name, team string) *v1alpha1.AntDBCluster {
	c := &v1alpha1.AntDBCluster{}
	c.Namespace, c.Name, c.Labels = namespace, name, map[string]string{"team": team}
	join(c, "cn1")
	return c
}

func TestApplyRunsTheScriptInOneTransaction(t *testing.T) {
	t.Chdir(t.TempDir())
	scriptFile(t, "one.sql", "create table t (id int);\ninsert into t values (1)")
	scriptFile(t, "two.sql", "insert into t values (2);\n")
	for name, c := range map[string]struct {
		args    []string
		want    string
		command string
		words   []string
	}{
		"for good": {
			args:    []string{"-f", "one.sql", "-f", "two.sql"},
			command: "psql -X -h /run/antdb -p 5432 -U postgres -d shop -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -f -",
			words:   []string{"demo     shop      cn1      applied"},
			want: `begin; set local application_name = 'MARK';
create table t (id int);
insert into t values (1)
;
insert into t values (2);
\set ON_ERROR_STOP on
select current_setting('application_name') = 'MARK' as antdb_apply_whole \gset
\if :antdb_apply_whole
commit;
\echo MARK done
\else
\echo MARK left
\endif
\q
`,
		},
		"to see what it does": {
			args:  []string{"demo", "-f", "two.sql", "--dry-run", "--database", "other", "--role", "anna"},
			words: []string{"demo     other     cn1      rolled back"}, command: "psql -X -h /run/antdb -p 5432 -U anna -d other -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -f -",
			want: `begin; set local application_name = 'MARK';
insert into t values (2);
\set ON_ERROR_STOP on
select current_setting('application_name') = 'MARK' as antdb_apply_whole \gset
\if :antdb_apply_whole
rollback;
\echo MARK done
\else
\echo MARK left
\endif
\q
`,
		},
		"statement by statement": {
			args: []string{"-f", "two.sql", "--single-transaction=false"}, words: []string{"applied"},
			command: "psql -X -h /run/antdb -p 5432 -U postgres -d shop -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -f -",
			want:    "insert into t values (2);\n\\echo MARK done\n\\q\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := sit(t, shop())
			var command, text string
			d.psql["demo-cn1-1"] = func(c []string, in string) (string, string, error) {
				command, text = strings.Join(c, " "), mark.ReplaceAllString(in, "MARK")
				return goesThrough("")(c, in)
			}
			d.want(0, c.words, append([]string{"apply"}, c.args...)...)
			if diff := cmp.Diff(c.want, text); diff != "" || command != c.command {
				t.Errorf("%s reads (-want +got):\n%s", command, diff)
			}
		})
	}
}

func TestApplyGoesOnWithOtherClustersAndTellsWhereItFailed(t *testing.T) {
	t.Chdir(t.TempDir())
	scriptFile(t, "a.sql", "select 1;\n\n")
	scriptFile(t, "b.sql", "\nselect id from x;\n")
	d := sit(t, demo(), labelled("prod", "second", "a"), labelled("prod", "third", "a"), labelled("test", "fourth", "a"))
	d.psql["second-cn1-1"] = stops("psql:<stdin>:1: NOTICE:  00000: ignored\npsql:<stdin>:5: ERROR:  42P01: relation \"x\" does not exist\nLOCATION:  x.c:1\n")
	d.psql["third-cn1-1"], d.psql["fourth-cn1-1"] = goesThrough(" ?column? \n"), goesThrough("")
	failure := []string{
		"second   postgres  cn1      failed", "third    postgres  cn1      applied", "error: the script failed in 1 of 2 clusters",
		`b.sql:2: relation "x" does not exist (SQLSTATE 42P01)`,
	}
	d.want(1, failure, "apply", "-l", "team=a", "-f", "a.sql", "-f", "b.sql")
	if strings.Contains(d.out.text(), "?column?") || strings.Contains(d.out.text(), "LOCATION") {
		t.Errorf("it prints what psql prints:\n%s", d.out.text())
	}
	d.want(1, []string{"?column?", "ignored"}, "apply", "-l", "team=a", "-f", "a.sql", "-f", "b.sql", "-v")
	d.want(1, []string{"test/fourth  postgres", "1 of 3 clusters"}, "apply", "-A", "--selector", "team in (a, b)", "-f", "a.sql", "-f", "b.sql")
	d.want(1, []string{`"where": "b.sql:2"`, `"code": "42P01"`, `"result": "applied"`}, "apply", "second", "third", "-f", "a.sql", "-f", "b.sql", "-o", "json")

	ran := len(d.ran)
	d.want(0, []string{"second   postgres  cn1      not run"}, "apply", "-l", "team=a", "-f", "a.sql", "--dry-run=client")
	d.want(1, []string{"clusters are either named or chosen"}, "apply", "demo", "-l", "team=a", "-f", "a.sql")
	d.want(1, []string{"has 3 clusters, name one"}, "apply", "-f", "a.sql")
	if len(d.ran) != ran {
		t.Errorf("it ran %v", d.ran[ran:])
	}
}

func TestApplyTellsWhatBecameOfTheTransaction(t *testing.T) {
	t.Chdir(t.TempDir())
	scriptFile(t, "a.sql", "create database x;\n")
	for name, c := range map[string]struct {
		psql  func([]string, string) (string, string, error)
		args  []string
		words string
	}{
		"it was left": {
			psql: func(_ []string, text string) (string, string, error) {
				return mark.FindString(text) + " left\n", "", nil
			},
			words: "the script left the transaction that it was run in, by COMMIT",
		},
		"its end was not reached": {
			psql:  func([]string, string) (string, string, error) { return "", "psql:<stdin>:2: NOTICE:  00000: x\n", nil },
			words: "the end of the script was not reached",
		},
		"the connection was lost": {
			psql: func([]string, string) (string, string, error) {
				return "", "psql:<stdin>:2: NOTICE:  00000: x\npsql:<stdin>:2: server closed the connection unexpectedly\n", exec.CodeExitError{Err: errors.New("exit code 2"), Code: 2}
			},
			words: "server closed the connection unexpectedly",
		},
		"it runs in none": {
			psql:  stops("psql:<stdin>:2: ERROR:  25001: CREATE DATABASE cannot run inside a transaction block\n"),
			words: "a.sql:1: CREATE DATABASE cannot run inside a transaction block: --single-transaction=false runs each",
		},
		"it cannot be tried": {
			psql: stops("psql:<stdin>:2: ERROR:  25001: CREATE DATABASE cannot run inside a transaction block\n"), args: []string{"--dry-run"},
			words: "such a statement cannot be tried without doing it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := sit(t, demo())
			d.psql["demo-cn1-1"] = c.psql
			d.want(1, []string{"the script failed in 1 of 1 cluster"}, append([]string{"apply", "-f", "a.sql"}, c.args...)...)
			if text := strings.Join(strings.Fields(d.out.text()), " "); !strings.Contains(text, c.words) {
				t.Errorf("it does not say %q:\n%s", c.words, d.out.text())
			}
		})
	}
}

func TestApplyRefusesWhatItCannotDoBeforeAnythingIsRun(t *testing.T) {
	t.Chdir(t.TempDir())
	scriptFile(t, "ends.sql", "begin;\nselect 1;\ncommit;\n\\c app\n")
	scriptFile(t, "fine.sql", "select 1;\n")
	scriptFile(t, "empty.sql", " \n")
	d := sit(t, demo())
	d.psql["demo-cn1-1"] = goesThrough("")
	for words, args := range map[string]string{
		"ends.sql:3: COMMIT ends the transaction": "apply -f fine.sql -f ends.sql",
		`ends.sql:4: \c begins another session`:   "apply -f ends.sql --dry-run",
		"say which script":                        "apply demo",
		"the script is empty":                     "apply -f empty.sql",
		"no such file":                            "apply -f none.sql",
		"--dry-run=maybe: allowed are":            "apply -f fine.sql --dry-run=maybe",
		"rolls one transaction back":              "apply -f fine.sql --dry-run --single-transaction=false",
		"-f - is given twice":                     "apply -f - -f -",
	} {
		d.want(1, []string{words}, strings.Fields(args)...)
	}
	if len(d.ran) > 0 {
		t.Errorf("it ran %v", d.ran)
	}
	d.want(0, []string{"applied"}, "apply", "-f", "ends.sql", "--single-transaction=false")
	d.env.In = strings.NewReader("select 1;\ncommit;")
	d.want(1, []string{"standard input:2: COMMIT"}, "apply", "-f", "-")
}

func TestApplyNeedsACoordinatorThatServes(t *testing.T) {
	t.Chdir(t.TempDir())
	scriptFile(t, "fine.sql", "select 1;\n")
	c := labelled("prod", "away", "a")
	c.Status.Nodes[0].Instances[0].Serving = false
	d := sit(t, c)
	d.want(1, []string{"away     postgres  -        failed", "no coordinator of away serves: kubectl antdb status away tells why"}, "apply", "away", "-f", "fine.sql")
}

// policies are clusters of a team, one of which lacks what a script needs.
func policies(t *testing.T) *desk {
	t.Helper()
	t.Chdir(t.TempDir())
	scriptFile(t, "policies.sql", "grant usage on schema reports to readers;\nalter default privileges in schema reports\n grant select on tables to readers;\n")
	scriptFile(t, "rename.sql", "begin;\nalter table orders rename to purchases;\ncommit;\n")
	d := sit(t, labelled("prod", "east", "a"), labelled("prod", "west", "a"))
	d.psql["east-cn1-1"] = goesThrough("GRANT\n")
	d.psql["west-cn1-1"] = stops("psql:<stdin>:2: ERROR:  3F000: schema \"reports\" does not exist\n")
	return d
}
