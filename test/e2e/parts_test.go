// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
)

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestSettingsHaveDefaultsAndSayWhatIsMissing(t *testing.T) {
	s, err := fromEnvironment(environment(map[string]string{"KUBECONFIG": "k"}))
	if err != nil || s.engine != "standin" || s.image != "localhost/antdb:dev" || s.sandbox != "" {
		t.Errorf("settings are %+v (%v)", s, err)
	}
	if _, err := fromEnvironment(environment(nil)); err == nil || !strings.Contains(err.Error(), "KUBECONFIG") {
		t.Errorf("without KUBECONFIG the error is %v", err)
	}
	_, err = fromEnvironment(environment(map[string]string{"KUBECONFIG": "k", "ENGINE": "oracle"}))
	if err == nil || !strings.Contains(err.Error(), `"oracle": allowed are standin and antdb`) {
		t.Errorf("with a strange engine the error is %v", err)
	}
}

func TestConditionsFollowTheSettings(t *testing.T) {
	s := settings{engine: "antdb", sandbox: "bin/sandbox"}
	for name, want := range map[string]bool{"antdb": true, "standin": false, "sandbox": true} {
		if have, err := s.condition(name); err != nil || have != want {
			t.Errorf("[%s] is %v (%v)", name, have, err)
		}
	}
	if _, err := s.condition("moon"); err == nil {
		t.Error("[moon] is known")
	}
}

func TestAStoryIsAloneIfItsHeadSaysSo(t *testing.T) {
	for text, want := range map[string]bool{
		"# A story.\n# Alone: it stops the operator.\n\nkubectl get pods\n": true,
		"# A story.\n\n# Alone: too late.\n":                                false,
		"kubectl get pods\n# Alone: too late.\n":                            false,
		"# Nobody is left alone here.\n":                                    false,
		"":                                                                  false,
	} {
		if have := alone([]byte(text)); have != want {
			t.Errorf("alone is %v for\n%s", have, text)
		}
	}
}

func TestEveryStoryBeginsWithItsStory(t *testing.T) {
	files, err := filepath.Glob("*.txtar")
	disturbed, err2 := filepath.Glob("disturbed/*.txtar")
	if err != nil || err2 != nil || len(files) == 0 || len(disturbed) == 0 {
		t.Fatalf("no stories (%v, %v)", err, err2)
	}
	for _, file := range slices.Concat(files, disturbed) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "# ") {
			t.Errorf("%s does not begin with a comment that tells the story", file)
		}
		if name := strings.TrimSuffix(filepath.Base(file), ".txtar"); len(name) > 32 {
			t.Errorf("%s: the name of a story becomes a namespace, in which node addresses must fit: at most 32 characters", file)
		}
	}
}

func TestStatementsAreReadWithTheirFlags(t *testing.T) {
	cases := []struct {
		name string
		args []string
		want statement
	}{
		{"the least", []string{"cn1", "select 1"}, statement{target: cluster.Target{Cluster: "demo", Node: "cn1"}, text: "select 1"}},
		{"a database", []string{"east/app", "select 1", "other"},
			statement{target: cluster.Target{Cluster: "east", Node: "app"}, text: "select 1", database: "other"}},
		{"flags", []string{"-within", "10s", "-until", "rows.txt", "gc", "select 2"}, statement{within: 10 * time.Second, until: "rows.txt",
			target: cluster.Target{Cluster: "demo", Node: "gc"}, text: "select 2"}},
		{"an empty password is one", []string{"-user", "eve", "-password", "", "gc", "select 2"}, statement{user: "eve", changed: true,
			target: cluster.Target{Cluster: "demo", Node: "gc"}, text: "select 2"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			have, err := parseStatement(c.args, "demo")
			if diff := cmp.Diff(c.want, have, cmp.AllowUnexported(statement{})); err != nil || diff != "" {
				t.Errorf("it reads differently (-want +have), error %v:\n%s", err, diff)
			}
		})
	}
	for _, args := range [][]string{nil, {"cn1"}, {"-within", "soon", "cn1", "x"}, {"a", "b", "c", "d"}, {"a/b/c", "x"}} {
		if s, err := parseStatement(args, "demo"); !errors.Is(err, errUsage) {
			t.Errorf("%q reads as %+v (%v)", args, s, err)
		}
	}
}

func TestBadSamplesAreTakenApart(t *testing.T) {
	one := parseBad("# refused: spec.x\n# refused: not allowed\nkind: A\n")
	if diff := cmp.Diff([]string{"spec.x", "not allowed"}, one.words); diff != "" || one.before != "" {
		t.Errorf("one document: before %q, words %s", one.before, diff)
	}
	two := parseBad("# refused: spec.x\nkind: A\n---\nkind: B\n")
	if two.before != "# refused: spec.x\nkind: A\n" || two.text != "kind: B\n" {
		t.Errorf("two documents: before %q, bad %q", two.before, two.text)
	}
	if diff := cmp.Diff([]string{"not allowed"}, one.missing("spec.x is strange")); diff != "" {
		t.Errorf("missing words differ (-want +have):\n%s", diff)
	}
}

func TestTheOperatorsLogIsCutToOneNamespace(t *testing.T) {
	log := "1 mine\n2 other\n3 mine\n4 mine\n"
	if have := lastOf(log, "mine", 2); have != "3 mine\n4 mine\n" {
		t.Errorf("lines are %q", have)
	}
}
