// SPDX-License-Identifier: Apache-2.0

// Package scram is the server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) over a stored PostgreSQL verifier.
// It refuses to know where verifiers are kept and how messages travel. Channel binding is not offered.
package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Mechanism is the SASL name of what this package speaks.
const Mechanism = "SCRAM-SHA-256"

// ErrMismatch says that the client does not know the password.
var ErrMismatch = errors.New("password does not match")

// Verifier is what pg_authid.rolpassword holds for one role.
type Verifier struct {
	Iterations        int
	Salt              []byte
	StoredKey, Server []byte
}

// ParseVerifier reads "SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>".
func ParseVerifier(s string) (Verifier, error) {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '$' || r == ':' })
	if len(parts) != 5 || parts[0] != Mechanism {
		return Verifier{}, errors.New("not a SCRAM-SHA-256 verifier")
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return Verifier{}, fmt.Errorf("read iterations: %w", err)
	}
	v := Verifier{Iterations: n}
	for i, p := range []*[]byte{&v.Salt, &v.StoredKey, &v.Server} {
		if *p, err = base64.StdEncoding.DecodeString(parts[i+2]); err != nil {
			return Verifier{}, fmt.Errorf("decode verifier: %w", err)
		}
	}
	return v, nil
}

// Matches tells whether a clear-text password belongs to the verifier.
func (v Verifier) Matches(password string) bool {
	salted, err := pbkdf2.Key(sha256.New, password, v.Salt, v.Iterations, sha256.Size)
	if err != nil {
		return false
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return hmac.Equal(stored[:], v.StoredKey)
}

// Exchange is one authentication: First, then Final.
type Exchange struct {
	v           Verifier
	nonce       string
	gs2, first  string
	serverFirst string
}

// NewExchange starts an authentication; the nonce must be random and printable.
func NewExchange(v Verifier, nonce string) *Exchange { return &Exchange{v: v, nonce: nonce} }

// First takes the client's first message and returns the server's.
func (x *Exchange) First(msg []byte) ([]byte, error) {
	parts := strings.SplitN(string(msg), ",", 3)
	if len(parts) != 3 || (parts[0] != "n" && parts[0] != "y") {
		return nil, errors.New("malformed SCRAM message: channel binding is not offered")
	}
	x.gs2, x.first = parts[0]+","+parts[1]+",", parts[2]
	client := attribute(x.first, "r")
	if client == "" {
		return nil, errors.New("malformed SCRAM message: no nonce")
	}
	x.nonce = client + x.nonce
	x.serverFirst = fmt.Sprintf("r=%s,s=%s,i=%d", x.nonce, base64.StdEncoding.EncodeToString(x.v.Salt), x.v.Iterations)
	return []byte(x.serverFirst), nil
}

// Final takes the client's proof and returns the server's, or ErrMismatch.
func (x *Exchange) Final(msg []byte) ([]byte, error) {
	bare, proof64, ok := strings.Cut(string(msg), ",p=")
	if !ok || attribute(bare, "r") != x.nonce || attribute(bare, "c") != base64.StdEncoding.EncodeToString([]byte(x.gs2)) {
		return nil, errors.New("malformed SCRAM message")
	}
	proof, err := base64.StdEncoding.DecodeString(proof64)
	if err != nil || len(proof) != sha256.Size || len(x.v.StoredKey) != sha256.Size {
		return nil, ErrMismatch
	}
	auth := x.first + "," + x.serverFirst + "," + bare
	key := make([]byte, sha256.Size)
	subtle.XORBytes(key, proof, mac(x.v.StoredKey, auth))
	if got := sha256.Sum256(key); !hmac.Equal(got[:], x.v.StoredKey) {
		return nil, ErrMismatch
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(x.v.Server, auth))), nil
}

func attribute(msg, name string) string {
	for _, p := range strings.Split(msg, ",") {
		if v, ok := strings.CutPrefix(p, name+"="); ok {
			return v
		}
	}
	return ""
}

func mac(key []byte, msg string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(msg))
	return h.Sum(nil)
}
