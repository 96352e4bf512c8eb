// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
	"github.com/antdb-operator/antdb-operator/test/e2e/writer"
)

// name of every cluster that is measured.
const name = "bench"

// space makes a namespace, and gives a function that removes it and waits until it is gone.
func space(ctx context.Context, o options) (*cluster.Namespace, func() error, error) {
	n, err := cluster.Open(o.kubeconfig, "bench-"+strings.ToLower(rand.Text()[:4]))
	if err != nil {
		return nil, nil, err
	}
	_, err = n.Core().CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: n.Name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("make namespace: %w", err)
	}
	return n, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		if err := n.Core().CoreV1().Namespaces().Delete(ctx, n.Name, metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("delete namespace: %w", err)
		}
		return n.WaitGone(ctx)
	}, nil
}

// timed is how long something takes in a namespace of its own, which is made before and removed after.
func timed(ctx context.Context, o options, do func(context.Context, *cluster.Namespace) error) (took time.Duration, err error) {
	n, remove, err := space(ctx, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	begin := time.Now()
	if err := do(ctx, n); err != nil {
		return 0, err
	}
	return time.Since(begin), nil
}

// timeToReady is the time from applying a cluster until it is Ready.
func timeToReady(ctx context.Context, o options) (time.Duration, error) {
	return timed(ctx, o, func(ctx context.Context, n *cluster.Namespace) error {
		if err := n.Create(ctx, manifest(name, o.image, false)); err != nil {
			return err
		}
		_, err := n.WaitCondition(ctx, name, cluster.Ready)
		return err
	})
}

// outage is what a writer sees when a kind of pod is deleted.
type outage struct {
	Kind    string
	Through string
	Gaps    []time.Duration
}

// outages deletes each kind of pod several times under a writer, and measures the longest gap of each time. They are
// measured on one cluster, with which settled is measured too.
func outages(ctx context.Context, n *cluster.Namespace, o options, say func(string, ...any)) ([]outage, error) {
	login, err := n.Login(ctx, cluster.Target{Cluster: name, Node: "cn2"})
	if err != nil {
		return nil, err
	}
	if err := reachable(ctx, login); err != nil {
		return nil, err
	}
	w, err := writer.Start(ctx, writer.Options{
		Connect: login.Connect, Table: "written", Writers: 1, Readers: 1, Pause: 20 * time.Millisecond, Patience: 80 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	defer w.Stop()
	var out []outage
	for _, kind := range []outage{
		{Kind: "datanode (dn1)", Through: "cn2"}, {Kind: "coordinator (cn1)", Through: "cn2"},
		{Kind: "the writer's own coordinator (cn2)", Through: "cn2"}, {Kind: "gtm_coord (gc)", Through: "cn2"},
	} {
		node := kind.Kind[strings.IndexByte(kind.Kind, '(')+1 : len(kind.Kind)-1]
		for range o.runs {
			gap, err := disturbed(ctx, n, w, name+"-"+node+"-1")
			if err != nil {
				return nil, fmt.Errorf("delete the pod of %s: %w", node, err)
			}
			kind.Gaps = append(kind.Gaps, gap)
		}
		say("pod of %s deleted: outage %s (median of %d)", node, round(median(kind.Gaps)), len(kind.Gaps))
		out = append(out, kind)
	}
	w.Stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err = w.Verify(ctx)
	return out, err
}

// reachable waits until the Service leads to the node: Kubernetes publishes a pod a moment after it is ready.
func reachable(ctx context.Context, login cluster.Login) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		conn, err := login.Connect(ctx)
		if err == nil {
			return conn.Close(ctx)
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("connect to %s: %w", login.Address(), err)
		}
	}
}

func disturbed(ctx context.Context, n *cluster.Namespace, w *writer.Writer, pod string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if _, err := w.Gap(ctx); err != nil { // what was before does not count
		return 0, err
	}
	old, err := n.DeletePod(ctx, pod)
	if err != nil {
		return 0, err
	}
	if err := n.WaitAnew(ctx, pod, old); err != nil {
		return 0, err
	}
	if _, err := n.WaitCondition(ctx, name, cluster.Ready); err != nil {
		return 0, err
	}
	return w.Gap(ctx)
}

// settled wakes the operator over a cluster at rest, and counts what it writes.
func settled(ctx context.Context, n *cluster.Namespace, o options) (reconciles, writes float64, err error) {
	home := n.At(o.namespace)
	if _, err := home.Settle(ctx, o.deployment); err != nil {
		return 0, 0, err
	}
	before, err := home.Metrics(ctx, o.deployment)
	if err != nil {
		return 0, 0, err
	}
	for i := range 20 {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"bench/wake":"%d"}}}`, i)
		if err := n.Patch(ctx, name, types.MergePatchType, patch); err != nil {
			return 0, 0, err
		}
		if err := pause(ctx, 300*time.Millisecond); err != nil { // each shall be a reconcile of its own
			return 0, 0, err
		}
	}
	if _, err := home.Settle(ctx, o.deployment); err != nil {
		return 0, 0, err
	}
	after, err := home.Metrics(ctx, o.deployment)
	if err != nil {
		return 0, 0, err
	}
	return after[cluster.MetricReconciles] - before[cluster.MetricReconciles], after[cluster.MetricWrites] - before[cluster.MetricWrites], nil
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
