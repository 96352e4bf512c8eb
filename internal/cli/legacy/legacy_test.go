// SPDX-License-Identifier: Apache-2.0

package legacy_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/legacy"
)

func wish() legacy.Wish {
	return legacy.Wish{Name: "antdb", GTM: "2Gi", Coordinator: "2Gi", Datanode: "10Gi"}
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheFormerFilesBecomeAClusterAndNotes(t *testing.T) {
	c, notes, err := legacy.Import(text(t, "antdb_info.txt"), text(t, "postgres-ha.yaml"), wish())
	if err != nil {
		t.Fatal(err)
	}
	s := &c.Spec
	if c.Namespace != "pgouser1" || s.Coordinators.Count != 2 || s.Datanodes.Count != 3 || s.Image != "crunchydata/antdb.cluster.gc-ha:21.0" ||
		s.Coordinators.Image != "crunchydata/antdb.cluster.cn-ha:21.0" || s.Datanodes.Image != "crunchydata/antdb.cluster.db-ha:21.0" {
		t.Errorf("%s: %+v", c.Namespace, s)
	}
	want := v1alpha1.Parameters{
		"log_min_duration_statement": "0", "log_statement": "all", "max_wal_senders": "6", "shared_preload_libraries": "pg_stat_statements.so",
		"log_min_messages": "info", "max_prepared_transactions": "1000",
	}
	if d := cmp.Diff(want, s.Parameters); d != "" || s.HBA != nil {
		t.Errorf("hba %q, parameters (-want +got)\n%s", s.HBA, d)
	}
	for _, word := range []string{
		"sizes of volumes", "images: those of the file were made for Patroni", "agtm_host = 10.103.25.232 is left out: the operator keeps it",
		"agtm_port = 5432", "logging_collector = on", "log_directory = pglogs", "log_directory is set twice: pg_log counts, not pglogs", "log_destination = csvlog",
		`"local all postgres peer"`, `"host replication primaryuser 0.0.0.0/0 trust"`, `"host all testuser2 0.0.0.0/0 trust" is left out: trust lets in everybody`,
		"spec.hba has its default",
	} {
		if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, word) }) {
			t.Errorf("no note says %q:\n%s", word, strings.Join(notes, "\n"))
		}
	}
}

const least = `num_node=(1 2 3); image_name=(a a a) image_version=(1 1 1)`

// TestNothingIsLeftOutInSilence changes one word after the other of the Patroni configuration and sees that each is
// either in the cluster or in a note.
func TestNothingIsLeftOutInSilence(t *testing.T) {
	const ha = `
name: ${PATRONI_NAME}
scope: demo
bootstrap:
  dcs:
    ttl: 30
    synchronous_mode: false
    postgresql:
      use_slots: true
      parameters: {work_mem: 64MB, archive_mode: on, archive_command: 'pgbackrest %p', ARCHIVE_TIMEOUT: 60, empty: , "bad name": 1, nested: {a: b}, port: 5433}
  initdb: [encoding: UTF8, data-checksums]
  users: {boss: {password: geheim}}
postgresql:
  authentication: {superuser: {username: postgres, password: geheim}}
  create_replica_methods: [pgbackrest]
  parameters: {work_mem: 128MB}
  pg_hba:
  - hostssl all all 10.0.0.0/8 scram-sha-256
  - "# nobody else"
  - host all all 10.1.0.0/99 md5
  - host all all all ident
tags: {nofailover: false}
`
	c, notes, err := legacy.Import("num_node=(1 2 3)\nimage_name=(a a b)\nwhatever=(x y)", ha, func() legacy.Wish { w := wish(); w.Image = "x/antdb:5"; return w }())
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(notes, "\n")
	for _, word := range []string{
		"name = ", "scope = demo", "bootstrap.dcs.ttl = 30", "synchronous_mode = false", "use_slots = true", "archive_mode = on", "archive_command = pgbackrest %p",
		"archive_timeout = 60", "empty is left out", "bad name = 1", "parameters.nested = {a: b}", "work_mem is set twice: 128MB counts, not 64MB", "port = 5433", "data-checksums", "bootstrap.users.boss.password = (not shown)",
		"superuser.username = (not shown)", "superuser.password = (not shown)", "create_replica_methods", "tags.nofailover = false",
		`"# nobody else"`, `"host all all 10.1.0.0/99 md5" is left out`, `"host all all all ident" is left out`, "spec.hba holds 1 of the pg_hba lines",
		"whatever (line 3 of antdb_info.txt) has no place here: x y", "the images a, b are left out",
	} {
		if !strings.Contains(all, word) {
			t.Errorf("no note says %q:\n%s", word, all)
		}
	}
	if strings.Contains(all, "geheim") {
		t.Errorf("a password is shown:\n%s", all)
	}
	if c.Spec.Image != "x/antdb:5" || c.Spec.Parameters["work_mem"] != "128MB" || len(c.Spec.Parameters) != 1 || len(c.Spec.HBA) != 1 {
		t.Errorf("%+v", c.Spec)
	}
}

