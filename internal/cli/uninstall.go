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
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/deploy"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

// removal of the operator.
type uninstallation struct {
	crds, clusters, yes, dry bool
	limit                    time.Duration
}

func (a *app) uninstall() *cobra.Command {
	var u uninstallation
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove the operator, and with --with-crds its CRDs",
		Long: `Remove the operator: its Deployment, rights and admission policy. Clusters run on without it; nothing is repaired or changed
any more until it is installed again.

With --with-crds the CRDs are removed too, which deletes every AntDBCluster with its data. While there are clusters this
is refused unless --delete-clusters is given as well: then they are deleted first, as their volumeRetention says.`,
		Example: `  kubectl antdb uninstall
  kubectl antdb uninstall --with-crds`,
		Args: atMost(0),
	}
	cmd.Flags().BoolVar(&u.crds, "with-crds", false, "remove the CRDs too")
	cmd.Flags().BoolVar(&u.clusters, "delete-clusters", false, "with --with-crds: delete all clusters of all namespaces, and their data")
	cmd.Flags().BoolVar(&u.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&u.dry, "dry-run", false, "remove nothing, say what would be removed")
	const usual = 5 * time.Minute
	cmd.Flags().DurationVar(&u.limit, "timeout", usual, "how long to wait for clusters and the namespace to go away")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if u.clusters && !u.crds {
			return errors.New("--delete-clusters is only for --with-crds: kubectl delete antdbcluster NAME deletes one")
		}
		k, err := a.connect()
		if err != nil {
			return err
		}
		return a.remove(cmd.Context(), k, u)
	}
	return cmd
}

func (a *app) remove(ctx context.Context, k *Kube, u uninstallation) error {
	all := &v1alpha1.AntDBClusterList{}
	if err := k.List(ctx, all); err != nil && !meta.IsNoMatchError(err) {
		return err
	}
	objects, err := deploy.Objects(a.operatorNamespace(), deploy.DevelopmentImage)
	if err != nil {
		return err
	}
	slices.Reverse(objects)
	objects = slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool {
		return !u.crds && o.GetKind() == "CustomResourceDefinition" || o.GetKind() == "Namespace" && o.GetName() != deploy.Namespace
	})
	if err := a.agree(u, objects, all.Items); err != nil || u.dry {
		return err
	}
	if u.crds && len(all.Items) > 0 {
		// The operator still runs: it undoes operations that have begun, whose finalizers would stay otherwise.
		if err := a.deleteClusters(ctx, k, all.Items, u.limit); err != nil {
			return err
		}
	}
	for _, o := range objects {
		err := k.Delete(ctx, o)
		if client.IgnoreNotFound(err) != nil && !meta.IsNoMatchError(err) {
			return fmt.Errorf("delete %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		if err == nil {
			a.say("%s %s deleted\n", o.GetKind(), o.GetName())
		}
	}
	return a.namespaceGone(ctx, k, u.limit)
}

// namespaceGone waits until the namespace of the operator is gone, if it goes. Nothing can be made in one that is going away, and
// whoever installs again does not expect that.
func (a *app) namespaceGone(ctx context.Context, k *Kube, limit time.Duration) error {
	own := client.ObjectKey{Name: a.operatorNamespace()}
	if own.Name != deploy.Namespace {
		return nil
	}
	return k.until(ctx, &corev1.NamespaceList{}, nil, limit, "namespace "+own.Name+" to go away",
		func(all map[client.ObjectKey]client.Object) (bool, string) {
			return all[own] == nil, "it is still there"
		})
}

// agree says what will be removed, refuses what was not said twice, and asks.
func (a *app) agree(u uninstallation, objects []*unstructured.Unstructured, clusters []v1alpha1.AntDBCluster) error {
	names := make([]string, 0, len(clusters))
	for i := range clusters {
		names = append(names, clusters[i].Namespace+"/"+clusters[i].Name)
	}
	list := strings.Join(names, ", ")
	switch {
	case u.crds && len(clusters) > 0 && !u.clusters:
		return fmt.Errorf("removing the CRDs would delete %s with their data: %s\nDelete them first, or give --delete-clusters as well", view.Noun(len(clusters), "cluster"), list)
	case u.crds && len(clusters) > 0:
		a.say("%s will be deleted, with all data unless volumeRetention is Retain: %s\n", view.Noun(len(clusters), "cluster"), list)
	case len(clusters) > 0:
		a.say("%s will run on without anybody who looks after them: %s\n", view.Noun(len(clusters), "cluster"), list)
	}
	for _, o := range objects {
		a.say("%s %s will be deleted\n", o.GetKind(), o.GetName())
	}
	if u.dry {
		return nil
	}
	return a.confirm(u.yes, "Remove the operator?")
}

// deleteClusters deletes clusters and waits until they and their operations are gone.
func (a *app) deleteClusters(ctx context.Context, k *Kube, clusters []v1alpha1.AntDBCluster, limit time.Duration) error {
	for i := range clusters {
		if err := client.IgnoreNotFound(k.Delete(ctx, &clusters[i])); err != nil {
			return fmt.Errorf("delete cluster %s: %w", clusters[i].Name, err)
		}
		a.say("cluster %s/%s is being deleted\n", clusters[i].Namespace, clusters[i].Name)
	}
	gone := func(all map[client.ObjectKey]client.Object) (bool, string) {
		return len(all) == 0, view.Noun(len(all), "object") + " left"
	}
	if err := k.until(ctx, &v1alpha1.AntDBClusterList{}, nil, limit, "clusters to go away", gone); err != nil {
		return err
	}
	return k.until(ctx, &v1alpha1.AntDBOperationList{}, nil, limit, "operations to go away", gone)
}
