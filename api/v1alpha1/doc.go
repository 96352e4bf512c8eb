// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the Kubernetes API of AntDB clusters, group antdb.io.
//
// It knows the shape of the objects, their defaults and their validation rules (OpenAPI and CEL, so that they hold
// with no webhook running), and the names of conditions and reasons. It knows no behaviour: what a spec leads to is
// decided in internal/spec and internal/plan.
//
// +kubebuilder:object:generate=true
// +groupName=antdb.io
package v1alpha1
