// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	watchtools "k8s.io/client-go/tools/watch"
)

// The kinds that are looked at.
var (
	clusters = schema.GroupVersionResource{Group: "antdb.io", Version: "v1alpha1", Resource: "antdbclusters"}
	pods     = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	events   = schema.GroupVersionResource{Version: "v1", Resource: "events"}
)

// Namespace is one namespace and the clusters in it.
type Namespace struct {
	Name string
	// Config is how the API server is reached.
	Config  *rest.Config
	core    kubernetes.Interface
	objects dynamic.Interface
}

// Open reaches the API server of a kubeconfig file.
func Open(kubeconfig, name string) (*Namespace, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	// Everything that is asked here is asked for a person who waits.
	config.QPS, config.Burst = 100, 200
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("use kubeconfig %s: %w", kubeconfig, err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("use kubeconfig %s: %w", kubeconfig, err)
	}
	return &Namespace{Name: name, Config: config, core: core, objects: objects}, nil
}

// Core is the typed client of the same API server.
func (n *Namespace) Core() kubernetes.Interface { return n.core }

// listWatch lists and watches what a field selector picks of one kind.
func (n *Namespace) listWatch(kind schema.GroupVersionResource, fieldSelector string) *cache.ListWatch {
	resource := n.objects.Resource(kind).Namespace(n.Name)
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = fieldSelector
			return resource.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = fieldSelector
			return resource.Watch(ctx, o)
		},
	}
}

// await watches until done says so. An object that is deleted is shown as nil.
func (n *Namespace) await(ctx context.Context, kind schema.GroupVersionResource, selector fields.Selector, done func(*unstructured.Unstructured) bool) error {
	_, err := watchtools.UntilWithSync(ctx, n.listWatch(kind, selector.String()), &unstructured.Unstructured{}, nil,
		func(e watch.Event) (bool, error) {
			o, ok := e.Object.(*unstructured.Unstructured)
			if !ok {
				return false, fmt.Errorf("watch %s: unexpected %T", kind.Resource, e.Object)
			}
			if e.Type == watch.Deleted {
				o = nil
			}
			return done(o), nil
		})
	return err
}

// late tells whether a wait ended since its time was over.
func late(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded))
}

func named(name string) fields.Selector { return fields.OneTermEqualSelector("metadata.name", name) }
