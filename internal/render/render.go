// SPDX-License-Identifier: Apache-2.0

// Package render turns an effective cluster into Kubernetes objects, as apply configurations for server-side apply.
//
// It knows what every object looks like. It does not know whether the object exists: that is decided in internal/plan
// and carried out in internal/kube.
package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// Operator is what an object must know of the operator itself.
type Operator struct {
	// Image that holds the instance manager, copied into each pod by an init container.
	Image string
	// Namespace and Labels of the operator's own pods, for the NetworkPolicy. Without a namespace the operator runs
	// outside of Kubernetes and no rule lets it in.
	Namespace string
	Labels    map[string]string
}

// owner makes an object go when its cluster goes.
func owner(c *spec.Cluster) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).WithKind("AntDBCluster").
		WithName(c.Name).WithUID(uid(c)).
		WithController(true).WithBlockOwnerDeletion(true)
}

// hash names a value by its JSON.
func hash(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // apply configurations always marshal
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}
