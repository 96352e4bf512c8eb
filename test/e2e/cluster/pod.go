// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// Labels of a cluster's pods that the documentation promises.
const (
	labelNode    = "antdb.io/node"
	labelServing = "antdb.io/serving"
)

// Serves tells whether a pod runs a server through which SQL runs.
func Serves(p *corev1.Pod) bool {
	return p != nil && p.DeletionTimestamp == nil && p.Labels[labelServing] == "true"
}

// DeletePod deletes a pod gracefully and returns at once, with the UID that is going.
func (n *Namespace) DeletePod(ctx context.Context, name string) (types.UID, error) {
	p, err := n.core.CoreV1().Pods(n.Name).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		err = n.core.CoreV1().Pods(n.Name).Delete(ctx, name, *metav1.NewPreconditionDeleteOptions(string(p.UID)))
	}
	if err != nil {
		return "", fmt.Errorf("delete pod %s: %w", name, err)
	}
	return p.UID, nil
}

// WaitAnew waits until a pod of that name with another UID serves.
func (n *Namespace) WaitAnew(ctx context.Context, name string, old types.UID) error {
	var seen *corev1.Pod
	err := n.await(ctx, pods, named(name), func(o *unstructured.Unstructured) bool {
		seen = typed(o)
		return seen != nil && seen.UID != old && Serves(seen)
	})
	if late(ctx, err) {
		return fmt.Errorf("wait for a new pod %s: it did not serve in time; %s", name, describe(seen, old))
	}
	return err
}

func describe(p *corev1.Pod, old types.UID) string {
	switch {
	case p == nil:
		return "there is no such pod"
	case p.UID == old:
		return "the old one is still there"
	}
	text := fmt.Sprintf("the new one is %s on host %q", p.Status.Phase, p.Spec.NodeName)
	for _, c := range p.Status.Conditions {
		text += fmt.Sprintf("; %s=%s %s", c.Type, c.Status, c.Message)
	}
	return text
}

func typed(o *unstructured.Unstructured) *corev1.Pod {
	p := &corev1.Pod{}
	if o == nil || runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, p) != nil {
		return nil
	}
	return p
}

// Timeline notes in which order nodes stop and begin to serve.
type Timeline struct {
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	serving map[string]bool
	lines   []string
}

// Watch begins a Timeline with the nodes as they are now.
func (n *Namespace) Watch(ctx context.Context) (*Timeline, error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	t := &Timeline{stop: stop, done: make(chan struct{}), serving: map[string]bool{}}
	informer := cache.NewSharedInformer(n.listWatch(pods, ""), &unstructured.Unstructured{}, 0)
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc:    func(o any, first bool) { t.note(o, first, false) },
		UpdateFunc: func(_, o any) { t.note(o, false, false) },
		DeleteFunc: func(o any) { t.note(o, false, true) },
	})
	if err != nil {
		stop()
		return nil, fmt.Errorf("watch pods: %w", err)
	}
	go func() {
		defer close(t.done)
		informer.Run(ctx.Done())
	}()
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		stop()
		return nil, fmt.Errorf("watch pods of %s: it did not begin", n.Name)
	}
	return t, nil
}

func (t *Timeline) note(o any, first, gone bool) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok { // the last state of a deletion that was missed; the next event of the node tells more
		return
	}
	node := u.GetLabels()[labelNode]
	if node == "" {
		return
	}
	serves := !gone && Serves(typed(u))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.serving[node] == serves {
		return
	}
	t.serving[node] = serves
	switch {
	case first:
	case serves:
		t.lines = append(t.lines, node+" serves")
	default:
		t.lines = append(t.lines, node+" stops")
	}
}

// Stop ends the Timeline and returns its lines, such as "dn1 stops".
func (t *Timeline) Stop() []string {
	t.stop()
	<-t.done
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lines
}
