// SPDX-License-Identifier: Apache-2.0

// Package cluster looks at AntDB clusters from outside, the way their users do: conditions, pods, Secrets, addresses
// and events.
//
// It knows Kubernetes and what the documentation promises. It imports nothing of the operator's own code, so that a
// promise that is broken inside is seen here.
package cluster
