// SPDX-License-Identifier: Apache-2.0

package serve_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/pki"
)

// fake is an instance that remembers what it was asked.
type fake struct {
	restarted instanceapi.Restart
	reloaded  instanceapi.Reload
}

func (f *fake) Status(context.Context) instanceapi.Status {
	return instanceapi.Status{Node: "dn1"}
}

func (f *fake) PutTopology(context.Context, instanceapi.Topology) (instanceapi.TopologyResult, error) {
	return instanceapi.TopologyResult{}, serve.NotYet("SQL does not run")
}

func (f *fake) PutConfig(_ context.Context, c instanceapi.Config) (instanceapi.ConfigResult, error) {
	return instanceapi.ConfigResult{Changed: true, ConfigStatus: instanceapi.ConfigStatus{Hash: c.Hash()}}, nil
}
func (f *fake) Restart(_ context.Context, r instanceapi.Restart) error { f.restarted = r; return nil }
func (f *fake) Reload(_ context.Context, r instanceapi.Reload) error   { f.reloaded = r; return nil }
func (f *fake) Bootstrap(context.Context, instanceapi.Bootstrap) error { return errors.New("broken") }
func (f *fake) ApplyCredentials(context.Context) error                 { return nil }
func (f *fake) PutRoles(_ context.Context, r instanceapi.Roles) (instanceapi.RolesStatus, error) {
	return instanceapi.RolesStatus{Hash: r.Hash()}, nil
}
func (f *fake) Reach(context.Context) (instanceapi.Reach, error) { return instanceapi.Reach{}, nil }
func (f *fake) Escape(context.Context, instanceapi.Escape) error { return serve.Never("not gc") }
func (f *fake) Join(context.Context, instanceapi.Join) error     { return nil }

func (f *fake) Lock(context.Context, instanceapi.Lock) (instanceapi.LockStatus, error) {
	return instanceapi.LockStatus{}, serve.Never("not gc")
}

func (f *fake) Drain(context.Context, instanceapi.Drain) (instanceapi.DrainStatus, error) {
	return instanceapi.DrainStatus{}, nil
}
func (f *fake) Feed(_ context.Context, x instanceapi.Feed) (instanceapi.FeedStatus, error) {
	return instanceapi.FeedStatus{Slots: x.Slots}, nil
}

func (f *fake) Split(context.Context, instanceapi.Split) error { return nil }

func (f *fake) Clean(context.Context, instanceapi.Clean) error { return nil }

func (f *fake) Move(context.Context, instanceapi.Move) error { return serve.NotYet("busy") }
func (f *fake) Empty(_ context.Context, datanode string) (instanceapi.Emptiness, error) {
	return instanceapi.Emptiness{Tables: []string{"app.public.t on " + datanode}}, nil
}

