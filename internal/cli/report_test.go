// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/antdb-operator/antdb-operator/internal/cli"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// reported is a cluster with passwords in all places where there may be some, in an empty folder.
func reported(t *testing.T) *desk {
	t.Helper()
	d := inside(t)
	d.make(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "demo-superuser", Labels: map[string]string{naming.LabelCluster: "demo"}},
		StringData: map[string]string{"password": "geheim"},
	})
	d.make(event("a", "AntDBCluster", "demo", "Ready", 0))
	d.logs["demo-dn1-1"] = `{"time":"2026-03-01T10:00:01Z","level":"INFO","msg":"statement: alter role shop password 'geheim'","logger":"postgres"}` + "\n"
	d.world = interceptor.NewClient(d.world, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if d, ok := o.(*appsv1.Deployment); ok {
				d.Name, d.Namespace = key.Name, key.Namespace
				d.Spec.Template.Spec.Containers = []corev1.Container{{Image: "registry.example/antdb-operator:1.0"}}
				return nil
			}
			return c.Get(ctx, key, o, options...)
		},
	})
	known, ok := d.env.Connect, true
	d.env.Connect = func(flags *genericclioptions.ConfigFlags) (*cli.Kube, error) {
		k, err := known(flags)
		if ok && err == nil {
			err = appsv1.AddToScheme(k.Scheme())
			ok = false
		}
		return k, err
	}
	t.Chdir(t.TempDir())
	return d
}

func TestAReportHoldsWhatIsNeededAndNoSecret(t *testing.T) {
	d := reported(t)
	d.want(0, []string{"out/: "}, "report", "demo", "--file", "out/")
	var names []string
	err := filepath.WalkDir("out", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		names = append(names, strings.TrimPrefix(path, "out/"))
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "geheim") {
			t.Errorf("%s holds a password", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(names, " ")
	for _, name := range []string{
		"status.txt", "doctor.txt", "test.txt", "topology.txt", "df.txt", "events.txt", "versions.txt", "probes.json", "settings.json",
		"objects/cluster.yaml", "objects/pod-demo-dn1-1.yaml", "objects/secrets.txt", "logs/gc.log", "logs/dn1.log",
	} {
		if !strings.Contains(all, name) {
			t.Errorf("%s is missing: %s", name, all)
		}
	}
	for name, word := range map[string]string{
		"objects/secrets.txt": "demo-superuser", "logs/dn1.log": "password █████", "events.txt": "Ready", "status.txt": "6/6 nodes serve",
		"settings.json": "spec.parameters", "objects/cluster.yaml": "kind: AntDBCluster",
	} {
		if text, _ := os.ReadFile(filepath.Join("out", name)); !strings.Contains(string(text), word) {
			t.Errorf("%s does not say %q:\n%s", name, word, text)
		}
	}
	if strings.Contains(d.out.text(), "not in it") {
		t.Errorf("something is missing:\n%s", d.out.text())
	}
	d.want(1, []string{"file exists"}, "report", "--file", "out/")
	d.want(1, []string{"allowed are names that end with .tar.gz"}, "report", "--file", "out.txt")
	d.want(0, []string{"demo-20260301-100500.tar.gz: "}, "report")
}

func TestAReportTellsWhatIsNotInIt(t *testing.T) {
	d := inside(t)
	t.Chdir(t.TempDir())
	d.answers["demo-dn2-1"] = func([]string) (string, error) { return "", errors.New("pod is gone") }
	d.want(0, []string{"not in it: the operator's Deployment", "not in it: settings: ask dn2: pod is gone"}, "report")
}
