// SPDX-License-Identifier: Apache-2.0

package render

import (
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// Login is what a Secret holds with which somebody logs in: user and password, and for convenience where and how.
func Login(cluster, namespace, user, password, database string) map[string]string {
	host := naming.Host(naming.ApplicationService(cluster), namespace)
	port := strconv.Itoa(naming.PortSQL)
	uri := url.URL{Scheme: "postgresql", User: url.UserPassword(user, password), Host: host + ":" + port, Path: database}
	return map[string]string{
		"username": user, "password": password, "host": host, "port": port, "dbname": database, "uri": uri.String(),
	}
}

// LoginSecret is a generated Secret with which somebody logs in.
func LoginSecret(c *spec.Cluster, name, user, password, database string) *corev1ac.SecretApplyConfiguration {
	return secret(c, name, corev1.SecretTypeBasicAuth, Login(c.Name, c.Namespace, user, password, database))
}

// SuperuserLogin is the Secret of the superuser.
func SuperuserLogin(c *spec.Cluster, password string) *corev1ac.SecretApplyConfiguration {
	return LoginSecret(c, c.SuperuserSecret, antdb.Superuser, password, "postgres")
}

// ApplicationLogin is the Secret of the application's owner.
func ApplicationLogin(c *spec.Cluster, password string) *corev1ac.SecretApplyConfiguration {
	return LoginSecret(c, c.ApplicationSecret, c.Bootstrap.Owner, password, c.Bootstrap.Database)
}

// TLSSecret holds a certificate and its key, and the authority that signed it.
func TLSSecret(c *spec.Cluster, name string, certificate, key, authority []byte) *corev1ac.SecretApplyConfiguration {
	return secret(c, name, corev1.SecretTypeTLS, map[string]string{
		corev1.TLSCertKey: string(certificate), corev1.TLSPrivateKeyKey: string(key), "ca.crt": string(authority),
	})
}

func secret(c *spec.Cluster, name string, kind corev1.SecretType, data map[string]string) *corev1ac.SecretApplyConfiguration {
	return corev1ac.Secret(name, c.Namespace).
		WithLabels(naming.ClusterLabels(c.Name)).WithOwnerReferences(owner(c)).
		WithType(kind).WithStringData(data)
}
