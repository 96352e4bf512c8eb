// SPDX-License-Identifier: Apache-2.0

package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/pki"
)

func ensure(t *testing.T, dir string, now time.Time) []string {
	t.Helper()
	made, err := pki.Authority{Dir: dir, Now: now}.Ensure(pki.Authorities(), pki.Identities())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestCertificatesStandForTheirUsersAndServeTheirAddresses(t *testing.T) {
	dir := t.TempDir()
	ensure(t, dir, time.Now())
	for _, id := range pki.Identities() {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, id.File+".crt"), filepath.Join(dir, id.File+".key"))
		if err != nil {
			t.Fatalf("%s: %v", id.File, err)
		}
		ca, err := os.ReadFile(filepath.Join(dir, id.CA+".crt"))
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		for _, name := range append(slices.Clone(id.Names), id.IPs...) {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
				t.Errorf("%s does not serve %s: %v", id.File, name, err)
			}
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Errorf("%s is no client certificate: %v", id.File, err)
		}
		if got := pair.Leaf.Subject.CommonName; got != id.User {
			t.Errorf("%s stands for %q, want %q", id.File, got, id.User)
		}
	}
}

func TestOnlyWhatIsMissingOrBrokenIsMadeAgain(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		later  time.Duration
		want   []string
	}{
		{name: "nothing is wrong", damage: func(*testing.T, string) {}},
		{
			name: "a certificate is missing", want: []string{"node1"},
			damage: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "node1.crt")) },
		},
		{
			name: "a key was cut short", want: []string{"admin"},
			damage: func(t *testing.T, dir string) { write(t, filepath.Join(dir, "admin.key"), "-----BEGIN") },
		},
		{
			name: "a key belongs to another certificate", want: []string{"proxy"},
			damage: func(t *testing.T, dir string) {
				copyFile(t, filepath.Join(dir, "node1.key"), filepath.Join(dir, "proxy.key"))
			},
		},
		{
			name: "the halves of the service account key differ", want: []string{"sa"},
			damage: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "sa.pub")) },
		},
		{
			name: "an authority is gone, and all that it signed with it", want: []string{"front-proxy-ca", "front-proxy-client"},
			damage: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "front-proxy-ca.key")) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			ensure(t, dir, now)
			c.damage(t, dir)
			if diff := cmp.Diff(c.want, ensure(t, dir, now)); diff != "" {
				t.Errorf("made again (-want +got):\n%s", diff)
			}
			if again := ensure(t, dir, now); len(again) > 0 {
				t.Errorf("the repair was not enough: %v", again)
			}
		})
	}
}

func TestCertificatesAreMadeAgainBeforeTheyExpire(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	all := len(ensure(t, dir, now)) - 1 // the service account key does not expire
	if made := ensure(t, dir, now.Add(10*365*24*time.Hour-24*time.Hour)); len(made) != all {
		t.Errorf("a day before the end %d were made again (%v), want %d", len(made), made, all)
	}
}

func TestAKubeconfigHoldsEverythingItNeeds(t *testing.T) {
	dir := t.TempDir()
	ensure(t, dir, time.Now())
	path := filepath.Join(dir, "config")
	if err := (pki.Authority{Dir: dir}).Kubeconfig("admin", path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"https://10.89.0.2:6443", "certificate-authority-data: LS0t", "client-certificate-data: LS0t", "client-key-data: LS0t"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v), want 0600: there is a key in it", info.Mode(), err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(text))
}
