// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var (
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

// At is another namespace of the same Kubernetes.
func (n *Namespace) At(name string) *Namespace {
	other := *n
	other.Name = name
	return &other
}

// WaitGone waits until the namespace is deleted.
func (n *Namespace) WaitGone(ctx context.Context) error {
	all := n.At("")
	left := ""
	if _, err := n.core.CoreV1().Namespaces().Get(ctx, n.Name, metav1.GetOptions{}); err != nil {
		return nil //nolint:nilerr // it is gone already, or the API server is, which others will tell
	}
	err := all.await(ctx, namespaces, named(n.Name), func(o *unstructured.Unstructured) bool {
		if o != nil {
			conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
			left = fmt.Sprint(conditions)
		}
		return o == nil
	})
	if late(ctx, err) {
		return fmt.Errorf("wait until namespace %s is gone: it is still there: %s", n.Name, left)
	}
	return err
}

// WaitDeployment waits until a Deployment has so many available pods and no others.
func (n *Namespace) WaitDeployment(ctx context.Context, name string, replicas int64) error {
	have := "there is no such Deployment"
	err := n.await(ctx, deployments, named(name), func(o *unstructured.Unstructured) bool {
		if o == nil {
			return false
		}
		number := func(field string) int64 {
			v, _, _ := unstructured.NestedInt64(o.Object, "status", field)
			return v
		}
		have = fmt.Sprintf("%d pods, %d available, generation %d of %d", number("replicas"), number("availableReplicas"),
			number("observedGeneration"), o.GetGeneration())
		return number("availableReplicas") == replicas && number("replicas") == replicas &&
			number("observedGeneration") == o.GetGeneration()
	})
	if late(ctx, err) {
		return fmt.Errorf("wait for %d pods of Deployment %s: %s", replicas, name, have)
	}
	return err
}

// Scale changes the number of a Deployment's pods and waits for it.
func (n *Namespace) Scale(ctx context.Context, name string, replicas int32) error {
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	if _, err := n.core.AppsV1().Deployments(n.Name).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("scale Deployment %s to %d: %w", name, replicas, err)
	}
	if err := n.WaitDeployment(ctx, name, int64(replicas)); err != nil {
		return err
	}
	if replicas > 0 {
		return nil
	}
	return n.await(ctx, pods, fields.Everything(), func(*unstructured.Unstructured) bool {
		list, err := n.podsOf(ctx, name)
		return err == nil && len(list) == 0
	})
}

func (n *Namespace) podsOf(ctx context.Context, app string) ([]corev1.Pod, error) {
	list, err := n.core.CoreV1().Pods(n.Name).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + app})
	if err != nil {
		return nil, fmt.Errorf("list pods of %s: %w", app, err)
	}
	return list.Items, nil
}

// ReplacePods deletes all pods of a Deployment and waits until others are available.
func (n *Namespace) ReplacePods(ctx context.Context, name string, how metav1.DeleteOptions) error {
	old, err := n.podsOf(ctx, name)
	if err != nil {
		return err
	}
	for i := range old {
		if err := n.core.CoreV1().Pods(n.Name).Delete(ctx, old[i].Name, how); err != nil {
			return fmt.Errorf("delete pod %s: %w", old[i].Name, err)
		}
	}
	for i := range old {
		fresh := false
		err := n.await(ctx, pods, fields.Everything(), func(o *unstructured.Unstructured) bool {
			p := typed(o)
			fresh = fresh || p != nil && p.Labels["app.kubernetes.io/name"] == name && p.UID != old[i].UID && ready(p)
			return fresh
		})
		if late(ctx, err) {
			return fmt.Errorf("wait for a pod in place of %s: none is ready", old[i].Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return false
}

// Host is the host of the only pod of a Deployment.
func (n *Namespace) Host(ctx context.Context, name string) (string, error) {
	list, err := n.podsOf(ctx, name)
	if err != nil {
		return "", err
	}
	if len(list) != 1 {
		return "", fmt.Errorf("find the host of %s: it has %d pods", name, len(list))
	}
	return list[0].Spec.NodeName, nil
}

// Metrics reads the metrics of the only ready pod of a Deployment, summed up over their labels.
func (n *Namespace) Metrics(ctx context.Context, name string) (map[string]float64, error) {
	list, err := n.podsOf(ctx, name)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if !ready(&list[i]) {
			continue
		}
		text, err := n.core.CoreV1().Pods(n.Name).ProxyGet("http", list[i].Name, "8080", "metrics", nil).DoRaw(ctx)
		if err != nil {
			return nil, fmt.Errorf("read metrics of %s: %w", list[i].Name, err)
		}
		return SumMetrics(text)
	}
	return nil, fmt.Errorf("read metrics of %s: no pod is ready", name)
}

// SumMetrics adds up the samples of each metric in Prometheus' text format.
func SumMetrics(text []byte) (map[string]float64, error) {
	out := map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value := line, line[strings.LastIndexByte(line, ' ')+1:]
		if at := strings.IndexAny(line, "{ "); at > 0 {
			name = line[:at]
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("read metric %q: %w", line, err)
		}
		out[name] += v
	}
	return out, lines.Err()
}

// Metrics of controller-runtime and of the operator that tell whether it has anything to do.
const (
	MetricReconciles = "controller_runtime_reconcile_total"
	metricWorkers    = "controller_runtime_active_workers"
	metricWaiting    = "workqueue_depth"
	MetricWrites     = "antdb_operator_writes_total"
)

// quiet is how long an operator must have had nothing to do.
const quiet = 6 * time.Second

// Settle waits until the operator has looked at its clusters and then had nothing to do for some seconds, and returns
// how many writes it has made since it began.
func (n *Namespace) Settle(ctx context.Context, name string) (writes float64, err error) {
	tick := time.NewTicker(time.Second) // metrics can only be asked for
	defer tick.Stop()
	since, last := time.Now(), -1.0
	for {
		m, fault := n.Metrics(ctx, name)
		if fault == nil {
			if m[MetricReconciles] != last || m[metricWorkers] > 0 || m[metricWaiting] > 0 || last <= 0 {
				since, last = time.Now(), m[MetricReconciles]
			}
			if time.Since(since) > quiet {
				return m[MetricWrites], nil
			}
		}
		select {
		case <-ctx.Done():
			return 0, errors.Join(fmt.Errorf("wait until %s has nothing to do: %v reconciles, and no end", name, last), fault)
		case <-tick.C:
		}
	}
}
