// SPDX-License-Identifier: Apache-2.0

// Package scram makes and checks what a server stores in place of a password, and derives nothing else from one.
//
// It is pure: salts come in as arguments.
package scram

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // an old verifier of the server has this form; none is made here
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Parameters of a new verifier; they are PostgreSQL's own.
const (
	scramIterations = 4096
	scramSalt       = 16
)

// prefix of a SCRAM verifier.
const prefix = "SCRAM-SHA-256$"

// SaltBytes is how many bytes a Verifier needs that differ from role to role and that nobody can foresee.
const SaltBytes = scramSalt

// FirstLine is the password that a file or a key of a Secret holds: its first line, as the engine reads it too.
func FirstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return strings.TrimRight(string(line), "\r")
}

// Verifier is what a server stores instead of a password. Sending it in place of the password keeps the password out of
// the server's log.
func Verifier(password string, salt [SaltBytes]byte) (string, error) {
	stored, server, err := scramKeys(password, salt[:], scramIterations)
	if err != nil {
		return "", fmt.Errorf("make verifier: %w", err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf(prefix+"%d:%s$%s:%s", scramIterations, b64(salt[:]), b64(stored), b64(server)), nil
}

func scramKeys(password string, salt []byte, iterations int) (stored, server []byte, err error) {
	salted, err := pbkdf2.Key(sha256.New, prepared(password), salt, iterations, sha256.Size)
	if err != nil {
		return nil, nil, err
	}
	sign := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	sum := sha256.Sum256(sign("Client Key"))
	return sum[:], sign("Server Key"), nil
}

// prepared is the form in which clients hash a password that is not plain ASCII.
func prepared(password string) string {
	mapped := strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u205f\u3000", r):
			return ' '
		case strings.ContainsRune("\u00ad\u034f\u1806\u180b\u180c\u180d\u200c\u200d\u2060\ufeff", r):
			return -1
		}
		return r
	}, password)
	return norm.NFKC.String(mapped)
}

// Matches tells whether a stored verifier belongs to a password. It knows the forms that a server stores.
func Matches(verifier, role, password string) bool {
	if rest, ok := strings.CutPrefix(verifier, prefix); ok {
		return matchesSCRAM(rest, password)
	}
	if rest, ok := strings.CutPrefix(verifier, "md5"); ok {
		sum := md5.Sum([]byte(password + role)) //nolint:gosec // the server's old form
		return subtle.ConstantTimeCompare([]byte(rest), []byte(hex.EncodeToString(sum[:]))) == 1
	}
	return false
}

// Kind is the method by which a stored verifier lets its role log in; empty if nothing is stored.
func Kind(verifier string) string {
	switch {
	case verifier == "":
		return ""
	case strings.HasPrefix(verifier, prefix):
		return "scram-sha-256"
	default:
		return "md5"
	}
}

// matchesSCRAM reads ITERATIONS:SALT$STOREDKEY:SERVERKEY.
func matchesSCRAM(text, password string) bool {
	parameters, keys, ok := strings.Cut(text, "$")
	count, salt64, ok2 := strings.Cut(parameters, ":")
	stored64, _, ok3 := strings.Cut(keys, ":")
	iterations, err := strconv.Atoi(count)
	if !ok || !ok2 || !ok3 || err != nil || iterations < 1 {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(salt64)
	if err != nil {
		return false
	}
	want, err := base64.StdEncoding.DecodeString(stored64)
	if err != nil {
		return false
	}
	stored, _, err := scramKeys(password, salt, iterations)
	return err == nil && hmac.Equal(stored, want)
}