// authority signs certificates.
type authority struct {
	t *testing.T
	pki.Pair
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	pair, err := pki.NewAuthority("demo", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return authority{t, pair}
}

// install puts a server's certificate where an instance finds it.
func (a authority) install(folder string) {
	a.t.Helper()
	server, err := pki.Server(a.Pair, "instance", time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	for name, text := range map[string][]byte{"tls.crt": server.Certificate, "tls.key": server.Key, "ca.crt": a.Certificate} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// client trusts the authority and shows a certificate of that name, which signer signed.
func (a authority) client(name string, signer authority) *http.Client {
	a.t.Helper()
	pair, err := pki.Client(signer.Pair, name, time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	conf, err := pki.ClientConfig(a.Certificate, pair, "instance")
	if err != nil {
		a.t.Fatal(err)
	}
	// Without this a client keeps a certificate to itself that the server's list of authorities rules out.
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &conf.Certificates[0], nil }
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
}

// nobody trusts the authority and shows no certificate.
func (a authority) nobody() *http.Client {
	c := a.client("nobody", a)
	conf := c.Transport.(*http.Transport).TLSClientConfig
	conf.Certificates, conf.GetClientCertificate = nil, nil
	return c
}

// listen serves an instance and returns its URL.
func listen(t *testing.T, folder string, i serve.Instance) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: serve.Handler(i), TLSConfig: (&serve.Certificate{Folder: folder}).Server(), ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return "https://" + l.Addr().String()
}

func ask(t *testing.T, c *http.Client, method, url, body string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), nil
}

func TestADatanodeIsNamedInThePath(t *testing.T) {
	a, folder := newAuthority(t), t.TempDir()
	a.install(folder)
	url := listen(t, folder, &fake{})
	code, text, err := ask(t, a.client("antdb-operator", a), http.MethodGet, url+instanceapi.PathEmpty+"dn4", "")
	if err != nil || code != http.StatusOK || !strings.Contains(text, "app.public.t on dn4") {
		t.Errorf("empty: %d %s, %v", code, text, err)
	}
	code, text, err = ask(t, a.client("antdb-operator", a), http.MethodPost, url+instanceapi.PathMove, `{"token":"1"}`)
	if err != nil || code != http.StatusConflict || !strings.Contains(text, "busy") {
		t.Errorf("move: %d %s, %v", code, text, err)
	}
}

func TestProbesNeedNoCertificateAndEverythingElseTheOperators(t *testing.T) {
	a, folder, i := newAuthority(t), t.TempDir(), &fake{}
	a.install(folder)
	url := listen(t, folder, i)
	operator, stranger, nobody := a.client("antdb-operator", a), a.client("somebody", a), a.nobody()
	for _, c := range []struct {
		client *http.Client
		method string
		path   string
		body   string
		want   int
		says   string
	}{
		{nobody, "GET", "/healthz", "", 200, "alive"},
		{nobody, "GET", "/v1/status", "", 403, "client certificate"},
		{stranger, "GET", "/v1/status", "", 403, "antdb-operator"},
		{stranger, "GET", "/v1/nothing", "", 403, "antdb-operator"},
		{operator, "GET", "/v1/status", "", 200, `"node":"dn1"`},
		{operator, "PUT", "/v1/topology", "{}", 409, "SQL does not run"},
		{operator, "PUT", "/v1/config", `{"gtmHost":"h"}`, 200, `"changed":true`},
		{operator, "PUT", "/v1/roles", `{"roles":[]}`, 200, `"hash":`},
		{operator, "PUT", "/v1/config", `{"gtm`, 400, "read request"},
		{operator, "PUT", "/v1/config", `{"gtmHost":"` + strings.Repeat("x", 5<<20) + `"}`, 400, "too large"},
		{operator, "POST", "/v1/restart", `{"token":"t"}`, 202, ""},
		{operator, "POST", "/v1/bootstrap", `{}`, 500, "broken"},
		{operator, "POST", "/v1/escape", `{}`, 400, "not gc"},
		{operator, "POST", "/v1/credentials", "", 200, ""},
		{operator, "GET", "/v1/reach", "", 200, "datanodes"},
		{operator, "GET", "/v1/nothing", "", 404, "not served"},
		{operator, "DELETE", "/v1/status", "", 404, "not served"},
	} {
		code, text, err := ask(t, c.client, c.method, url+c.path, c.body)
		if err != nil || code != c.want || !strings.Contains(text, c.says) {
			t.Errorf("%s %s: %d %q %v, want %d with %q", c.method, c.path, code, text, err, c.want, c.says)
		}
		var p instanceapi.Problem
		if code/100 != 2 && (json.Unmarshal([]byte(text), &p) != nil || p.Error == "") {
			t.Errorf("%s %s: %q is no problem in JSON", c.method, c.path, text)
		}
	}
	if i.restarted.Token != "t" {
		t.Errorf("restarted for %q", i.restarted.Token)
	}
}

func TestACertificateOfAnotherAuthorityDoesNotEvenConnect(t *testing.T) {
	a, other, folder := newAuthority(t), newAuthority(t), t.TempDir()
	a.install(folder)
	url := listen(t, folder, &fake{})
	c := a.client("antdb-operator", other)
	if code, text, err := ask(t, c, "GET", url+"/v1/status", ""); err == nil {
		t.Errorf("got %d %q", code, text)
	}
}

func TestAChangedCertificateIsUsedAtOnce(t *testing.T) {
	a, folder := newAuthority(t), t.TempDir()
	a.install(folder)
	url := listen(t, folder, &fake{})
	if _, _, err := ask(t, a.nobody(), "GET", url+"/healthz", ""); err != nil {
		t.Fatal(err)
	}
	next := newAuthority(t)
	next.install(folder)
	later := time.Now().Add(time.Minute) // as a projected volume gives changed files another time
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		if err := os.Chtimes(filepath.Join(folder, name), later, later); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, err := ask(t, next.client("antdb-operator", next), "GET", url+"/v1/status", ""); err != nil || code != 200 {
		t.Errorf("with the new authority: %d %v", code, err)
	}
	if _, _, err := ask(t, a.nobody(), "GET", url+"/healthz", ""); err == nil {
		t.Error("the old certificate is still in use")
	}
}

func TestWithoutACertificateNothingIsServed(t *testing.T) {
	a := newAuthority(t)
	url := listen(t, t.TempDir(), &fake{})
	if code, _, err := ask(t, a.nobody(), "GET", url+"/healthz", ""); err == nil {
		t.Errorf("got %d", code)
	}
}
