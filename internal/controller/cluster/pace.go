// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// gap is the least time between the end of one pass over a cluster and the next.
const gap = 200 * time.Millisecond

// Pacer keeps a cluster in motion from being looked at without end: while it is made, hundreds of changes of its pods
// and volumes wake the operator, and each pass would see one of them. What comes within a gap is seen by one pass at
// its end; what comes after a quiet moment is seen at once.
type Pacer struct {
	Next reconcile.Reconciler
	Now  func() time.Time

	mu    sync.Mutex
	ended map[types.NamespacedName]time.Time // passes of the last gap
}

// Reconcile runs a pass, or puts it off to the end of the gap. A failed pass opens no gap: the queue has its own pauses
// for failures, which a pass that is put off would end.
func (p *Pacer) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if left := p.left(req.NamespacedName); left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	result, err := p.Next.Reconcile(ctx, req)
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ended[req.NamespacedName] = p.Now()
	}
	return result, err
}

// left is what is left of a cluster's gap. Gaps that are over are forgotten.
func (p *Pacer) left(cluster types.NamespacedName) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		p.ended = map[types.NamespacedName]time.Time{}
	}
	now := p.Now()
	for name, ended := range p.ended {
		if now.Sub(ended) >= gap {
			delete(p.ended, name)
		}
	}
	if ended, ok := p.ended[cluster]; ok {
		return gap - now.Sub(ended)
	}
	return 0
}
