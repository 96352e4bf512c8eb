// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// Using is a namespace of an API server that is reached already.
func Using(config *rest.Config, core kubernetes.Interface, name string) *Namespace {
	return &Namespace{Name: name, Config: config, core: core, objects: dynamic.NewForConfigOrDie(config)}
}

// Create makes the AntDBCluster of a manifest.
func (n *Namespace) Create(ctx context.Context, manifest string) error {
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &o.Object); err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	if _, err := n.objects.Resource(clusters).Namespace(n.Name).Create(ctx, o, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create AntDBCluster: %w", err)
	}
	return nil
}

// Patch changes an AntDBCluster.
func (n *Namespace) Patch(ctx context.Context, name string, kind types.PatchType, patch []byte) error {
	if _, err := n.objects.Resource(clusters).Namespace(n.Name).Patch(ctx, name, kind, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("patch AntDBCluster %s: %w", name, err)
	}
	return nil
}

// WaitReady waits until so many clusters are Ready.
func (n *Namespace) WaitReady(ctx context.Context, number int) error {
	ready := map[types.UID]bool{}
	example := ""
	err := n.await(ctx, clusters, fields.Everything(), func(o *unstructured.Unstructured) bool {
		seen := status{}
		if o == nil || runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &seen) != nil {
			return false
		}
		if Ready.met(seen) {
			ready[o.GetUID()] = true
		} else {
			delete(ready, o.GetUID())
			example = o.GetNamespace() + "/" + o.GetName() + ": " + seen.String()
		}
		return len(ready) == number
	})
	if late(ctx, err) {
		return fmt.Errorf("wait for %d clusters: %d are Ready; one that was not: %s", number, len(ready), example)
	}
	return err
}
