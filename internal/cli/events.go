// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

func (a *app) events() *cobra.Command {
	var watching bool
	cmd := &cobra.Command{
		Use:   "events [CLUSTER]",
		Short: "Show what happened to a cluster, its operations and its pods",
		Example: `  kubectl antdb events
  kubectl antdb events demo -w`,
		Args: atMost(1),
	}
	cmd.Flags().BoolVarP(&watching, "watch", "w", false, "go on with new ones")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, c, err := a.reach(cmd.Context(), argument(args, 0))
		if err != nil {
			return err
		}
		if watching {
			return a.followEvents(cmd.Context(), k, c)
		}
		all := &corev1.EventList{}
		if err := k.List(cmd.Context(), all, client.InNamespace(c.Namespace)); err != nil {
			return err
		}
		slices.SortStableFunc(all.Items, func(a, b corev1.Event) int { return happened(&a).Compare(happened(&b)) })
		for i := range all.Items {
			if e := &all.Items[i]; k.concerns(cmd.Context(), c, e) {
				a.tell(e)
			}
		}
		return nil
	}
	return cmd
}

func (a *app) tell(e *corev1.Event) {
	a.say("%s\n", view.Event(a.style(), happened(e), e.Type, e.InvolvedObject.Name, e.Reason, e.Message))
}

// happened is when an event happened last.
func happened(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

// concerns tells whether an event is about a cluster, one of its operations or one of its pods.
func (k *Kube) concerns(ctx context.Context, c *v1alpha1.AntDBCluster, e *corev1.Event) bool {
	switch about := e.InvolvedObject; about.Kind {
	case "AntDBCluster":
		return about.Name == c.Name
	case "AntDBOperation":
		o, err := k.operation(ctx, about.Name)
		return err == nil && o.Spec.Cluster == c.Name
	case "Pod":
		_, _, err := naming.ParseInstance(c.Name, about.Name)
		return err == nil
	}
	return false
}

// followEvents tells of events until the context ends.
func (a *app) followEvents(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster) error {
	changes := make(chan change)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return follow(ctx, k, &corev1.EventList{}, changes, client.InNamespace(c.Namespace)) })
	group.Go(func() error {
		told := map[string]bool{}
		for {
			select {
			case <-ctx.Done():
				return nil
			case got := <-changes:
				e, ok := got.object.(*corev1.Event)
				if !ok || got.gone || told[e.Name+e.ResourceVersion] || !k.concerns(ctx, c, e) {
					continue
				}
				told[e.Name+e.ResourceVersion] = true
				a.tell(e)
			}
		}
	})
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
