// SPDX-License-Identifier: Apache-2.0

// Package manifest writes objects as a person would: without what is empty and without what the API server fills in.
//
// It is pure: it knows no client and no file.
package manifest

import (
	"encoding/json"
	"fmt"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// Cluster is a cluster as it stands in a file that is applied.
func Cluster(c *v1alpha1.AntDBCluster) (map[string]any, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write cluster %s: %w", c.Name, err)
	}
	all := map[string]any{}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("write cluster %s: %w", c.Name, err)
	}
	delete(all, "status")
	out, _ := pruned(all).(map[string]any)
	out["apiVersion"], out["kind"] = v1alpha1.GroupVersion.String(), "AntDBCluster"
	return out, nil
}

// bare are fields whose presence alone says something, so that they stay though they are empty.
var bare = map[string]bool{"bootstrap": true}

// pruned leaves out what is empty.
func pruned(value any) any {
	m, ok := value.(map[string]any)
	if !ok {
		return value
	}
	for key, v := range m {
		v = pruned(v)
		m[key] = v
		inner, isMap := v.(map[string]any)
		if v == nil || isMap && len(inner) == 0 && !bare[key] {
			delete(m, key)
		}
	}
	return m
}
