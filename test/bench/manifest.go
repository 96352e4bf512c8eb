// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// manifest is a cluster of one gtm_coord, two coordinators and three datanodes, as a user writes it.
func manifest(name, image string, superuser bool) string {
	return fmt.Sprintf(`apiVersion: antdb.io/v1alpha1
kind: AntDBCluster
metadata: {name: %s}
spec:
  image: %s
  enableSuperuserAccess: %t
  gtm: {storage: {size: 1Gi}}
  coordinators: {count: 2, storage: {size: 1Gi}}
  datanodes: {count: 3, storage: {size: 1Gi}}
`, name, image, superuser)
}