func TestOfTwoEqualSettingsTheLastOneCounts(t *testing.T) {
	c, notes, err := legacy.Import("num_node=(1 1 1)\n"+least, "", wish())
	if err != nil || c.Spec.Datanodes.Count != 3 || !strings.Contains(strings.Join(notes, "\n"), "num_node is set in line 1 and again in line 2") {
		t.Errorf("%v %v", err, notes)
	}
}

func TestFilesOfTheShellAreReadAndNeverExecuted(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"arrays over lines with comments":    {"num_node=( # three\n 1\n\t2 # two\n 3\n)\nimage_name=(a 'a' \"a\")", ""},
		"quotes and escapes":                 {"export num_node=(1 '2' \"3\")\ndeclare -a image_name=(a\\b a\\b \"a\"b)", ""},
		"Windows line ends":                  {strings.ReplaceAll("num_node=(1 2 3)\nimage_name=(a a a)\n", "\n", "\r\n"), ""},
		"a substitution":                     {"num_node=(1 $(rm -rf /) 3)", `line 1: "$" would have to be executed`},
		"backticks in quotes":                {"\nnamespace=\"`id`\"", "line 2: \"`\" would have to be executed"},
		"a variable":                         {"num_node=(1 ${N} 3)", `line 1: "$" would have to be executed`},
		"a command":                          {"num_node=(1 2 3)\nrm -rf /", `line 2: "rm -rf /" is no assignment`},
		"a command after an assignment":      {"x=1 rm -rf /", `line 1: "x=1 rm -rf /" after an assignment would be a command`},
		"a pipe":                             {"x=1|sh", "line 1: \"|\" would have to be executed"},
		"an array that does not end":         {"num_node=(1 2", "line 1: the bracket after num_node=( is not closed"},
		"a quotation mark that does not end": {"x='a\nb", "line 1: a quotation mark is not closed"},
		"elements with numbers":              {"num_node=([0]=1)", "elements with a number"},
		"no numbers":                         {"namespace=a", "num_node is missing"},
		"too few numbers":                    {"num_node=(1 2)", "num_node has 2 numbers"},
		"a word for a number":                {"num_node=(1 two 3)", `"two": allowed are numbers`},
		"two gtm_coords":                     {"num_node=(2 2 3)", "exactly one gtm_coord, not 2"},
		"too many datanodes":                 {"num_node=(1 2 17)", "up to 15 coordinators and 16 datanodes"},
		"too few images":                     {"num_node=(1 2 3)\nimage_name=(a)", "expected are three of each"},
		"a namespace of two words":           {least + "\nnamespace=(a b)", "namespace must be one word"},
		"a name that is too long":            {least + "\nnamespace=a-namespace-of-many-many-many-many-many-many-letters", "shorten the name or the namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := legacy.Import(c.text, "", wish())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
	if _, _, err := legacy.Import(least, "a: &x {b: *x}", wish()); err == nil || !strings.Contains(err.Error(), "references") {
		t.Errorf("%v", err)
	}
	if _, _, err := legacy.Import(least, "a: [", wish()); err == nil || !strings.Contains(err.Error(), "postgres-ha.yaml") {
		t.Errorf("%v", err)
	}
}

func FuzzImport(f *testing.F) {
	f.Add(least, "postgresql: {pg_hba: [host all all all md5]}")
	f.Add("x='", "a: &x [*x]")
	f.Add("x=(\\", "")
	f.Add("declare", "- a")
	f.Fuzz(func(t *testing.T, info, ha string) {
		c, notes, err := legacy.Import(info, ha, wish())
		if err == nil && (c == nil || len(notes) == 0) {
			t.Errorf("%q %q give nothing", info, ha)
		}
	})
}
