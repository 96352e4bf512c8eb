// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// choice is which clusters a command is for: those that are named, those with some labels, or the only one.
type choice struct {
	everywhere bool
	selector   string
}

func (c *choice) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&c.everywhere, "all-namespaces", "A", false, "clusters of all namespaces")
	cmd.Flags().StringVarP(&c.selector, "selector", "l", "", "clusters with these labels, such as team=a or 'tier in (test, stage)'")
}

// clusters finds the clusters that are chosen, sorted by their names unless they were named.
func (c *choice) clusters(ctx context.Context, k *Kube, named []string) ([]v1alpha1.AntDBCluster, error) {
	wanted, err := labels.Parse(c.selector)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--selector %q: %w", c.selector, err)
	case len(named) > 0 && (c.everywhere || c.selector != ""):
		return nil, errors.New("clusters are either named or chosen by --selector and -A: leave out one of both")
	case c.everywhere || c.selector != "":
		return c.labelled(ctx, k, wanted)
	case len(named) == 0:
		named = []string{""}
	}
	var out []v1alpha1.AntDBCluster
	for _, name := range named {
		found, err := k.cluster(ctx, name)
		if err != nil {
			return nil, err
		}
		out = append(out, *found)
	}
	return out, nil
}

func (c *choice) labelled(ctx context.Context, k *Kube, wanted labels.Selector) ([]v1alpha1.AntDBCluster, error) {
	options, where := []client.ListOption{client.MatchingLabelsSelector{Selector: wanted}}, "there is"
	if !c.everywhere {
		options, where = append(options, client.InNamespace(k.Namespace)), "namespace "+k.Namespace+" has"
	}
	all := &v1alpha1.AntDBClusterList{}
	if err := k.List(ctx, all, options...); err != nil {
		return nil, err
	}
	if len(all.Items) == 0 {
		return nil, fmt.Errorf("%s no cluster with the labels %q: kubectl get antdbclusters -A --show-labels shows all", where, c.selector)
	}
	slices.SortFunc(all.Items, func(a, b v1alpha1.AntDBCluster) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return all.Items, nil
}
