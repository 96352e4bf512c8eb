// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) status() *cobra.Command {
	var verbose, everywhere bool
	var selector string
	cmd := &cobra.Command{
		Use:   "status [CLUSTER]",
		Short: "Show the state of a cluster, or of all",
		Long: `Show the state of a cluster: its nodes as a tree, what is not fine and what to do about it.

Nodes that are fine share a line; -v shows each. With -A all clusters are listed, with a line each.`,
		Example: `  kubectl antdb status
  kubectl antdb status demo -v
  kubectl antdb status -A`,
		Args: atMost(1),
	}
	format := formFlag(cmd, formJSON, formYAML)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show every node")
	cmd.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "list the clusters of all namespaces")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "with -A: only clusters with these labels, such as team=a")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if everywhere && len(args) > 0 {
			return errors.New("-A lists all clusters: leave out the name, or choose a namespace with -n")
		}
		k, err := a.connect()
		if err != nil {
			return err
		}
		if everywhere {
			wanted, err := labels.Parse(selector)
			if err != nil {
				return fmt.Errorf("--selector %q: %w", selector, err)
			}
			all := &v1alpha1.AntDBClusterList{}
			if err := k.List(cmd.Context(), all, client.MatchingLabelsSelector{Selector: wanted}); err != nil {
				return err
			}
			if format.machine() {
				return format.print(a.Out, all)
			}
			_, err = fmt.Fprint(a.Out, view.Clusters(a.style(), all.Items))
			return err
		}
		c, err := k.cluster(cmd.Context(), argument(args, 0))
		if err != nil {
			return err
		}
		if format.machine() {
			return format.print(a.Out, c)
		}
		operations, err := k.operationsOf(cmd.Context(), c)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(a.Out, view.Cluster(a.style(), c, operations, verbose))
		return err
	}
	return cmd
}
