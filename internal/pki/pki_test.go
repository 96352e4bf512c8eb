// SPDX-License-Identifier: Apache-2.0

package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/pki"
)

const name = "instance.demo.demo.antdb.io"

func must(t *testing.T) func(pki.Pair, error) pki.Pair {
	t.Helper()
	return func(p pki.Pair, err error) pki.Pair {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func TestOperatorAndInstanceTrustEachOtherAndNobodyElse(t *testing.T) {
	now := time.Now()
	ca := must(t)(pki.NewAuthority("demo", now))
	other := must(t)(pki.NewAuthority("other", now))
	server := must(t)(pki.Server(ca, name, now))
	cases := map[string]struct {
		client pki.Pair
		trusts pki.Pair
		want   bool
	}{
		"the operator's certificate is let in":                 {must(t)(pki.Client(ca, "antdb-operator", now)), ca, true},
		"another cluster's operator certificate is not":        {must(t)(pki.Client(other, "antdb-operator", now)), ca, false},
		"an instance's certificate does not serve as a client": {server, ca, false},
		"a server of another authority is not trusted":         {must(t)(pki.Client(ca, "antdb-operator", now)), other, false},
	}
	for title, c := range cases {
		t.Run(title, func(t *testing.T) {
			if got := handshake(t, ca, server, c.client, c.trusts); got != c.want {
				t.Errorf("handshake succeeded: %v, want %v", got, c.want)
			}
		})
	}
}

// handshake tells whether both sides were content.
func handshake(t *testing.T, ca, server, client, trusts pki.Pair) bool {
	t.Helper()
	cert, err := tls.X509KeyPair(server.Certificate, server.Key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.Certificate)
	conf, err := pki.ClientConfig(trusts.Certificate, client, name)
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	defer func() { _, _ = a.Close(), b.Close() }()
	for _, end := range []net.Conn{a, b} {
		if err := end.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	served := make(chan error, 1)
	go func() {
		s := tls.Server(a, &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
			SessionTicketsDisabled: true,
		})
		served <- s.Handshake()
		_ = a.Close()
	}()
	c := tls.Client(b, conf)
	err = c.Handshake()
	if err == nil { // in TLS 1.3 the server refuses a client after the client's handshake is over
		_, _ = c.Read(make([]byte, 1))
	}
	_ = b.Close()
	return err == nil && <-served == nil
}

func TestACertificateIsRenewedInTime(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ca := must(t)(pki.NewAuthority("demo", now))
	other := must(t)(pki.NewAuthority("other", now))
	server := must(t)(pki.Server(ca, name, now))
	cases := map[string]struct {
		at        time.Time
		authority []byte
		name      string
		want      bool
	}{
		"new":                              {now, ca.Certificate, name, true},
		"half of its life over":            {now.Add(pki.CertificateLife / 2), ca.Certificate, name, true},
		"three quarters of its life over":  {now.Add(pki.CertificateLife * 3 / 4), ca.Certificate, name, false},
		"over":                             {now.Add(pki.CertificateLife * 2), ca.Certificate, name, false},
		"signed by another authority":      {now, other.Certificate, name, false},
		"made for another name":            {now, ca.Certificate, "instance.x.y.antdb.io", false},
		"an authority that cannot be read": {now, []byte("x"), name, false},
	}
	for title, c := range cases {
		t.Run(title, func(t *testing.T) {
			if got := pki.Fresh(server.Certificate, c.authority, c.name, c.at); got != c.want {
				t.Errorf("Fresh = %v, want %v", got, c.want)
			}
		})
	}
}
