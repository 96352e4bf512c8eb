// SPDX-License-Identifier: Apache-2.0

package instanceclient_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi/instanceclient"
	"github.com/antdb-operator/antdb-operator/internal/roles"
)

// served gives a client of a server that answers every request in the same way, and what the server was asked.
func served(t *testing.T, code int, answer string) (c *instanceclient.Client, asked func() string) {
	t.Helper()
	last := ""
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		last = strings.TrimSpace(r.Method + " " + r.URL.Path + " " + string(body))
		w.WriteHeader(code)
		if _, err := io.WriteString(w, answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return instanceclient.NewClient(strings.TrimPrefix(s.URL, "https://"), s.Client().Transport), func() string { return last }
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestEachOrderGoesToItsPath(t *testing.T) {
	for want, call := range map[string]func(context.Context, *instanceclient.Client) error{
		"GET /v1/status":       func(ctx context.Context, c *instanceclient.Client) error { _, err := c.Status(ctx); return err },
		"GET /v1/reach":        func(ctx context.Context, c *instanceclient.Client) error { _, err := c.Reach(ctx); return err },
		"POST /v1/credentials": func(ctx context.Context, c *instanceclient.Client) error { return c.ApplyCredentials(ctx) },
		`PUT /v1/topology {"generation":7,"nodes":null}`: func(ctx context.Context, c *instanceclient.Client) error {
			_, err := c.PutTopology(ctx, instanceapi.Topology{Generation: 7})
			return err
		},
		`PUT /v1/config {"parameters":null,"hba":null,"gtmHost":"gc","superuserAccess":false}`: func(ctx context.Context, c *instanceclient.Client) error {
			_, err := c.PutConfig(ctx, instanceapi.Config{GTMHost: "gc"})
			return err
		},
		`PUT /v1/roles {"roles":[{"connectionLimit":-1,"name":"anna"}]}`: func(ctx context.Context, c *instanceclient.Client) error {
			_, err := c.PutRoles(ctx, instanceapi.Roles{Roles: []roles.Role{{Name: "anna", Attributes: roles.Attributes{ConnectionLimit: -1}}}})
			return err
		},
		`POST /v1/restart {"token":"t","reason":"r"}`: func(ctx context.Context, c *instanceclient.Client) error {
			return c.Restart(ctx, instanceapi.Restart{Token: "t", Reason: "r"})
		},
		`POST /v1/bootstrap {"database":"d","owner":"o"}`: func(ctx context.Context, c *instanceclient.Client) error {
			return c.Bootstrap(ctx, instanceapi.Bootstrap{Database: "d", Owner: "o"})
		},
		`POST /v1/escape {"token":"t","drop":["cn2"],"topology":{"generation":0,"nodes":null}}`: func(ctx context.Context, c *instanceclient.Client) error {
			return c.Escape(ctx, instanceapi.Escape{Token: "t", Drop: []string{"cn2"}})
		},
		`PUT /v1/lock {"token":"t","hold":true}`: func(ctx context.Context, c *instanceclient.Client) error {
			_, err := c.Lock(ctx, instanceapi.Lock{Token: "t", Hold: true})
			return err
		},
		`POST /v1/join {"token":"t","kind":"Copy","from":"cn1-h","keep":true}`: func(ctx context.Context, c *instanceclient.Client) error {
			return c.Join(ctx, instanceapi.Join{Token: "t", Kind: instanceapi.JoinCopy, From: "cn1-h", Keep: true})
		},
		`PUT /v1/drain {"token":"t","graceSeconds":5}`: func(ctx context.Context, c *instanceclient.Client) error {
			_, err := c.Drain(ctx, instanceapi.Drain{Token: "t", GraceSeconds: 5})
			return err
		},
	} {
		c, asked := served(t, http.StatusOK, "{}")
		if err := call(within(t), c); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if d := cmp.Diff(want, asked()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

func TestAnAnswerIsRead(t *testing.T) {
	c, _ := served(t, http.StatusOK, `{"node":"dn1","state":"Running","serving":true}`)
	s, err := c.Status(within(t))
	if err != nil || s.Node != "dn1" || s.State != instanceapi.StateRunning || !s.Serving {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestARefusalKeepsTheWordsOfTheInstance(t *testing.T) {
	for name, x := range map[string]struct {
		code   int
		answer string
		words  string
		notYet bool
	}{
		"a problem":               {http.StatusBadRequest, `{"error":"only gc waits for nodes"}`, "only gc waits for nodes", false},
		"not yet":                 {http.StatusConflict, `{"error":"initdb runs"}`, "initdb runs", true},
		"a refusal without words": {http.StatusForbidden, `<html>`, "status 403", false},
		"an answer that is none":  {http.StatusOK, `<html>`, "read answer", false},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := served(t, x.code, x.answer)
			_, err := c.Status(within(t))
			if err == nil || !strings.Contains(err.Error(), x.words) || !strings.Contains(err.Error(), "GET /v1/status") {
				t.Errorf("%v", err)
			}
			if errors.Is(err, instanceapi.ErrNotYet) != x.notYet {
				t.Errorf("not yet: %t: %v", !x.notYet, err)
			}
		})
	}
}

func TestAnInstanceOfAnotherClusterIsNotTrusted(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked all the same") }))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	c := instanceclient.NewClient(strings.TrimPrefix(s.URL, "https://"), instanceclient.NewTransport(&tls.Config{MinVersion: tls.VersionTLS13}))
	if _, err := c.Status(within(t)); err == nil {
		t.Error("a certificate of an unknown authority was taken")
	}
}

func TestQuestionsThatFollowShareAConnection(t *testing.T) {
	from := map[string]bool{}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from[r.RemoteAddr] = true
		_, _ = io.WriteString(w, "{}") // the client tells
	}))
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	via := instanceclient.NewTransport(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool})
	for range 3 {
		if _, err := instanceclient.NewClient(strings.TrimPrefix(s.URL, "https://"), via).Status(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if len(from) != 1 {
		t.Errorf("three questions came from %d connections", len(from))
	}
}
