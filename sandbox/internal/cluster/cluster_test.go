// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

func TestAddonsAreCompleteObjects(t *testing.T) {
	for workers, replicas := range map[int]float64{1: 1, 2: 2, 3: 2} {
		text, err := addons(workers)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]int{}
		for i, doc := range strings.Split(string(text), "\n---\n") {
			var object struct {
				APIVersion, Kind string
				Metadata         struct{ Name string }
				Spec             map[string]any
			}
			if err := yaml.Unmarshal([]byte(doc), &object); err != nil {
				t.Fatalf("object %d: %v\n%s", i, err, doc)
			}
			if object.APIVersion == "" || object.Kind == "" || object.Metadata.Name == "" {
				t.Errorf("object %d has no kind or name:\n%s", i, doc)
			}
			kinds[object.Kind]++
			if object.Kind == "Deployment" && object.Spec["replicas"] != replicas {
				t.Errorf("%d hosts: %v replicas of DNS, want %v", workers, object.Spec["replicas"], replicas)
			}
		}
		if kinds["StorageClass"] != 2 || kinds["Deployment"] != 1 || kinds["Service"] != 1 {
			t.Errorf("kinds %v", kinds)
		}
		if strings.Contains(string(text), "<no value>") {
			t.Errorf("a value is missing:\n%s", text)
		}
	}
}

func TestTheVersionIsThatOfGoMod(t *testing.T) {
	path := filepath.Join(t.TempDir(), "go.mod")
	if err := os.WriteFile(path, []byte("module x\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	flags, err := versionFlags(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"version.gitVersion=v1.36.3", "version.gitMajor=1", "version.gitMinor=36"} {
		if !strings.Contains(flags, want) {
			t.Errorf("no %s in %s", want, flags)
		}
	}
	if err := os.WriteFile(path, []byte("module x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := versionFlags(path); err == nil {
		t.Error("a module without Kubernetes has a version")
	}
}

func TestUntilGivesUpWithTheLastAnswer(t *testing.T) {
	cause := errors.New("connection refused")
	err := until(t.Context(), "the moon", 250*time.Millisecond, func(context.Context) (bool, error) { return false, cause })
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "the moon") {
		t.Errorf("error %v, want one that says what it waited for and why", err)
	}
	asked := 0
	err = until(t.Context(), "the third time", time.Minute, func(context.Context) (bool, error) { asked++; return asked == 3, nil })
	if err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = until(ctx, "nothing", time.Minute, func(context.Context) (bool, error) { return false, nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait ends with %v", err)
	}
}
