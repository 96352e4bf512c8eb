// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// memory answers reads from what was read before. The fake client turns everything into JSON and back at each read, which
// was a third of the time of all simulations. Every write goes through it and says what is to be read anew.
type memory struct {
	base client.WithWatch

	mu    sync.Mutex
	kinds map[schema.GroupVersionKind]*known
}

// known are the objects of one kind. What is stale has been written since it was read.
type known struct {
	objects map[client.ObjectKey]client.Object
	stale   map[client.ObjectKey]bool
}

// remember puts a memory before a fake client.
func remember(base client.WithWatch) client.WithWatch {
	m := &memory{base: base, kinds: map[schema.GroupVersionKind]*known{}}
	return interceptor.NewClient(base, interceptor.Funcs{
		Get: m.get, List: m.list,
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			return m.wrote(o, c.Create(ctx, o, options...))
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			return m.wrote(o, c.Update(ctx, o, options...))
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			return m.wrote(o, c.Patch(ctx, o, p, options...))
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			return m.wrote(o, c.Delete(ctx, o, options...))
		},
		DeleteAllOf: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteAllOfOption) error {
			err := c.DeleteAllOf(ctx, o, options...)
			m.forget(o)
			return err
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			return m.wrote(read(o), c.Apply(ctx, o, options...))
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
			return m.wrote(o, c.SubResource(sub).Update(ctx, o, options...))
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			return m.wrote(o, c.SubResource(sub).Patch(ctx, o, p, options...))
		},
	})
}

// wrote notes that an object is to be read anew, whatever became of the write.
func (m *memory) wrote(o client.Object, err error) error {
	kind, fault := apiutil.GVKForObject(o, m.base.Scheme())
	if fault != nil {
		return fault
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.kinds[kind]; k != nil {
		k.stale[client.ObjectKeyFromObject(o)] = true
	}
	return err
}

// forget notes that all objects of a kind are to be read anew.
func (m *memory) forget(o client.Object) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kind, ok := m.typed(o); ok {
		delete(m.kinds, kind)
	}
}

// typed tells the kind of an object or list that the memory holds; others are left to the fake client.
func (m *memory) typed(o runtime.Object) (kind schema.GroupVersionKind, ok bool) {
	kind, err := apiutil.GVKForObject(o, m.base.Scheme())
	if err != nil {
		return kind, false
	}
	empty, err := m.base.Scheme().New(kind)
	return kind, err == nil && reflect.TypeOf(empty) == reflect.TypeOf(o)
}

func (m *memory) get(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	kind, ok := m.typed(o)
	if !ok {
		return c.Get(ctx, key, o, options...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, err := m.known(ctx, kind)
	if err == nil && k.stale[key] {
		err = m.refresh(ctx, kind, k, key)
	}
	if err != nil {
		return err
	}
	have := k.objects[key]
	if have == nil {
		resource, _ := meta.UnsafeGuessKindToResource(kind)
		return apierrors.NewNotFound(resource.GroupResource(), key.Name)
	}
	reflect.ValueOf(o).Elem().Set(reflect.ValueOf(have.DeepCopyObject()).Elem())
	return nil
}

func (m *memory) list(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(options)
	kind, ok := m.typed(list)
	if !ok || o.FieldSelector != nil {
		return c.List(ctx, list, options...)
	}
	kind.Kind = kind.Kind[:len(kind.Kind)-len("List")]
	m.mu.Lock()
	defer m.mu.Unlock()
	k, err := m.known(ctx, kind)
	if err != nil {
		return err
	}
	for key := range maps.Clone(k.stale) {
		if err := m.refresh(ctx, kind, k, key); err != nil {
			return err
		}
	}
	var items []runtime.Object
	for _, have := range slices.SortedFunc(maps.Values(k.objects), byName) {
		if (o.Namespace == "" || have.GetNamespace() == o.Namespace) && (o.LabelSelector == nil || o.LabelSelector.Matches(labels.Set(have.GetLabels()))) {
			items = append(items, have.DeepCopyObject())
		}
	}
	return meta.SetList(list, items)
}

// known are the objects of a kind; they are all read at the first question.
func (m *memory) known(ctx context.Context, kind schema.GroupVersionKind) (*known, error) {
	if k := m.kinds[kind]; k != nil {
		return k, nil
	}
	o, err := m.base.Scheme().New(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err != nil {
		return nil, err
	}
	list, _ := o.(client.ObjectList)
	if err := m.base.List(ctx, list); err != nil {
		return nil, err
	}
	k := &known{objects: map[client.ObjectKey]client.Object{}, stale: map[client.ObjectKey]bool{}}
	err = meta.EachListItem(list, func(o runtime.Object) error {
		if have, ok := o.DeepCopyObject().(client.Object); ok {
			k.objects[client.ObjectKeyFromObject(have)] = have
		}
		return nil
	})
	m.kinds[kind] = k
	return k, err
}

// refresh reads an object anew.
func (m *memory) refresh(ctx context.Context, kind schema.GroupVersionKind, k *known, key client.ObjectKey) error {
	o, err := m.base.Scheme().New(kind)
	if err != nil {
		return err
	}
	have, _ := o.(client.Object)
	switch err := m.base.Get(ctx, key, have); {
	case apierrors.IsNotFound(err):
		delete(k.objects, key)
	case err != nil:
		return err
	default:
		k.objects[key] = have
	}
	delete(k.stale, key)
	return nil
}

func byName(a, b client.Object) int {
	return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}
