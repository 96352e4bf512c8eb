// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// deletion of a cluster.
type deletion struct {
	keep, yes, wait bool
	limit           time.Duration
}

func (a *app) delete() *cobra.Command {
	var d deletion
	cmd := &cobra.Command{
		Use:   "delete CLUSTER",
		Short: "Delete a cluster, with its data or without",
		Long: `Delete a cluster: its pods, Services and Secrets, and its volumes with everything that is on them. What will be lost is shown
before, and the name of the cluster has to be typed.

Volumes stay where the cluster has volumeRetention: Retain, or with --keep-data, which sets that first and waits until no volume
belongs to the cluster any more. Data can be got out of them by hand; the operator makes no cluster from them, and a new cluster of
the same name refuses them. Passwords and certificates go with the Secrets.`,
		Example: `  kubectl antdb delete demo
  kubectl antdb delete demo --keep-data --yes`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name the cluster that is to be deleted, and nothing else")
			}
			return nil
		},
	}
	const usual = 5 * time.Minute
	cmd.Flags().BoolVar(&d.keep, "keep-data", false, "keep the volumes")
	cmd.Flags().BoolVar(&d.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&d.wait, "wait", true, "wait until pods and volumes are gone")
	cmd.Flags().DurationVar(&d.limit, "timeout", usual, "how long to wait")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := (&patience{limit: d.limit}).check(); err != nil {
			return err
		}
		k, c, err := a.reach(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return a.deleteCluster(cmd.Context(), k, c, d)
	}
	return cmd
}

func (a *app) deleteCluster(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, d deletion) error {
	if d.keep && c.DeletionTimestamp == nil {
		if err := attended(c); err != nil {
			return fmt.Errorf("only the operator can keep the volumes: %w", err)
		}
	}
	kept := d.keep || c.Spec.VolumeRetention == v1alpha1.VolumeRetentionRetain
	if err := a.showLoss(ctx, k, c, kept); err != nil {
		return err
	}
	question := fmt.Sprintf("Type %s to delete the cluster: ", c.Name)
	if err := a.agreed(d.yes, question, c.Name); err != nil {
		return err
	}
	began := a.Now()
	if kept {
		if err := k.keepVolumes(ctx, c, d.limit); err != nil {
			return fmt.Errorf("cluster %s is not deleted: %w", c.Name, err)
		}
	}
	uid := c.UID
	if err := k.Delete(ctx, c, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground)); client.IgnoreNotFound(err) != nil {
		return err
	}
	a.say("cluster %s is being deleted\n", c.Name)
	if !d.wait {
		return nil
	}
	if err := k.gone(ctx, c, kept, d.limit); err != nil {
		return err
	}
	a.say("cluster %s is gone after %s\n", c.Name, view.Span(a.Now().Sub(began)))
	if kept {
		a.say("its volumes are kept:  kubectl get pvc -l %s=%s\n", naming.LabelCluster, c.Name)
	}
	return nil
}

// sizesLimit is how long instances are asked how much there is to lose: who deletes a broken cluster does not want to wait for it.
const sizesLimit = 10 * time.Second

// showLoss prints what goes with a cluster.
func (a *app) showLoss(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, kept bool) error {
	claims := &corev1.PersistentVolumeClaimList{}
	if err := k.List(ctx, claims, ofCluster(c)...); err != nil {
		return err
	}
	operations, err := k.operationsOf(ctx, c)
	if err != nil {
		return err
	}
	asking, stop := context.WithTimeout(ctx, sizesLimit)
	defer stop()
	f, err := k.examine(asking, c, a.Now(), inquiry{sizes: true})
	if ctx.Err() != nil {
		return err // an instance that gives no answer is none
	}
	a.say("%s", view.Loss(a.style(), f, claims.Items, kept))
	for i := range operations {
		if o := &operations[i]; !view.Ended(o) {
			a.say("operation %s (%s) ends with it\n", o.Name, o.Status.Phase)
		}
	}
	return nil
}

// keepVolumes makes the volumes of a cluster outlive it. The operator lets go of those of the cluster's nodes; what is left of
// nodes that were removed before is not waited for.
func (k *Kube) keepVolumes(ctx context.Context, c *v1alpha1.AntDBCluster, limit time.Duration) error {
	if c.Spec.VolumeRetention != v1alpha1.VolumeRetentionRetain {
		if err := k.edit(ctx, c, func(c *v1alpha1.AntDBCluster) { c.Spec.VolumeRetention = v1alpha1.VolumeRetentionRetain }); err != nil {
			return err
		}
	}
	return k.until(ctx, &corev1.PersistentVolumeClaimList{}, ofCluster(c), limit, "the operator to let go of the volumes",
		func(all map[client.ObjectKey]client.Object) (bool, string) {
			var held []string
			for key, o := range all {
				if o.GetAnnotations()[naming.AnnotationRetainUntil] == "" && metav1.IsControlledBy(o, c) {
					held = append(held, key.Name)
				}
			}
			slices.Sort(held)
			return len(held) == 0, strings.Join(held, ", ") + " would go with the cluster"
		})
}

// gone waits until nothing is left of a cluster but what is kept.
func (k *Kube) gone(ctx context.Context, c *v1alpha1.AntDBCluster, kept bool, limit time.Duration) error {
	left := func(all map[client.ObjectKey]client.Object) (bool, string) {
		var names []string
		for key, o := range all {
			named, is := o.(*v1alpha1.AntDBOperation)
			switch {
			case o.GetAnnotations()[naming.AnnotationClusterUID] != "" && o.GetAnnotations()[naming.AnnotationClusterUID] != string(c.UID):
			case is && named.Spec.Cluster != c.Name:
			default:
				names = append(names, key.Name)
			}
		}
		slices.Sort(names)
		return len(names) == 0, "left are " + strings.Join(names, ", ")
	}
	if err := k.until(ctx, &v1alpha1.AntDBOperationList{}, []client.ListOption{client.InNamespace(c.Namespace)}, limit,
		"operations to end, which the operator sees to", left); err != nil {
		return err
	}
	if err := k.until(ctx, &corev1.PodList{}, ofCluster(c), limit, "pods to go away", left); err != nil {
		return err
	}
	if kept {
		return nil
	}
	return k.until(ctx, &corev1.PersistentVolumeClaimList{}, ofCluster(c), limit, "volumes to go away", left)
}

// ofCluster chooses the objects of a cluster.
func ofCluster(c *v1alpha1.AntDBCluster) []client.ListOption {
	return []client.ListOption{client.InNamespace(c.Namespace), client.MatchingLabels{naming.LabelCluster: c.Name}}
}
