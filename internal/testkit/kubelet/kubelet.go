// SPDX-License-Identifier: Apache-2.0

// Package kubelet makes the pods of an API server in memory run, as far as the operator can tell: addresses,
// readiness, an end in two steps, volumes that get their size. One host runs everything.
//
// What runs in a pod is a Runtime's affair.
package kubelet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Runtime runs what is in pods.
type Runtime interface {
	// Start starts the pod at its address. config is the ConfigMap that it mounts, disk the UID of its data volume.
	Start(pod *corev1.Pod, disk types.UID, config map[string]string)
	Stop(address string)
	Accepting(address string) bool
	// Serving is what the instance manager writes on its pod.
	Serving(address string) bool
}

// Broken is an image that cannot be pulled.
const Broken = "broken"

// finalizer keeps a deleted pod until its processes have ended.
const finalizer = "test.antdb.io/kubelet"

// Kubelet looks after all pods of one namespace.
type Kubelet struct {
	Client    client.Client
	Runtime   Runtime
	Namespace string
	// Held are pods that find no host.
	Held map[string]bool
	// Lost are pods whose host is gone: nothing runs in them, nobody hears of them, and they never end.
	Lost map[string]bool

	addresses int
	running   map[types.UID]string // addresses by pod
}

// Clone looks after the same pods of another API server.
func (k *Kubelet) Clone(c client.Client, r Runtime) *Kubelet {
	return &Kubelet{
		Client: c, Runtime: r, Namespace: k.Namespace, Held: maps.Clone(k.Held), Lost: maps.Clone(k.Lost),
		addresses: k.addresses, running: maps.Clone(k.running),
	}
}

// Step does what a kubelet does in a while: it starts, stops, reports.
func (k *Kubelet) Step(ctx context.Context) error {
	if err := k.volumes(ctx); err != nil {
		return err
	}
	pods := &corev1.PodList{}
	if err := k.Client.List(ctx, pods, client.InNamespace(k.Namespace)); err != nil {
		return err
	}
	seen := map[types.UID]bool{}
	for i := range pods.Items {
		seen[pods.Items[i].UID] = true
	}
	for _, uid := range slices.Sorted(maps.Keys(k.running)) {
		if !seen[uid] { // taken away by force
			k.stop(uid)
		}
	}
	for i := range pods.Items {
		if err := k.tend(ctx, &pods.Items[i]); err != nil {
			return fmt.Errorf("pod %s: %w", pods.Items[i].Name, err)
		}
	}
	return nil
}

func (k *Kubelet) stop(uid types.UID) {
	if address, ok := k.running[uid]; ok {
		k.Runtime.Stop(address)
		delete(k.running, uid)
	}
}

