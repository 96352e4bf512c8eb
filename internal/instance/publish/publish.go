// SPDX-License-Identifier: Apache-2.0

// Package publish writes what an instance has to tell onto its own pod: labels that Services select by, conditions
// that Kubernetes and people read, and an annotation that wakes the operator.
//
// It writes on change only, and only the latest; while the instance does not serve, not more often than it must. It does
// not decide what is told.
package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// News is what is told.
type News struct {
	// Accepting tells whether the server accepts connections, which is what Kubernetes calls ready.
	Accepting bool
	Serving   bool
	Reason    string
	Message   string
	// Report changes whenever the operator should ask.
	Report string
}

// Patcher patches pods, and tells what the pod is like then.
type Patcher interface {
	Patch(ctx context.Context, pod string, kind types.PatchType, patch []byte, subresources ...string) (*corev1.Pod, error)
}

// writeLimit is how long a write may take.
const writeLimit = 5 * time.Second

// Publisher writes onto one pod.
type Publisher struct {
	Pods Patcher
	Pod  string
	Now  func() time.Time
	Log  *slog.Logger
	// FirstBackoff is the pause after a failed write; it doubles up to LastBackoff.
	FirstBackoff, LastBackoff time.Duration
	// Gap is the least time between two writes while the instance does not serve: a server that comes up has news all
	// the time, and nobody waits for each of them. Delay is how long news wait for others before the server accepts
	// connections for the first time: the kubelet looks at a pod once for each change of it and then not again for up to
	// a second, and shall be free by then.
	Gap, Delay time.Duration
	// New tells that no server ever ran in this pod: it cannot carry anything yet that must not stay.
	New bool

	mu      sync.Mutex
	want    *News
	told    time.Time // when the first news came that are not on the pod
	started bool      // it was told that the server accepts connections
	wake    chan struct{}
	written chan struct{} // closed when want is on the pod
	flush   bool          // somebody waits

	// What the pod carries, as far as known. Nothing is known at first: an earlier life of this container may have
	// left anything.
	is                *News
	since, sinceReady time.Time     // when it began or ceased to serve and to accept connections
	wrote             time.Time     // when it was brought up to date last
	flushed           chan struct{} // what was closed last
}

// Tell hands over the latest news. It never waits.
func (p *Publisher) Tell(n News) {
	p.mu.Lock()
	if p.written == nil || p.written == p.flushed {
		p.told = p.Now()
	}
	p.want, p.written, p.started = &n, make(chan struct{}), p.started || n.Accepting
	wake := p.waker()
	p.mu.Unlock()
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (p *Publisher) waker() chan struct{} {
	if p.wake == nil {
		p.wake = make(chan struct{}, 1)
	}
	return p.wake
}

// Flush waits until the latest news is on the pod, or until ctx ends.
func (p *Publisher) Flush(ctx context.Context) {
	p.mu.Lock()
	p.flush = true
	written, wake := p.written, p.waker()
	p.mu.Unlock()
	if written == nil {
		return
	}
	select {
	case wake <- struct{}{}:
	default:
	}
	select {
	case <-written:
	case <-ctx.Done():
	}
}

// Run writes until ctx ends.
func (p *Publisher) Run(ctx context.Context) {
	p.mu.Lock()
	wake := p.waker()
	p.mu.Unlock()
	var again <-chan time.Time
	pause := p.FirstBackoff
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-again:
		}
		if left := p.gapLeft(); left > 0 {
			again = time.After(left)
			continue
		}
		again = nil
		if err := p.write(ctx); err != nil {
			if ctx.Err() == nil {
				p.Log.Warn("pod not updated, trying again", "error", err, "in", pause.String())
			}
			again = time.After(pause)
			pause = min(2*pause, p.LastBackoff)
			continue
		}
		pause = p.FirstBackoff
	}
}

// gapLeft is how long the latest news may wait for others: not at all if the instance serves, or if what Services follow
// changes.
func (p *Publisher) gapLeft() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	is, want := p.is, p.want
	if is == nil && p.New {
		is = &News{}
	}
	if p.flush || is == nil || want == nil || want.Serving || is.Serving || is.Accepting != want.Accepting {
		return 0
	}
	now := p.Now()
	left := p.Gap - now.Sub(p.wrote)
	if !p.started {
		left = max(left, p.Delay-now.Sub(p.told))
	}
	return left
}

// write brings the pod up to date.
func (p *Publisher) write(ctx context.Context) error {
	p.mu.Lock()
	want, written := p.want, p.written
	p.mu.Unlock()
	if want == nil {
		return nil
	}
	if p.is == nil || *p.is != *want {
		// An API server that does not answer shall not hold up what there is to tell once it does.
		ctx, cancel := context.WithTimeout(ctx, writeLimit)
		defer cancel()
		if err := p.patch(ctx, *want); err != nil {
			return err
		}
	}
	p.wrote = p.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flushed != written {
		p.flushed = written
		close(written)
	}
	return nil
}

// patch writes everything at once. What is written of metadata together with the status is taken by API servers as they
// are today, by habit and not by contract: if it was not, it is written by itself.
func (p *Publisher) patch(ctx context.Context, want News) error {
	if p.is == nil || p.is.Serving != want.Serving {
		p.since = p.Now()
	}
	if p.is == nil || p.is.Accepting != want.Accepting {
		p.sinceReady = p.Now()
	}
	labels := map[string]string{
		naming.LabelAccepting: strconv.FormatBool(want.Accepting), naming.LabelServing: strconv.FormatBool(want.Serving),
	}
	annotations := map[string]string{naming.AnnotationReport: want.Report}
	metadata := map[string]any{"labels": labels, "annotations": annotations}
	// Conditions are merged by type, so those of the kubelet stay.
	pod, err := p.send(ctx, map[string]any{"metadata": metadata, "status": map[string]any{"conditions": []map[string]any{
		condition(naming.ConditionAccepting, want.Accepting, p.sinceReady, "", ""),
		condition(naming.ConditionServing, want.Serving, p.since, want.Reason, want.Message),
	}}}, "status")
	if err == nil && (!holds(pod.Labels, labels) || !holds(pod.Annotations, annotations)) {
		_, err = p.send(ctx, map[string]any{"metadata": metadata})
	}
	if err == nil {
		p.is = &want
	}
	return err
}

func (p *Publisher) send(ctx context.Context, change map[string]any, subresources ...string) (*corev1.Pod, error) {
	patch, err := json.Marshal(change)
	if err != nil {
		return nil, fmt.Errorf("encode news: %w", err)
	}
	return p.Pods.Patch(ctx, p.Pod, types.StrategicMergePatchType, patch, subresources...)
}

// holds tells whether is has everything that want has.
func holds(is, want map[string]string) bool {
	for k, v := range want {
		if is[k] != v {
			return false
		}
	}
	return true
}

func condition(kind string, holds bool, since time.Time, reason, message string) map[string]any {
	status := "False"
	if holds {
		status = "True"
	}
	return map[string]any{
		"type": kind, "status": status, "reason": reason, "message": message,
		"lastTransitionTime": since.UTC().Format(time.RFC3339),
	}
}
