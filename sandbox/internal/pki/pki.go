// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificates, keys and kubeconfigs of the sandbox's cluster, and makes again
// only what is missing or broken. It knows which identity each program has; it signs for nobody else.
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	validity = 10 * 365 * 24 * time.Hour
	renewal  = 30 * 24 * time.Hour // a certificate with less than this left is made again
)

// Identity is one certificate: a file name, who it stands for, and where it may serve.
type Identity struct {
	File  string
	CA    string
	User  string
	Group string
	IPs   []string
	Names []string
}

// Authority makes the files of one directory.
type Authority struct {
	Dir string
	Now time.Time
}

// Ensure makes every authority, certificate and the service account key that is missing, broken, about to
// expire or signed by an authority that is gone. It returns the files it made: their users must restart.
func (a Authority) Ensure(authorities []string, identities []Identity) (made []string, err error) {
	if err := os.MkdirAll(a.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make certificate directory: %w", err)
	}
	cas := map[string]pair{}
	for _, name := range authorities {
		ca, fresh, err := a.ensureCA(name)
		if err != nil {
			return nil, err
		}
		cas[name] = ca
		if fresh {
			made = append(made, name)
		}
	}
	for _, id := range identities {
		ca, ok := cas[id.CA]
		if !ok {
			return nil, fmt.Errorf("certificate %s: no authority %q", id.File, id.CA)
		}
		if a.valid(id, ca) {
			continue
		}
		if err := a.issue(id, ca); err != nil {
			return nil, err
		}
		made = append(made, id.File)
	}
	fresh, err := a.ensureServiceAccountKey()
	if fresh {
		made = append(made, "sa")
	}
	return made, err
}

type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (a Authority) load(name string) (pair, error) {
	both, err := tls.LoadX509KeyPair(filepath.Join(a.Dir, name+".crt"), filepath.Join(a.Dir, name+".key"))
	if err != nil {
		return pair{}, err
	}
	key, ok := both.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return pair{}, errors.New("not an ECDSA key")
	}
	if both.Leaf.NotAfter.Before(a.Now.Add(renewal)) {
		return pair{}, errors.New("about to expire")
	}
	return pair{both.Leaf, key}, nil
}

func (a Authority) ensureCA(name string) (ca pair, fresh bool, err error) {
	if ca, err := a.load(name); err == nil && ca.cert.IsCA {
		return ca, false, nil
	}
	template, err := a.template(pkix.Name{CommonName: "antdb-sandbox-" + name})
	if err != nil {
		return pair{}, false, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, false, fmt.Errorf("generate key of authority %s: %w", name, err)
	}
	if err := a.sign(name, template, template, key, key); err != nil {
		return pair{}, false, err
	}
	ca, err = a.load(name)
	if err != nil {
		return pair{}, false, fmt.Errorf("read authority %s: %w", name, err)
	}
	return ca, true, nil
}

// valid says whether the certificate on disk is what Ensure would make.
func (a Authority) valid(id Identity, ca pair) bool {
	have, err := a.load(id.File)
	if err != nil || have.cert.CheckSignatureFrom(ca.cert) != nil {
		return false
	}
	want, err := a.certificate(id)
	if err != nil || have.cert.Subject.String() != want.Subject.String() || len(have.cert.IPAddresses) != len(want.IPAddresses) {
		return false
	}
	for i, ip := range want.IPAddresses {
		if !ip.Equal(have.cert.IPAddresses[i]) {
			return false
		}
	}
	for _, name := range want.DNSNames {
		if have.cert.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

func (a Authority) certificate(id Identity) (*x509.Certificate, error) {
	subject := pkix.Name{CommonName: id.User}
	if id.Group != "" {
		subject.Organization = []string{id.Group}
	}
	template, err := a.template(subject)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames = id.Names
	for _, ip := range id.IPs {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	return template, nil
}

func (a Authority) issue(id Identity, ca pair) error {
	template, err := a.certificate(id)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generate key of %s: %w", id.File, err)
	}
	return a.sign(id.File, template, ca.cert, key, ca.key)
}

func (a Authority) template(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("choose serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject,
		// An hour of grace: clocks of a machine that was asleep may step back after the start.
		NotBefore: a.Now.Add(-time.Hour), NotAfter: a.Now.Add(validity),
	}, nil
}

func (a Authority) sign(name string, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return fmt.Errorf("sign certificate %s: %w", name, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key %s: %w", name, err)
	}
	if err := a.write(name+".key", "PRIVATE KEY", secret); err != nil {
		return err
	}
	return a.write(name+".crt", "CERTIFICATE", der)
}

// ensureServiceAccountKey makes the RSA pair that signs service account tokens.
func (a Authority) ensureServiceAccountKey() (fresh bool, err error) {
	if a.serviceAccountKeyValid() {
		return false, nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return false, fmt.Errorf("generate service account key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return false, fmt.Errorf("encode service account key: %w", err)
	}
	if err := a.write("sa.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)); err != nil {
		return false, err
	}
	return true, a.write("sa.pub", "PUBLIC KEY", public)
}

func (a Authority) serviceAccountKeyValid() bool {
	var blocks [2][]byte
	for i, name := range []string{"sa.key", "sa.pub"} {
		data, err := os.ReadFile(filepath.Join(a.Dir, name))
		if err != nil {
			return false
		}
		block, _ := pem.Decode(data)
		if block == nil {
			return false
		}
		blocks[i] = block.Bytes
	}
	key, err := x509.ParsePKCS1PrivateKey(blocks[0])
	if err != nil {
		return false
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	return err == nil && bytes.Equal(public, blocks[1])
}

// write replaces a file in one step, so that a kill in between leaves the old one or none.
func (a Authority) write(name, kind string, der []byte) error {
	path := filepath.Join(a.Dir, name)
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