// volumes gives each claim what it asks for.
func (k *Kubelet) volumes(ctx context.Context) error {
	claims := &corev1.PersistentVolumeClaimList{}
	if err := k.Client.List(ctx, claims, client.InNamespace(k.Namespace)); err != nil {
		return err
	}
	for i := range claims.Items {
		c := &claims.Items[i]
		want, have := c.Spec.Resources.Requests[corev1.ResourceStorage], c.Status.Capacity[corev1.ResourceStorage]
		if want.Cmp(have) == 0 {
			continue
		}
		c.Status.Phase, c.Status.Capacity = corev1.ClaimBound, corev1.ResourceList{corev1.ResourceStorage: want}
		if err := k.Client.Status().Update(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (k *Kubelet) tend(ctx context.Context, pod *corev1.Pod) error {
	switch {
	case k.Lost[pod.Name]:
		k.stop(pod.UID)
		return k.unready(ctx, pod)
	case pod.DeletionTimestamp != nil:
		k.stop(pod.UID)
		if controllerutil.RemoveFinalizer(pod, finalizer) {
			return client.IgnoreNotFound(k.Client.Update(ctx, pod))
		}
		return nil
	case pod.Status.Phase == corev1.PodFailed:
		k.stop(pod.UID)
		return nil
	case controllerutil.AddFinalizer(pod, finalizer):
		return k.Client.Update(ctx, pod)
	case k.Held[pod.Name] && pod.Status.Phase == corev1.PodPending:
		return nil
	case pod.Status.Phase == corev1.PodPending:
		return k.begin(ctx, pod)
	}
	return k.report(ctx, pod)
}

// unready is what Kubernetes writes on a pod of a host that is gone.
func (k *Kubelet) unready(ctx context.Context, pod *corev1.Pod) error {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Status == corev1.ConditionTrue {
			c.Status = corev1.ConditionFalse
			return k.Client.Status().Update(ctx, pod)
		}
	}
	return nil
}

// begin starts a pod whose image and volumes can be had.
func (k *Kubelet) begin(ctx context.Context, pod *corev1.Pod) error {
	if pod.Spec.Containers[0].Image == Broken {
		waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}
		if len(pod.Status.ContainerStatuses) > 0 {
			return nil
		}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: pod.Spec.Containers[0].Name, State: waiting}}
		return k.Client.Status().Update(ctx, pod)
	}
	disk, config, err := k.mounts(ctx, pod)
	if err != nil {
		return client.IgnoreNotFound(err) // it waits for what it mounts
	}
	k.addresses++
	pod.Spec.NodeName = "host1"
	if err := k.Client.Update(ctx, pod); err != nil {
		return err
	}
	pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, fmt.Sprintf("10.0.%d.%d", k.addresses/250, k.addresses%250+1)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
	if err := k.Client.Status().Update(ctx, pod); err != nil {
		return err
	}
	if k.running == nil {
		k.running = map[types.UID]string{}
	}
	k.running[pod.UID] = pod.Status.PodIP
	k.Runtime.Start(pod, disk, config)
	return nil
}

// mounts reads what the pod mounts; a missing Secret or claim is an error.
func (k *Kubelet) mounts(ctx context.Context, pod *corev1.Pod) (disk types.UID, config map[string]string, err error) {
	get := func(name string, o client.Object) error {
		return k.Client.Get(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: name}, o)
	}
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.Secret != nil:
			err = get(v.Secret.SecretName, &corev1.Secret{})
		case v.ConfigMap != nil:
			m := &corev1.ConfigMap{}
			if err = get(v.ConfigMap.Name, m); apierrors.IsNotFound(err) && v.ConfigMap.Optional != nil && *v.ConfigMap.Optional {
				err = nil
			}
			config = m.Data
		case v.PersistentVolumeClaim != nil:
			c := &corev1.PersistentVolumeClaim{}
			if err = get(v.PersistentVolumeClaim.ClaimName, c); v.Name == "data" {
				disk = c.UID // a claim that is made anew is an empty volume
			}
		}
		if err != nil {
			return "", nil, err
		}
	}
	return disk, config, nil
}

// report tells whether the pod is ready and serves.
func (k *Kubelet) report(ctx context.Context, pod *corev1.Pod) error {
	serving, accepting := strconv.FormatBool(k.Runtime.Serving(pod.Status.PodIP)), strconv.FormatBool(k.Runtime.Accepting(pod.Status.PodIP))
	if pod.Labels[naming.LabelServing] != serving || pod.Labels[naming.LabelAccepting] != accepting {
		pod.Labels[naming.LabelServing], pod.Labels[naming.LabelAccepting] = serving, accepting
		if err := k.Client.Update(ctx, pod); err != nil {
			return err
		}
	}
	status := corev1.ConditionFalse
	if k.Runtime.Accepting(pod.Status.PodIP) {
		status = corev1.ConditionTrue
	}
	if len(pod.Status.Conditions) == 1 && pod.Status.Conditions[0].Status == status {
		return nil
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
	return k.Client.Status().Update(ctx, pod)
}
