// SPDX-License-Identifier: Apache-2.0

// Package api_test asks a real API server whether it takes what it should and refuses what it should, with words that
// help. It needs etcd and kube-apiserver in KUBEBUILDER_ASSETS; `make test` provides them.
package api_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

const (
	crds    = "../../deploy/crds"
	policy  = "../../deploy/policy.yaml"
	samples = "../../deploy/samples/*.yaml"
	refused = "../../deploy/samples/refused/*.yaml"
)

var config *rest.Config

func TestMain(m *testing.M) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		println("KUBEBUILDER_ASSETS is not set: run `make test`")
		os.Exit(1)
	}
	server := &envtest.Environment{CRDDirectoryPaths: []string{crds}, ErrorIfCRDPathMissing: true}
	var err error
	if config, err = server.Start(); err != nil {
		println("start API server:", err.Error())
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		println("stop API server:", err.Error())
		code = 1
	}
	os.Exit(code)
}

func connect(t *testing.T) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return client.NewNamespacedClient(client.WithFieldValidation(c, "Strict"), "default")
}

// read returns the objects of a YAML file and the words after "# refused:".
func read(t *testing.T, file string) (objects []*unstructured.Unstructured, words []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if w, ok := strings.CutPrefix(line, "# refused: "); ok {
			words = append(words, w)
		}
	}
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, u)
	}
	return objects, words
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no files match %s (%v)", pattern, err)
	}
	return found
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestEverySampleIsTaken(t *testing.T) {
	c := connect(t)
	for _, file := range files(t, samples) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			objects, _ := read(t, file)
			for _, o := range objects {
				if err := c.Create(within(t, 10*time.Second), o, client.DryRunAll); err != nil {
					t.Errorf("refused: %v", err)
				}
			}
		})
	}
}

func TestEveryBadSampleIsRefusedWithFieldValueAndRule(t *testing.T) {
	c := connect(t)
	applyPolicy(t, c)
	for _, file := range files(t, refused) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			objects, words := read(t, file)
			if len(words) < 2 {
				t.Fatal("the sample does not say with what words it is refused")
			}
			err := submit(t, c, objects)
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, w := range words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the refusal does not say %q: %v", w, err)
				}
			}
		})
	}
}

// submit creates the first object and updates it with the second, and returns how the last of them was refused.
func submit(t *testing.T, c client.Client, objects []*unstructured.Unstructured) error {
	t.Helper()
	ctx := within(t, 20*time.Second)
	first, last := objects[0], objects[len(objects)-1]
	if len(objects) == 1 {
		return c.Create(ctx, last)
	}
	if err := c.Create(ctx, first); err != nil {
		t.Fatalf("the first object is refused: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Delete(context.WithoutCancel(ctx), first); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
	last.SetResourceVersion(first.GetResourceVersion())
	return c.Update(ctx, last)
}

// applyPolicy makes the admission policy and waits until the API server obeys it.
func applyPolicy(t *testing.T, c client.Client) {
	t.Helper()
	objects, _ := read(t, policy)
	for _, o := range objects {
		o.SetNamespace("")
		if err := c.Create(within(t, 10*time.Second), o); client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
	long, _ := read(t, filepath.Join(filepath.Dir(refused), "name-too-long.yaml"))
	ctx := within(t, 30*time.Second)
	tick := time.NewTicker(100 * time.Millisecond) // a policy has no event for being obeyed
	defer tick.Stop()
	for {
		err := c.Create(ctx, long[0].DeepCopy(), client.DryRunAll)
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the policy is not obeyed after 30 s: %v", err)
		case <-tick.C:
		}
	}
}
