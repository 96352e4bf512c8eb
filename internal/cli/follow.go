// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// again is the pause before a watch is begun anew that ended.
const again = time.Second

// change is one object that appeared, changed or went away. Without an object it says that all there are were sent.
type change struct {
	object client.Object
	gone   bool
}

// follow sends the objects of a list and then every change, until the context ends. A watch that breaks off is begun
// anew; objects that went away meanwhile are told as gone.
func follow(ctx context.Context, c client.WithWatch, list client.ObjectList, to chan<- change, options ...client.ListOption) error {
	known := map[client.ObjectKey]client.Object{}
	send := func(o client.Object, gone bool) {
		switch {
		case o == nil:
		case gone:
			delete(known, client.ObjectKeyFromObject(o))
		default:
			known[client.ObjectKeyFromObject(o)] = o
		}
		select {
		case to <- change{o, gone}:
		case <-ctx.Done():
		}
	}
	for first := true; ; first = false {
		fresh, ok := list.DeepCopyObject().(client.ObjectList)
		if !ok {
			return fmt.Errorf("follow %T: no list", list)
		}
		if err := c.List(ctx, fresh, options...); err != nil {
			if first || ctx.Err() != nil {
				return err
			}
		} else if err := catchUp(fresh, known, send); err != nil {
			return err
		} else if err := stream(ctx, c, fresh, send, options); err != nil && first && !retriable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(again):
		}
	}
}

// retriable errors of a watch pass by themselves.
func retriable(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err)
}

// catchUp tells what a list holds, and what it does not hold any more.
func catchUp(fresh client.ObjectList, known map[client.ObjectKey]client.Object, send func(client.Object, bool)) error {
	there := map[client.ObjectKey]bool{}
	if err := meta.EachListItem(fresh, func(item runtime.Object) error {
		o, ok := item.(client.Object)
		if !ok {
			return fmt.Errorf("follow %T: no object", item)
		}
		there[client.ObjectKeyFromObject(o)] = true
		send(o, false)
		return nil
	}); err != nil {
		return err
	}
	for key, o := range known {
		if !there[key] {
			send(o, true)
		}
	}
	send(nil, false)
	return nil
}

// stream sends changes until the watch ends.
func stream(ctx context.Context, c client.WithWatch, from client.ObjectList, send func(client.Object, bool), options []client.ListOption) error {
	where := client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: from.GetResourceVersion()}}
	w, err := c.Watch(ctx, from, append(options, &where)...)
	if err != nil {
		return err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-w.ResultChan():
			if !open {
				return nil
			}
			o, ok := e.Object.(client.Object)
			switch {
			case e.Type == watch.Error:
				return apierrors.FromObject(e.Object)
			case ok && e.Type != watch.Bookmark:
				send(o, e.Type == watch.Deleted)
			}
		}
	}
}
