// SPDX-License-Identifier: Apache-2.0

// Package simulated makes the pods of clusters run without running anything: each gets an address of its own on the
// loopback, where an instance manager without a database answers the operator over HTTPS.
//
// It knows the contract of the instance API and what a kubelet writes. It takes no time for anything, so that all the
// time that is measured around it is the operator's and the API server's.
package simulated

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	labelManaged   = "app.kubernetes.io/managed-by=antdb-operator"
	labelCluster   = "antdb.io/cluster"
	labelNode      = "antdb.io/node"
	labelRole      = "antdb.io/role"
	labelServing   = "antdb.io/serving"
	labelAccepting = "antdb.io/accepting"
	// report is the annotation with which an instance wakes the operator.
	report = "antdb.io/report"
)

// Hosts run all pods of all clusters of an API server.
type Hosts struct {
	Client kubernetes.Interface
	// Failed is told of what went wrong with a pod.
	Failed func(error)

	mu        sync.Mutex
	begun     map[types.UID]bool
	instances []*instance
	all       sync.WaitGroup
}

// Run runs pods until ctx ends.
func (h *Hosts) Run(ctx context.Context) error {
	h.begun = map[types.UID]bool{}
	factory := informers.NewSharedInformerFactoryWithOptions(h.Client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = labelManaged
	}))
	pods := factory.Core().V1().Pods().Informer()
	claims := factory.Core().V1().PersistentVolumeClaims().Informer()
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) { h.begin(ctx, o) }})
	if err == nil {
		_, err = claims.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) { h.bind(ctx, o) }})
	}
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
	h.all.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	var fault error
	for _, i := range h.instances {
		fault = errors.Join(fault, i.close())
	}
	return fault
}

// bind gives a claim what it asks for.
func (h *Hosts) bind(ctx context.Context, o any) {
	claim, ok := o.(*corev1.PersistentVolumeClaim)
	if !ok || claim.Status.Phase == corev1.ClaimBound {
		return
	}
	h.all.Go(func() {
		patch, err := json.Marshal(map[string]any{"status": corev1.PersistentVolumeClaimStatus{
			Phase: corev1.ClaimBound, Capacity: claim.Spec.Resources.Requests,
		}})
		if err == nil {
			_, err = h.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).
				Patch(ctx, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		}
		h.tell(ctx, "bind claim "+claim.Name, err)
	})
}

// begin runs a pod, once.
func (h *Hosts) begin(ctx context.Context, o any) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.begun[pod.UID] {
		return
	}
	h.begun[pod.UID] = true
	number := len(h.begun)
	h.all.Go(func() { h.tell(ctx, "run pod "+pod.Namespace+"/"+pod.Name, h.run(ctx, pod, number)) })
}

func (h *Hosts) run(ctx context.Context, pod *corev1.Pod, number int) error {
	i, err := h.instance(ctx, pod)
	if err != nil {
		return err
	}
	i.publish = func() {
		h.all.Go(func() { h.tell(ctx, "publish for "+pod.Name, h.publish(ctx, pod, i)) })
	}
	address := fmt.Sprintf("127.%d.%d.%d", 64+number/62500, number/250%250, number%250+1)
	if err := i.listen(ctx, address); err != nil {
		return err
	}
	h.mu.Lock()
	h.instances = append(h.instances, i)
	h.mu.Unlock()
	now := metav1.Now()
	patch, err := json.Marshal(map[string]any{"status": corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}, StartTime: &now,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "antdb", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		}},
	}})
	if err != nil {
		return err
	}
	if _, err := h.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return err
	}
	return h.publish(ctx, pod, i)
}

// publish does what an instance does when it has news: a label and an annotation of its own pod.
func (h *Hosts) publish(ctx context.Context, pod *corev1.Pod, i *instance) error {
	i.publishing.Lock()
	defer i.publishing.Unlock()
	serving, news := i.news()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"labels":      map[string]string{labelServing: strconv.FormatBool(serving), labelAccepting: "true"},
		"annotations": map[string]string{report: strconv.Itoa(news)},
	}})
	if err != nil {
		return err
	}
	_, err = h.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

func (h *Hosts) tell(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		h.Failed(fmt.Errorf("%s: %w", what, err))
	}
}
