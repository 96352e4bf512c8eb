// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi/instanceclient"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/pki"
	"github.com/antdb-operator/antdb-operator/internal/render"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// errEarlier tells that something of a deleted cluster of the same name must go first, which it does by itself.
var errEarlier = errors.New("it belongs to an earlier cluster of the same name and is being deleted")

// Certificates remembers the operator's client certificates, one for each cluster's authority, and the connections made
// with them.
type Certificates struct {
	mu   sync.Mutex
	held map[types.UID]clientCertificate
}

type clientCertificate struct {
	authority string
	pair      pki.Pair
	transport http.RoundTripper
}

// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch

// secrets makes the Secrets that are missing, and returns the version of those that pods mount. Passwords are made once
// and never overwritten; certificates are renewed in time.
func (r *Reconciler) secrets(ctx context.Context, want *spec.Cluster) (version string, err error) {
	authority, err := r.authority(ctx, want)
	if err != nil {
		return "", err
	}
	mounted, err := r.serverCertificate(ctx, want, authority)
	if err != nil {
		return "", err
	}
	versions := []string{mounted.ResourceVersion}
	logins := map[string]func(*spec.Cluster, string) *corev1ac.SecretApplyConfiguration{}
	if !want.SuperuserSecretGiven {
		logins[want.SuperuserSecret] = render.SuperuserLogin
	}
	if want.Bootstrap != nil && !want.ApplicationSecretGiven {
		logins[want.ApplicationSecret] = render.ApplicationLogin
	}
	for _, name := range slices.Sorted(maps.Keys(logins)) {
		s, err := r.login(ctx, want, name, logins[name])
		if err != nil {
			return "", err
		}
		versions = append(versions, s.ResourceVersion)
	}
	return strings.Join(versions, "-"), nil
}

// login makes a Secret with a new password unless there is one.
func (r *Reconciler) login(ctx context.Context, want *spec.Cluster, name string, render func(*spec.Cluster, string) *corev1ac.SecretApplyConfiguration) (*corev1.Secret, error) {
	s, err := r.secret(ctx, want, name)
	if apierrors.IsNotFound(err) {
		return r.create(ctx, render(want, rand.Text()))
	}
	return s, err
}

// secret reads a Secret of this cluster; one that an earlier cluster of the same name left behind must go first.
func (r *Reconciler) secret(ctx context.Context, want *spec.Cluster, name string) (*corev1.Secret, error) {
	s, err := r.anySecret(ctx, want, name)
	if err != nil {
		return nil, err
	}
	if owner := metav1.GetControllerOf(s); owner != nil && string(owner.UID) != want.UID {
		return nil, fmt.Errorf("secret %s: %w", name, errEarlier)
	}
	return s, nil
}

// anySecret reads a Secret, whoever made it. One without our labels is not in the cache: somebody made it before the
// cluster, or beside it, and it counts as given.
func (r *Reconciler) anySecret(ctx context.Context, want *spec.Cluster, name string) (*corev1.Secret, error) {
	s, key := &corev1.Secret{}, types.NamespacedName{Namespace: want.Namespace, Name: name}
	err := r.Client.Get(ctx, key, s)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, key, s)
	}
	return s, err
}

func (r *Reconciler) authority(ctx context.Context, want *spec.Cluster) (pki.Pair, error) {
	name := naming.CASecret(want.Name)
	s, err := r.secret(ctx, want, name)
	switch {
	case apierrors.IsNotFound(err):
		pair, err := pki.NewAuthority(want.Name+"."+want.Namespace, r.Now())
		if err != nil {
			return pki.Pair{}, err
		}
		_, err = r.create(ctx, render.TLSSecret(want, name, pair.Certificate, pair.Key, pair.Certificate))
		return pair, err
	case err != nil:
		return pki.Pair{}, err
	}
	return pki.Pair{Certificate: s.Data[corev1.TLSCertKey], Key: s.Data[corev1.TLSPrivateKeyKey]}, nil
}

func (r *Reconciler) serverCertificate(ctx context.Context, want *spec.Cluster, authority pki.Pair) (*corev1.Secret, error) {
	name, dns := naming.InstancesTLSSecret(want.Name), naming.TLSServerName(want.Name, want.Namespace)
	s, err := r.secret(ctx, want, name)
	if err == nil && pki.Fresh(s.Data[corev1.TLSCertKey], authority.Certificate, dns, r.Now()) || err != nil && !apierrors.IsNotFound(err) {
		return s, err
	}
	pair, fault := pki.Server(authority, dns, r.Now())
	if fault != nil {
		return nil, fault
	}
	object := render.TLSSecret(want, name, pair.Certificate, pair.Key, authority.Certificate)
	if apierrors.IsNotFound(err) {
		return r.create(ctx, object)
	}
	if err := r.Client.Apply(ctx, object, client.FieldOwner(naming.Operator), client.ForceOwnership); err != nil {
		return nil, fmt.Errorf("renew secret %s: %w", name, err)
	}
	r.Metrics.Writes.WithLabelValues("object").Inc()
	return s, nil
}

// create makes a new object; one that is there already stays as it is.
func (r *Reconciler) create(ctx context.Context, s *corev1ac.SecretApplyConfiguration) (*corev1.Secret, error) {
	object := &corev1.Secret{}
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(s)
	if err == nil {
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(m, object)
	}
	if err == nil {
		err = r.Client.Create(ctx, object, client.FieldOwner(naming.Operator))
	}
	if err != nil {
		return nil, fmt.Errorf("create secret %s: %w", *s.Name, err)
	}
	r.Metrics.Writes.WithLabelValues("object").Inc()
	return object, nil
}

// transport is the operator's side of connections to the cluster's instances; nil before there is an authority.
func (r *Reconciler) transport(ctx context.Context, want *spec.Cluster) (http.RoundTripper, error) {
	s, err := r.secret(ctx, want, naming.CASecret(want.Name))
	if err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil //nolint:nilnil // no authority yet is not an error
		}
		return nil, err
	}
	authority := pki.Pair{Certificate: s.Data[corev1.TLSCertKey], Key: s.Data[corev1.TLSPrivateKeyKey]}
	return r.Certificates.transport(types.UID(want.UID), authority, naming.TLSServerName(want.Name, want.Namespace), r.Now())
}

// transport makes connections with the operator's certificate for a cluster; a new one is made when the authority
// changed or time is up.
func (c *Certificates) transport(cluster types.UID, authority pki.Pair, server string, now time.Time) (http.RoundTripper, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.held[cluster]; ok && h.authority == string(authority.Certificate) &&
		pki.Fresh(h.pair.Certificate, authority.Certificate, "", now) {
		return h.transport, nil
	}
	if len(authority.Key) == 0 {
		return nil, errors.New("read authority: the Secret has no key")
	}
	pair, err := pki.Client(authority, naming.OperatorCommonName, now)
	if err != nil {
		return nil, err
	}
	conf, err := pki.ClientConfig(authority.Certificate, pair, server)
	if err != nil {
		return nil, err
	}
	if c.held == nil {
		c.held = map[types.UID]clientCertificate{}
	}
	c.held[cluster] = clientCertificate{string(authority.Certificate), pair, instanceclient.NewTransport(conf)}
	return c.held[cluster].transport, nil
}
