// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/internal/plan"
	"github.com/antdb-operator/antdb-operator/internal/scram"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// Verifiers remembers the verifiers of each cluster's Secrets: making one takes a millisecond of computing, on purpose.
type Verifiers struct {
	mu   sync.Mutex
	held map[types.NamespacedName]map[verifierKey]string
}

// verifierKey names the content of a Secret and the role that it is for.
type verifierKey struct {
	secret        types.UID
	version, role string
}

// passwords reads the Secrets of managed roles. What a Secret lacks is a fact, not an error.
func (r *Reconciler) passwords(ctx context.Context, want *spec.Cluster) (map[string]plan.Password, error) {
	out, used := map[string]plan.Password{}, map[verifierKey]string{}
	cluster := types.NamespacedName{Namespace: want.Namespace, Name: want.Name}
	for _, role := range want.ManagedRoles {
		if role.Secret == "" {
			continue
		}
		s, err := r.anySecret(ctx, want, role.Secret)
		switch {
		case apierrors.IsNotFound(err):
			out[role.Name] = plan.Password{Problem: fmt.Sprintf("Secret %s does not exist: make it with type %s and the keys username and password", role.Secret, corev1.SecretTypeBasicAuth)}
			continue
		case err != nil:
			return nil, fmt.Errorf("read secret %s: %w", role.Secret, err)
		}
		password, problem := passwordOf(s, role.Name)
		if problem != "" {
			out[role.Name] = plan.Password{Problem: problem}
			continue
		}
		key := verifierKey{s.UID, s.ResourceVersion, role.Name}
		if used[key], err = r.Verifiers.of(cluster, key, password); err != nil {
			return nil, err
		}
		out[role.Name] = plan.Password{Verifier: used[key], Version: s.ResourceVersion}
	}
	r.Verifiers.keep(cluster, used)
	return out, nil
}

// passwordOf takes the password of a role out of a Secret, or tells what is wrong with it.
func passwordOf(s *corev1.Secret, role string) (password, problem string) {
	password = scram.FirstLine(s.Data[corev1.BasicAuthPasswordKey])
	switch user := string(s.Data[corev1.BasicAuthUsernameKey]); {
	case s.Type != corev1.SecretTypeBasicAuth:
		return "", fmt.Sprintf("Secret %s has type %q: allowed is %s", s.Name, s.Type, corev1.SecretTypeBasicAuth)
	case user != role:
		return "", fmt.Sprintf("Secret %s has username %q: allowed is %q, the name of the role", s.Name, user, role)
	case password == "":
		return "", fmt.Sprintf("Secret %s: the first line of password is empty: put the password there", s.Name)
	}
	return password, ""
}

// of is the verifier of a password. Its salt follows from the Secret's identity, which is random and never changes: so
// the same Secret gives the same verifier whoever the operator is, and what is in force already is not set again.
func (v *Verifiers) of(cluster types.NamespacedName, key verifierKey, password string) (string, error) {
	v.mu.Lock()
	known, ok := v.held[cluster][key]
	v.mu.Unlock()
	if ok {
		return known, nil
	}
	sum := sha256.Sum256([]byte(string(key.secret) + "/" + key.role))
	return scram.Verifier(password, [scram.SaltBytes]byte(sum[:scram.SaltBytes]))
}

// keep forgets all verifiers of a cluster but those that are in use.
func (v *Verifiers) keep(cluster types.NamespacedName, used map[verifierKey]string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.held, cluster)
	if len(used) == 0 {
		return
	}
	if v.held == nil {
		v.held = map[types.NamespacedName]map[verifierKey]string{}
	}
	v.held[cluster] = used
}
