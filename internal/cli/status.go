// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) status() *cobra.Command {
	var verbose, everywhere, watching bool
	var selector string
	cmd := &cobra.Command{
		Use:   "status [CLUSTER]",
		Short: "Show the state of a cluster, or of all",
		Long: `Show the state of a cluster: its nodes as a tree, what is not fine and what to do about it.

Nodes that are fine share a line; -v shows each, and asks the instances for positions in the write-ahead log and the use of
volumes. -w follows the state until you stop it: on a terminal the picture is
drawn anew, elsewhere each change is a line. With -A all clusters are listed, with a line each, as by kubectl antdb list.`,
		Example: `  kubectl antdb status
  kubectl antdb status demo -v
  kubectl antdb status demo -w
  kubectl antdb status -A`,
		Args: atMost(1),
	}
	format := formFlag(cmd, formJSON, formYAML)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show every node")
	cmd.Flags().BoolVarP(&watching, "watch", "w", false, "follow the state")
	cmd.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "list the clusters of all namespaces")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "with -A: only clusters with these labels, such as team=a")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case everywhere && len(args) > 0:
			return errors.New("-A lists all clusters: leave out the name, or choose a namespace with -n")
		case selector != "" && !everywhere:
			return errors.New("--selector chooses among many clusters: it needs -A, or use kubectl antdb list")
		case everywhere:
			return a.listClusters(cmd.Context(), listing{everywhere: true, watching: watching, selector: selector, format: format})
		}
		if err := unwatchable(watching, format); err != nil {
			return err
		}
		k, c, err := a.reach(cmd.Context(), argument(args, 0))
		if err != nil {
			return err
		}
		switch {
		case watching:
			return a.followStatus(cmd.Context(), k, client.ObjectKeyFromObject(c), verbose)
		case format.machine():
			return format.print(a.Out, c)
		}
		operations, err := k.operationsOf(cmd.Context(), c)
		if err != nil {
			return err
		}
		var told *examine.Facts
		if verbose {
			if told, err = k.examine(cmd.Context(), c, a.Now(), inquiry{objects: true}); err != nil {
				return err
			}
		}
		_, err = fmt.Fprint(a.Out, view.ClusterWith(a.style(), c, operations, verbose, told))
		return err
	}
	return cmd
}

// unwatchable refuses to follow something for a program.
func unwatchable(watching bool, format *form) error {
	if watching && format.machine() {
		return fmt.Errorf("-w cannot be had with -o %s: kubectl get adb -w -o %s prints each change", format, format)
	}
	return nil
}

// followStatus shows a cluster until the context ends, or it is deleted.
func (a *app) followStatus(ctx context.Context, k *Kube, key client.ObjectKey, verbose bool) error {
	var last *v1alpha1.AntDBCluster
	return a.follow(ctx, k, live{
		sources: []client.ObjectList{&v1alpha1.AntDBClusterList{}, &v1alpha1.AntDBOperationList{}},
		options: []client.ListOption{client.InNamespace(key.Namespace)},
		shown:   func(o *v1alpha1.AntDBOperation) bool { return o.Spec.Cluster == key.Name },
		frame: func(s view.Style, now *scene) string {
			if c := now.clusters[key]; c != nil {
				return view.Cluster(s, c, now.sorted(), verbose)
			}
			return ""
		},
		tell: func(s view.Style, c *v1alpha1.AntDBCluster) []string {
			if client.ObjectKeyFromObject(c) != key {
				return nil
			}
			told := view.ClusterChanges(s, last, c)
			last = c
			return told
		},
		done: func(now *scene) (bool, error) {
			gone := now.clusters[key] == nil
			if gone {
				a.say("cluster %s was deleted\n", key.Name)
			}
			return gone, nil
		},
	})
}
