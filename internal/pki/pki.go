// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificates of a cluster's instance API: an authority for each cluster, one server
// certificate for its instances, and the operator's client certificate, which never leaves the operator's memory.
//
// It knows keys and certificates; where they are kept is the caller's affair.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Lifetimes of certificates. A certificate is renewed when a third of its life is left.
const (
	AuthorityLife   = 10 * 365 * 24 * time.Hour
	CertificateLife = 365 * 24 * time.Hour
	skew            = 5 * time.Minute // clocks of hosts differ
)

// Pair is a certificate and its key, both PEM.
type Pair struct {
	Certificate, Key []byte
}

// NewAuthority makes a self-signed authority.
func NewAuthority(name string, now time.Time) (Pair, error) {
	p, err := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, nil, now, AuthorityLife)
	if err != nil {
		return Pair{}, fmt.Errorf("make authority %s: %w", name, err)
	}
	return p, nil
}

// Server makes a certificate for a server with the given DNS name. It does not serve as a client certificate.
func Server(authority Pair, dnsName string, now time.Time) (Pair, error) {
	p, err := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "antdb-instance"}, DNSNames: []string{dnsName},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &authority, now, CertificateLife)
	if err != nil {
		return Pair{}, fmt.Errorf("make certificate for %s: %w", dnsName, err)
	}
	return p, nil
}

// Client makes a client certificate with the given common name.
func Client(authority Pair, commonName string, now time.Time) (Pair, error) {
	p, err := sign(&x509.Certificate{
		Subject:  pkix.Name{CommonName: commonName},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, &authority, now, CertificateLife)
	if err != nil {
		return Pair{}, fmt.Errorf("make client certificate for %s: %w", commonName, err)
	}
	return p, nil
}

// ClientConfig is the TLS side of a client that trusts only authority.
func ClientConfig(authority []byte, client Pair, serverName string) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("read authority: no certificate in it")
	}
	cert, err := tls.X509KeyPair(client.Certificate, client.Key)
	if err != nil {
		return nil, fmt.Errorf("read client certificate: %w", err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{cert}, ServerName: serverName,
	}, nil
}

// Fresh tells whether a certificate has more than a third of its life left and was signed by authority for dnsName.
func Fresh(certificate, authority []byte, dnsName string, now time.Time) bool {
	cert, err := parse(certificate)
	if err != nil {
		return false
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return false
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: dnsName, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil && cert.NotAfter.Sub(now) > cert.NotAfter.Sub(cert.NotBefore)/3
}

func sign(t *x509.Certificate, authority *Pair, now time.Time, life time.Duration) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return Pair{}, err
	}
	t.NotBefore, t.NotAfter = now.Add(-skew), now.Add(life)
	parent, signer := t, key
	if authority != nil {
		if parent, err = parse(authority.Certificate); err != nil {
			return Pair{}, err
		}
		if signer, err = parseKey(authority.Key); err != nil {
			return Pair{}, err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

func parse(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("read certificate: not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("read key: not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read key: it is a %T, an ECDSA key is needed", key)
	}
	return ec, nil
}
