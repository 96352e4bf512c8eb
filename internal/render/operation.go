// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// Operation is an operation that the operator makes since the counts ask for it. Its name follows from those that there
// are, so that an operator that crashed does not make it twice.
func Operation(c *spec.Cluster, s v1alpha1.AntDBOperationSpec, serial int) *v1alpha1.AntDBOperation {
	yes := true
	return &v1alpha1.AntDBOperation{
		ObjectMeta: metav1.ObjectMeta{
			Name: naming.Operation(c.Name, serial), Namespace: c.Namespace, Labels: naming.ClusterLabels(c.Name),
			Annotations: map[string]string{v1alpha1.AnnotationForGeneration: strconv.FormatInt(c.Generation, 10)},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "AntDBCluster", Name: c.Name, UID: uid(c),
				Controller: &yes, BlockOwnerDeletion: &yes,
			}},
		},
		Spec: s,
	}
}
