// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every object in this package.
var GroupVersion = schema.GroupVersion{Group: "antdb.io", Version: "v1alpha1"}

// AddToScheme registers the objects of this package with a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &AntDBCluster{}, &AntDBClusterList{}, &AntDBOperation{}, &AntDBOperationList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
