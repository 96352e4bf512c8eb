// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

// listing is which clusters are listed, and how.
type listing struct {
	everywhere, watching bool
	selector             string
	format               *form
}

func (a *app) list() *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List clusters with a line each, and totals",
		Example: `  kubectl antdb list
  kubectl antdb list -A -l team=a
  kubectl antdb list -A -w`,
		Args: atMost(0),
	}
	l.format = formFlag(cmd, formJSON, formYAML)
	cmd.Flags().BoolVarP(&l.watching, "watch", "w", false, "follow them")
	cmd.Flags().BoolVarP(&l.everywhere, "all-namespaces", "A", false, "of all namespaces")
	cmd.Flags().StringVarP(&l.selector, "selector", "l", "", "only those with these labels, such as team=a")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.listClusters(cmd.Context(), l) }
	return cmd
}

// listClusters asks once, however many clusters and nodes there are.
func (a *app) listClusters(ctx context.Context, l listing) error {
	if err := unwatchable(l.watching, l.format); err != nil {
		return err
	}
	wanted, err := labels.Parse(l.selector)
	if err != nil {
		return fmt.Errorf("--selector %q: %w", l.selector, err)
	}
	k, err := a.connect()
	if err != nil {
		return err
	}
	options := []client.ListOption{client.MatchingLabelsSelector{Selector: wanted}}
	if !l.everywhere {
		options = append(options, client.InNamespace(k.Namespace))
	}
	if l.watching {
		return a.follow(ctx, k, clustersLive(options))
	}
	all := &v1alpha1.AntDBClusterList{}
	if err := k.List(ctx, all, options...); err != nil {
		return err
	}
	switch {
	case l.format.machine():
		return l.format.print(a.Out, all)
	case len(all.Items) == 0:
		a.warn("There are no clusters here. kubectl antdb create makes one, -A looks into all namespaces.\n")
		return nil
	}
	_, err = fmt.Fprint(a.Out, view.Clusters(a.style(), all.Items))
	return err
}

// clustersLive is the list, drawn anew with each change.
func clustersLive(options []client.ListOption) live {
	last := map[client.ObjectKey]*v1alpha1.AntDBCluster{}
	return live{
		sources: []client.ObjectList{&v1alpha1.AntDBClusterList{}},
		options: options,
		frame: func(s view.Style, now *scene) string {
			all := make([]v1alpha1.AntDBCluster, 0, len(now.clusters))
			for _, c := range now.clusters {
				all = append(all, *c)
			}
			slices.SortFunc(all, func(a, b v1alpha1.AntDBCluster) int {
				return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
			})
			return view.Clusters(s, all)
		},
		tell: func(s view.Style, c *v1alpha1.AntDBCluster) []string {
			key := client.ObjectKeyFromObject(c)
			told := view.ClusterChanges(s, last[key], c)
			last[key] = c
			return told
		},
	}
}
