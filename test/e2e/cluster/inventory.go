// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
)

// Inventory is every object of a namespace with its identity and version. Two that are equal prove that nothing was
// written in between: not one object, not one status, not one event of the operator's.
type Inventory map[string]string

// Inventory lists the namespace's objects of every kind that can be listed.
func (n *Namespace) Inventory(ctx context.Context) (Inventory, error) {
	lists, err := n.core.Discovery().ServerPreferredNamespacedResources()
	if err != nil {
		return nil, fmt.Errorf("list kinds: %w", err)
	}
	client, err := metadata.NewForConfig(n.Config)
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	all := Inventory{}
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "watch"}}, lists) {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("list kinds: %w", err)
		}
		for _, kind := range list.APIResources {
			objects, fault := client.Resource(version.WithResource(kind.Name)).Namespace(n.Name).List(ctx, metav1.ListOptions{})
			if fault != nil {
				err = errors.Join(err, fmt.Errorf("list %s: %w", kind.Name, fault))
				continue
			}
			for i := range objects.Items {
				o := &objects.Items[i]
				all[kind.Name+"/"+o.Name] = string(o.UID) + " " + o.ResourceVersion
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Since lists what changed from an earlier inventory to this one, one line an object.
func (i Inventory) Since(before Inventory) []string {
	var out []string
	for name, was := range before {
		is, ok := i[name]
		oldUID, _, _ := strings.Cut(was, " ")
		newUID, _, _ := strings.Cut(is, " ")
		switch {
		case !ok:
			out = append(out, name+" is gone")
		case oldUID != newUID:
			out = append(out, name+" was made anew")
		case was != is:
			out = append(out, name+" was written")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i)) {
		if _, ok := before[name]; !ok {
			out = append(out, name+" is new")
		}
	}
	slices.Sort(out)
	return out
}
