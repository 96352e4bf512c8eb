// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/internal/cli/bundle"
)

func TestWhatLooksLikeAPasswordIsBlackedOut(t *testing.T) {
	for name, text := range map[string]string{
		"SQL":                     `create role shop login password 'geheim'`,
		"SQL with quotes inside":  `ALTER ROLE shop PASSWORD 'it''s geheim, really'`,
		"SQL with escapes":        `alter role shop password E'geheim\n'`,
		"SQL in dollars":          `alter role shop password $x$ geheim $x$; select 1`,
		"SQL in a line of JSON":   `{"msg":"statement: create role a encrypted password 'geheim' valid until '2030-01-01'"}`,
		"a connection string":     `host=gc user=postgres password=geheim dbname=app`,
		"a quoted one":            `primary_conninfo = 'host=gc password=geheim'`,
		"an address":              `uri: postgresql://shop:geheim@demo.prod.svc:5432/app`,
		"an environment variable": `PGPASSWORD=geheim psql`,
		"YAML":                    "username: shop\npassword: geheim\n",
		"JSON":                    `{"password": "ge\"heim", "other": 1}`,
		"a stored password":       `SCRAM-SHA-256$4096:geheim==$geheim=:geheim=`,
		"an old stored password":  `rolpassword md5c0ffee00c0ffee00c0ffee00c0ffee00`,
		"a key":                   "-----BEGIN EC PRIVATE KEY-----\ngeheim\n-----END EC PRIVATE KEY-----\n",
	} {
		got := bundle.Redact(text)
		if strings.Contains(got, "geheim") || strings.Contains(got, "heim") || strings.Contains(got, "c0ffee") || !strings.Contains(got, "█████") {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, text := range []string{
		"password_encryption = scram-sha-256", "host all all all scram-sha-256", "password authentication failed for user \"app\"", "postgres://demo.prod.svc:5432/app",
		"passwords not applied yet", "select 'password'", "md5 digest abc",
	} {
		if got := bundle.Redact(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if got := bundle.Redact("postgres://shop:geheim@demo/app and password 'a', x"); got != "postgres://shop:█████@demo/app and password █████, x" {
		t.Errorf("%s", got)
	}
}

// fill writes a few files.
func fill(t *testing.T, name string) {
	t.Helper()
	b, err := bundle.Create(name, time.Date(2026, 3, 1, 10, 5, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "demo-dn1-1", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}},
		Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "copy", "a": "b"},
	}}
	for _, err := range []error{b.Add("logs/dn1.log", "password 'geheim'"), b.JSON("x.json", map[string]string{"password": "geheim"}), b.Object("objects/pod.yaml", pod), b.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if b.Count() != 3 || len(pod.ManagedFields) != 1 {
		t.Errorf("%d files", b.Count())
	}
}

func TestABundleIsATarAZipOrAFolder(t *testing.T) {
	home := t.TempDir()
	found := map[string]map[string]string{"tar": {}, "zip": {}, "folder": {}}
	note := func(form, name string, r io.Reader) {
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		found[form][name] = string(text)
	}

	fill(t, filepath.Join(home, "demo.tar.gz"))
	file, err := os.Open(filepath.Join(home, "demo.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	g, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(g); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		note("tar", h.Name, r)
	}

	fill(t, filepath.Join(home, "demo.zip"))
	z, err := zip.OpenReader(filepath.Join(home, "demo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		note("zip", f.Name, r)
	}

	fill(t, filepath.Join(home, "demo")+"/")
	for _, name := range []string{"logs/dn1.log", "x.json", "objects/pod.yaml"} {
		r, err := os.Open(filepath.Join(home, "demo", name))
		if err != nil {
			t.Fatal(err)
		}
		note("folder", "demo/"+name, r)
		r.Close()
	}
	for form, files := range found {
		if len(files) != 3 || files["demo/logs/dn1.log"] != "password █████" || strings.Contains(files["demo/x.json"], "geheim") {
			t.Errorf("%s: %v", form, files)
		}
		if y := files["demo/objects/pod.yaml"]; strings.Contains(y, "managedFields") || strings.Contains(y, "last-applied") || !strings.Contains(y, "a: b") {
			t.Errorf("%s: %s", form, y)
		}
	}
	if info, err := os.Stat(filepath.Join(home, "demo.zip")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for _, name := range []string{"demo.zip", "demo/", "demo.txt"} {
		full := filepath.Join(home, name)
		if strings.HasSuffix(name, "/") {
			full += "/"
		}
		if _, err := bundle.Create(full, time.Now()); err == nil {
			t.Errorf("%s is written over, or of no known form", name)
		}
	}
}
