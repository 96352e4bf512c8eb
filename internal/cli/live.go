// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

// scene is what a live view shows.
type scene struct {
	operations map[client.ObjectKey]*v1alpha1.AntDBOperation
	clusters   map[client.ObjectKey]*v1alpha1.AntDBCluster
}

// sorted are the operations, the newest first.
func (s *scene) sorted() []v1alpha1.AntDBOperation {
	var out []v1alpha1.AntDBOperation
	for _, o := range s.operations {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b v1alpha1.AntDBOperation) int {
		if c := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return out
}

// live is a view that follows operations by watch.
type live struct {
	// sources are the lists that are followed.
	sources []client.ObjectList
	options []client.ListOption
	// shown are the operations that are told of.
	shown func(*v1alpha1.AntDBOperation) bool
	// frame is the picture on a terminal; without it nothing is drawn and nothing told.
	frame func(view.Style, *scene) string
	// tell tells in lines of a change of a cluster, where nothing is drawn; nil tells nothing.
	tell func(view.Style, *v1alpha1.AntDBCluster) []string
	// limit is how long is waited, and late the error of what has not happened by then; zero waits for ever.
	limit time.Duration
	late  func(*scene) error
	// done is asked after each change, once everything was seen; nil goes on until the context ends.
	done func(*scene) (bool, error)
	// goesOn tells a person who stops waiting what happens without him; empty where nothing is waited for.
	goesOn string
}

// follow shows a live view until it is done. On a terminal the picture is drawn again at each change and each tick;
// elsewhere each change is a line.
func (a *app) follow(ctx context.Context, k *Kube, l live) error {
	inner, stop := context.WithCancel(ctx)
	changes := make(chan change)
	group, inner := errgroup.WithContext(inner)
	for _, source := range l.sources {
		group.Go(func() error { return follow(inner, k, source, changes, l.options...) })
	}
	err := a.show(inner, l, changes)
	stop()
	if broken := group.Wait(); broken != nil && !errors.Is(broken, context.Canceled) {
		return broken
	}
	switch {
	case ctx.Err() == nil:
		return err
	case l.goesOn == "": // nothing was waited for
		return nil
	}
	return interrupted{l.goesOn}
}

func (a *app) show(ctx context.Context, l live, changes <-chan change) error {
	s := &scene{operations: map[client.ObjectKey]*v1alpha1.AntDBOperation{}, clusters: map[client.ObjectKey]*v1alpha1.AntDBCluster{}}
	pane, seen, drawn := &screen{out: a.Out}, 0, a.Terminal && l.frame != nil
	var ticks <-chan time.Time
	if drawn {
		var end func()
		ticks, end = a.Ticks()
		defer end()
	}
	limit, end := timer(l.limit)
	defer end()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks:
		case <-limit:
			return l.late(s)
		case c := <-changes:
			if c.object == nil {
				seen++
			}
			if told := s.take(c, l, a.style()); len(told) > 0 && !drawn && l.frame != nil {
				a.say("%s\n", strings.Join(told, "\n"))
			}
		}
		if seen < len(l.sources) {
			continue
		}
		if drawn {
			_, height := a.size()
			pane.draw(l.frame(a.style(), s), height)
		}
		if done, err := l.over(s); done || err != nil {
			return err
		}
	}
}

// over tells whether what was waited for has happened.
func (l *live) over(s *scene) (bool, error) {
	if l.done == nil {
		return false, nil
	}
	return l.done(s)
}

// timer is a channel that gets a value after a while; never with zero.
func timer(d time.Duration) (<-chan time.Time, func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// take brings a change into the scene and tells of it in lines.
func (s *scene) take(c change, l live, style view.Style) []string {
	switch o := c.object.(type) {
	case *v1alpha1.AntDBCluster:
		key := client.ObjectKeyFromObject(o)
		if c.gone {
			delete(s.clusters, key)
			return nil
		}
		s.clusters[key] = o
		if l.tell != nil {
			return l.tell(style, o)
		}
	case *v1alpha1.AntDBOperation:
		key := client.ObjectKeyFromObject(o)
		old := s.operations[key]
		switch {
		case l.shown == nil || !l.shown(o):
		case c.gone:
			delete(s.operations, key)
		default:
			s.operations[key] = o
			return view.Changes(style, old, o)
		}
	}
	return nil
}

// await follows one operation to its end, and fails unless it ends well.
func (a *app) await(ctx context.Context, k *Kube, name string, well v1alpha1.OperationPhase) error {
	key := client.ObjectKey{Namespace: k.Namespace, Name: name}
	return a.follow(ctx, k, live{
		sources: []client.ObjectList{&v1alpha1.AntDBOperationList{}},
		options: []client.ListOption{client.InNamespace(k.Namespace)},
		shown:   func(o *v1alpha1.AntDBOperation) bool { return o.Name == name },
		frame: func(s view.Style, now *scene) string {
			if o := now.operations[key]; o != nil {
				return view.Operation(s, o, tablesShown)
			}
			return ""
		},
		done: func(now *scene) (bool, error) {
			o := now.operations[key]
			if o == nil {
				return false, fmt.Errorf("operation %s: %w", name, errNotThere)
			}
			return view.Ended(o), ended(o, well)
		},
		goesOn: goesOn(name),
	})
}

// tablesShown is how many tables a live view shows.
const tablesShown = 12

func goesOn(name string) string {
	return "the operator goes on with it. Follow it again:  kubectl antdb operations -w\nStop and undo it:  kubectl antdb operations cancel " + name
}

// ended is the error of an operation that ended in another way than well.
func ended(o *v1alpha1.AntDBOperation, well v1alpha1.OperationPhase) error {
	if !view.Ended(o) || o.Status.Phase == well {
		return nil
	}
	return fmt.Errorf("operation %s: %s: %s", o.Name, o.Status.Phase, o.Status.Message)
}
