// SPDX-License-Identifier: Apache-2.0

// Package e2e_test tells stories: what users do to clusters, what happens to clusters, and what must be true
// afterwards. Each story is a txtar file that can be read as documentation; this package runs them on a real
// Kubernetes.
//
// It runs binaries and YAML and imports nothing of the operator's own code.
package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
)

// settings are what the environment says.
type settings struct {
	kubeconfig string
	// sandbox is the sandbox's program; empty where Kubernetes is somebody else's.
	sandbox string
	// engine is standin or antdb.
	engine string
	// image takes the place of sampleImage.
	image string
	// keep leaves the namespaces of failed stories.
	keep bool
	// stories is the pattern of the files with the stories.
	stories string
}

// sampleImage is the engine image in stories and samples.
const sampleImage = "localhost/antdb:dev"

func fromEnvironment(getenv func(string) string) (settings, error) {
	s := settings{
		kubeconfig: getenv("KUBECONFIG"), sandbox: getenv("SANDBOX"), engine: getenv("ENGINE"), image: getenv("E2E_IMAGE"),
		keep: getenv("E2E_KEEP") != "", stories: getenv("E2E_STORIES"),
	}
	if s.stories == "" {
		s.stories = "*.txtar"
	}
	if s.kubeconfig == "" {
		return s, errors.New("KUBECONFIG is not set: name the kubeconfig file of the Kubernetes to use")
	}
	if s.engine == "" {
		s.engine = "standin"
	}
	if s.engine != "standin" && s.engine != "antdb" {
		return s, fmt.Errorf("ENGINE is %q: allowed are standin and antdb", s.engine)
	}
	if s.image == "" {
		s.image = sampleImage
	}
	return s, nil
}

// condition answers the conditions of scripts: [sandbox], [antdb], [standin].
func (s settings) condition(name string) (bool, error) {
	switch name {
	case "sandbox":
		return s.sandbox != "", nil
	case "antdb", "standin":
		return s.engine == name, nil
	default:
		return false, fmt.Errorf("unknown condition %q: there are sandbox, antdb and standin", name)
	}
}

// alone tells whether a story disturbs others, or is disturbed by them: one of its first comments begins with "Alone:"
// and says why.
func alone(story []byte) bool {
	for line := range bytes.Lines(story) {
		text, comment := strings.CutPrefix(string(line), "#")
		if !comment {
			return false
		}
		if strings.HasPrefix(strings.TrimSpace(text), "Alone:") {
			return true
		}
	}
	return false
}

func TestStories(t *testing.T) {
	if os.Getenv("ANTDB_E2E") != "1" {
		t.Skip("stories need a Kubernetes with the operator: run `make e2e`")
	}
	s, err := fromEnvironment(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECACHEDIR", t.TempDir())
	operatorRuns(t, s)
	together, each := sort(t, s.stories)
	p := params(s)
	if len(together) > 0 {
		t.Run("together", func(t *testing.T) {
			p.Files = together
			testscript.Run(t, p)
		})
	}
	for _, file := range each { // a subtest waits for its own, so these run one after the other
		t.Run("alone", func(t *testing.T) {
			p.Files = []string{file}
			testscript.Run(t, p)
		})
	}
}

// sort tells stories that may run beside each other from those that may not.
func sort(t *testing.T, pattern string) (together, each []string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories fit %q (%v)", pattern, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if alone(text) {
			each = append(each, file)
		} else {
			together = append(together, file)
		}
	}
	return together, each
}

func params(s settings) testscript.Params {
	return testscript.Params{
		Condition:          s.condition,
		Cmds:               commands(),
		Setup:              func(env *testscript.Env) error { return begin(env, s) },
		RequireUniqueNames: true,
	}
}

// operatorRuns says at once, and not in the middle of each story, that there is no operator.
func operatorRuns(t *testing.T, s settings) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	home, err := cluster.Open(s.kubeconfig, operatorNamespace)
	if err != nil {
		t.Fatal(err)
	}
	if err := home.WaitDeployment(ctx, operatorName, 1); err != nil {
		t.Fatalf("the operator does not run; deploy it first: %v", err)
	}
}

// begin gives a story a namespace of its own, in which kubectl works by default.
func begin(env *testscript.Env, s settings) error {
	name := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
	st, err := newStory(env, s, name)
	if err != nil {
		return err
	}
	here, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	config, err := clientcmd.LoadFromFile(s.kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig %s: %w", s.kubeconfig, err)
	}
	if err := clientcmd.ResolveLocalPaths(config); err != nil {
		return fmt.Errorf("read kubeconfig %s: %w", s.kubeconfig, err)
	}
	current := config.Contexts[config.CurrentContext]
	if current == nil {
		return fmt.Errorf("kubeconfig %s has no current context", s.kubeconfig)
	}
	current.Namespace = st.space.Name
	own := filepath.Join(env.WorkDir, ".tmp", "kubeconfig")
	if err := clientcmd.WriteToFile(*config, own); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	env.Setenv("KUBECONFIG", own)
	env.Setenv("KUBECACHEDIR", os.Getenv("KUBECACHEDIR"))
	env.Setenv("NAMESPACE", st.space.Name)
	env.Setenv("CLUSTER", "demo")
	env.Setenv("IMAGE", s.image)
	env.Setenv("SAMPLES", filepath.Join(here, "..", "..", "deploy", "samples"))
	return nil
}
