// SPDX-License-Identifier: Apache-2.0

// Package apiserver is an API server in memory for tests: controller-runtime's fake client, and what that leaves out
// of a real one as far as the operator lives by it: UIDs, ClusterIPs, text in Secrets, preconditions of deletion.
//
// It counts what the operator writes and can be made to refuse it. It knows nothing of AntDB.
package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// Server is the API server.
type Server struct {
	// Scheme of everything that it holds.
	Scheme *runtime.Scheme
	// World is the client of everybody but the operator: what it does is not counted and never refused.
	World client.Client
	// Operator is the operator's client.
	Operator client.Client
	// Refuse is asked before every write of the operator; an error refuses it. It may be nil.
	Refuse func(Write) error
	// Deleting is told of each pod that the operator is about to delete. It may be nil.
	Deleting func(pod *corev1.Pod)

	tracker *tracker

	mu     sync.Mutex
	frozen *corev1.PodList // what the operator's cache holds while it is behind
	writes []Write
	serial atomic.Int64
}

// Write is one write of the operator.
type Write struct{ Verb, Kind, Name string }

func (w Write) String() string { return w.Verb + " " + w.Kind + " " + w.Name }

// New makes an empty API server.
func New() *Server {
	s := &Server{Scheme: runtime.NewScheme()}
	// Only the groups that are used: the fake client looks through all kinds at each write.
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, rbacv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme, storagev1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(s.Scheme); err != nil {
			panic(err) // the types are fixed
		}
	}
	s.tracker = newTracker(s.Scheme)
	base := remember(fake.NewClientBuilder().WithScheme(s.Scheme).WithStatusSubresource(&v1alpha1.AntDBCluster{}, &v1alpha1.AntDBOperation{}).
		WithObjectTracker(s.tracker).Build())
	s.World = interceptor.NewClient(base, interceptor.Funcs{Create: s.create, Apply: s.apply, Delete: s.remove})
	s.Operator = interceptor.NewClient(base, interceptor.Funcs{
		Get: s.get, List: s.list,
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			return s.counted(Write{"create", kind(o), o.GetName()}, func() error { return s.create(ctx, c, o, options...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			u := read(o)
			return s.counted(Write{"apply", u.GetKind(), u.GetName()}, func() error { return s.apply(ctx, c, o, options...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			return s.counted(Write{"delete", kind(o), o.GetName()}, func() error {
				if err := s.announce(ctx, c, o, options); err != nil {
					return err
				}
				return s.remove(ctx, c, o, options...)
			})
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			return s.counted(Write{"update", kind(o), o.GetName()}, func() error { return c.Update(ctx, o, options...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			return s.counted(Write{"patch", kind(o), o.GetName()}, func() error { return c.Patch(ctx, o, p, options...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			return s.counted(Write{"patch " + sub, kind(o), o.GetName()}, func() error { return c.SubResource(sub).Patch(ctx, o, p, options...) })
		},
	})
	return s
}

// Clone is another server that holds the same objects.
func (s *Server) Clone() *Server {
	other := New()
	other.serial.Store(s.serial.Load())
	s.tracker.copyTo(other.tracker, s.Scheme)
	return other
}

// Freeze makes the operator see pods as they are now until Thaw: its cache is behind.
func (s *Server) Freeze(ctx context.Context) error {
	pods := &corev1.PodList{}
	if err := s.World.List(ctx, pods); err != nil {
		return err
	}
	s.frozen = pods
	return nil
}

// Thaw ends a Freeze.
func (s *Server) Thaw() { s.frozen = nil }

// Frozen tells whether the operator's cache is behind.
func (s *Server) Frozen() bool { return s.frozen != nil }

func (s *Server) list(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
	if pods, ok := list.(*corev1.PodList); ok && s.frozen != nil {
		s.frozen.DeepCopyInto(pods)
		return nil
	}
	return c.List(ctx, list, options...)
}

func (s *Server) get(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	pod, ok := o.(*corev1.Pod)
	if !ok || s.frozen == nil {
		return c.Get(ctx, key, o, options...)
	}
	for i := range s.frozen.Items {
		if s.frozen.Items[i].Name == key.Name {
			s.frozen.Items[i].DeepCopyInto(pod)
			return nil
		}
	}
	return apierrors.NewNotFound(corev1.Resource("pods"), key.Name)
}

// Writes returns what the operator wrote since the last call.
func (s *Server) Writes() []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.writes
	s.writes = nil
	return out
}

func (s *Server) counted(w Write, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, w)
	if s.Refuse != nil {
		if err := s.Refuse(w); err != nil {
			return err
		}
	}
	return do()
}

// uid gives every object one of its own, so that preconditions and owners mean something.
func (s *Server) uid() types.UID {
	return types.UID(fmt.Sprintf("uid-%d", s.serial.Add(1)))
}

func (s *Server) create(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
	if o.GetUID() == "" {
		o.SetUID(s.uid())
	}
	if secret, ok := o.(*corev1.Secret); ok {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		for key, value := range secret.StringData {
			secret.Data[key] = []byte(value)
		}
		secret.StringData = nil
	}
	return c.Create(ctx, o, options...)
}

// apply writes and then fills in what a real server would.
func (s *Server) apply(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, options ...client.ApplyOption) error {
	u := read(o)
	if uid := u.GetUID(); uid != "" {
		if err := precondition(ctx, c, u, uid); err != nil {
			return err
		}
	}
	if err := immutable(ctx, c, u); err != nil {
		return err
	}
	if err := c.Apply(ctx, o, options...); err != nil {
		return err
	}
	switch u.GetKind() {
	case "Pod":
		pod := &corev1.Pod{}
		err := amend(ctx, c, u, pod, func(p *corev1.Pod) bool {
			fresh := p.UID == ""
			if fresh {
				p.UID = s.uid()
			}
			return fresh
		})
		if err != nil || pod.Status.Phase != "" {
			return err
		}
		pod.Status.Phase = corev1.PodPending
		return c.Status().Update(ctx, pod)
	case "PersistentVolumeClaim":
		return amend(ctx, c, u, &corev1.PersistentVolumeClaim{}, func(v *corev1.PersistentVolumeClaim) bool {
			fresh := v.UID == ""
			if fresh {
				v.UID = s.uid()
			}
			return fresh
		})
	case "Service":
		return amend(ctx, c, u, &corev1.Service{}, func(v *corev1.Service) bool {
			fresh := v.Spec.ClusterIP == ""
			if fresh {
				v.Spec.ClusterIP = fmt.Sprintf("10.96.0.%d", s.serial.Add(1))
			}
			return fresh
		})
	case "Secret":
		return amend(ctx, c, u, &corev1.Secret{}, func(v *corev1.Secret) bool {
			for key, value := range v.StringData {
				v.Data[key] = []byte(value)
			}
			changed := len(v.StringData) > 0
			v.StringData = nil
			return changed
		})
	}
	return nil
}

func amend[T client.Object](ctx context.Context, c client.Client, u *unstructured.Unstructured, o T, change func(T) bool) error {
	if err := c.Get(ctx, client.ObjectKeyFromObject(u), o); err != nil {
		return err
	}
	if !change(o) {
		return nil
	}
	return c.Update(ctx, o)
}

// remove knows what the fake client leaves out: a precondition on the UID.
func (s *Server) remove(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
	var all client.DeleteOptions
	all.ApplyOptions(options)
	if all.Preconditions != nil && all.Preconditions.UID != nil {
		if err := precondition(ctx, c, o, *all.Preconditions.UID); err != nil {
			return err
		}
		all.Preconditions = nil
	}
	return c.Delete(ctx, o, &all)
}

func (s *Server) announce(ctx context.Context, c client.Client, o client.Object, options []client.DeleteOption) error {
	pod := &corev1.Pod{}
	if s.Deleting == nil || kind(o) != "Pod" || c.Get(ctx, client.ObjectKeyFromObject(o), pod) != nil {
		return nil //nolint:nilerr // a pod that is not there is refused later
	}
	var all client.DeleteOptions
	all.ApplyOptions(options)
	if all.Preconditions == nil || all.Preconditions.UID == nil {
		return fmt.Errorf("the operator deletes pod %s without naming its UID", pod.Name)
	}
	if *all.Preconditions.UID == pod.UID {
		s.Deleting(pod)
	}
	return nil
}

func precondition(ctx context.Context, c client.Client, o client.Object, uid types.UID) error {
	gvk, err := apiutil.GVKForObject(o, c.Scheme())
	if err != nil {
		return err
	}
	have := &metav1.PartialObjectMetadata{}
	have.SetGroupVersionKind(gvk)
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), have); err != nil {
		return err
	}
	if have.UID != uid {
		return apierrors.NewConflict(corev1.Resource(gvk.Kind), o.GetName(), fmt.Errorf("the UID is %s, not %s", have.UID, uid))
	}
	return nil
}

// immutable refuses to change what runs in a pod.
func immutable(ctx context.Context, c client.Client, u *unstructured.Unstructured) error {
	containers, found, err := unstructured.NestedSlice(u.Object, "spec", "containers")
	if u.GetKind() != "Pod" || !found || err != nil {
		return err
	}
	have, image := &corev1.Pod{}, ""
	if err := c.Get(ctx, client.ObjectKeyFromObject(u), have); err != nil {
		return client.IgnoreNotFound(err)
	}
	if first, ok := containers[0].(map[string]any); ok {
		image, _, err = unstructured.NestedString(first, "image")
	}
	if err == nil && have.Spec.Containers[0].Image != image {
		err = apierrors.NewForbidden(corev1.Resource("pods"), have.Name, fmt.Errorf("the image of a pod is changed from %s to %s", have.Spec.Containers[0].Image, image))
	}
	return err
}

func read(o runtime.ApplyConfiguration) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	text, err := json.Marshal(o)
	if err == nil {
		err = u.UnmarshalJSON(text)
	}
	if err != nil {
		panic(err) // an apply configuration is an object
	}
	return u
}

func kind(o client.Object) string {
	switch o.(type) {
	case *corev1.Pod:
		return "Pod"
	case *corev1.Secret:
		return "Secret"
	case *v1alpha1.AntDBCluster:
		return "AntDBCluster"
	}
	return fmt.Sprintf("%T", o)
}
