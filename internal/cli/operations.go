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
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) operations() *cobra.Command {
	var watching, everywhere bool
	var selector string
	cmd := &cobra.Command{
		Use:     "operations [CLUSTER]",
		Aliases: []string{"operation", "ops"},
		Short:   "List operations and follow them",
		Long: `List operations and follow them: nodes that are added or removed, rows that are moved.

With -w the list is followed until you stop it: on a terminal with the steps and tables of what runs, elsewhere with a
line for each change.`,
		Example: `  kubectl antdb operations
  kubectl antdb operations demo -w
  kubectl antdb operations -A -o wide
  kubectl antdb operations show demo-add-dn4
  kubectl antdb operations cancel demo-add-dn4`,
		Args: atMost(1),
	}
	format := formFlag(cmd, formJSON, formYAML, formWide)
	cmd.Flags().BoolVarP(&watching, "watch", "w", false, "follow them")
	cmd.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "of all namespaces")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "only those with these labels, such as team=a")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if watching && format.machine() {
			return fmt.Errorf("-w cannot be had with -o %s: kubectl get adbop -w -o %s prints each change", format, format)
		}
		k, err := a.connect()
		if err != nil {
			return err
		}
		var options []client.ListOption
		if !everywhere {
			options = append(options, client.InNamespace(k.Namespace))
		}
		if selector != "" {
			wanted, err := labels.Parse(selector)
			if err != nil {
				return fmt.Errorf("--selector %q: %w", selector, err)
			}
			options = append(options, client.MatchingLabelsSelector{Selector: wanted})
		}
		shown := func(o *v1alpha1.AntDBOperation) bool { return len(args) == 0 || o.Spec.Cluster == args[0] }
		look := view.OperationsOptions{Namespaces: everywhere, Wide: format.value == formWide}
		if watching {
			return a.follow(cmd.Context(), k, a.operationsLive(options, shown, look))
		}
		return a.listOperations(cmd.Context(), k, options, shown, look, format)
	}
	cmd.AddCommand(a.showOperation(), a.cancelOperation())
	return cmd
}

func (a *app) listOperations(ctx context.Context, k *Kube, options []client.ListOption, shown func(*v1alpha1.AntDBOperation) bool,
	look view.OperationsOptions, format *form,
) error {
	all := &v1alpha1.AntDBOperationList{}
	if err := k.List(ctx, all, options...); err != nil {
		return err
	}
	kept := all.Items[:0]
	for i := range all.Items {
		if shown(&all.Items[i]) {
			kept = append(kept, all.Items[i])
		}
	}
	all.Items = kept
	if format.machine() {
		return format.print(a.Out, all)
	}
	if len(kept) == 0 {
		_, err := fmt.Fprintln(a.Err, "There are no operations. They come with a change of counts, node add, node remove, node drain or rebalance.")
		return err
	}
	_, err := fmt.Fprint(a.Out, view.Operations(a.style(), kept, look))
	return err
}

// operationsLive is the list, and below it everything about what runs.
func (a *app) operationsLive(options []client.ListOption, shown func(*v1alpha1.AntDBOperation) bool, look view.OperationsOptions) live {
	return live{
		sources: []client.ObjectList{&v1alpha1.AntDBOperationList{}},
		options: options,
		shown:   shown,
		frame: func(s view.Style, now *scene) string {
			all := now.sorted()
			if len(all) == 0 {
				return "no operations yet\n"
			}
			text := []string{view.Operations(s, all, look)}
			for i := range all {
				if p := all[i].Status.Phase; p == v1alpha1.OperationRunning || p == v1alpha1.OperationUndoing {
					text = append(text, view.Operation(s, &all[i], tablesShown))
				}
			}
			return strings.Join(text, "\n")
		},
	}
}

func (a *app) showOperation() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show the steps and the tables of an operation",
		Example: "  kubectl antdb operations show demo-add-dn4",
		Args:    exactly("NAME", "kubectl antdb operations lists them"),
	}
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, err := a.connect()
		if err != nil {
			return err
		}
		o, err := k.operation(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if format.machine() {
			return format.print(a.Out, o)
		}
		_, err = fmt.Fprint(a.Out, view.Operation(a.style(), o, view.AllTables))
		return err
	}
	return cmd
}

func (a *app) cancelOperation() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "cancel NAME",
		Short: "Stop an operation at the next safe point and undo it",
		Long: `Stop an operation at the next safe point and undo it.

That is possible until it is past its point of no return; then it will be completed. Where nodes were being removed the
count is raised again, so that they are not removed by another operation.`,
		Example: "  kubectl antdb operations cancel demo-add-dn4 --wait",
		Args:    exactly("NAME", "kubectl antdb operations lists them"),
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "follow it until it is undone")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, err := a.connect()
		if err != nil {
			return err
		}
		o, err := k.operation(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		switch {
		case view.Ended(o):
			return fmt.Errorf("operation %s cannot be cancelled: it has ended (%s)", o.Name, o.Status.Phase)
		case o.Status.PointOfNoReturn:
			return fmt.Errorf("operation %s cannot be cancelled any more: it is past its point of no return and will be completed", o.Name)
		}
		if o.Spec.Type == v1alpha1.OperationRemoveNodes {
			if err := a.keepNodes(cmd.Context(), k, o); err != nil {
				return err
			}
		}
		if err := k.cancel(cmd.Context(), o); err != nil {
			return err
		}
		a.say("operation %s is to be cancelled\n", o.Name)
		if !wait {
			return nil
		}
		return a.await(cmd.Context(), k, o.Name, v1alpha1.OperationCancelled)
	}
	return cmd
}

// keepNodes raises the count to the nodes that stay when an operation that removes some is undone. With the count as it
// is the operator would remove others in their place.
func (a *app) keepNodes(ctx context.Context, k *Kube, o *v1alpha1.AntDBOperation) error {
	role, _, err := antdb.ParseNodeName(argument(o.Spec.Nodes, 0))
	if err != nil {
		return err
	}
	c, err := k.cluster(ctx, o.Spec.Cluster)
	if err != nil {
		return err
	}
	missing := func(c *v1alpha1.AntDBCluster) int32 {
		have := int32(len(active(c, role)))
		for _, m := range c.Status.Members {
			if m.State == v1alpha1.MemberLeaving && slices.Contains(o.Spec.Nodes, m.Name) {
				have++
			}
		}
		return have - *count(c, role)
	}
	by := missing(c)
	if by <= 0 {
		return nil
	}
	from, err := k.changeCount(ctx, c, role, by, func(c *v1alpha1.AntDBCluster) error {
		if now := missing(c); now != by {
			return fmt.Errorf("cluster %s was changed meanwhile: look at it with kubectl antdb status, and try again", c.Name)
		}
		return nil
	})
	if err == nil {
		a.say("cluster %s: %ss %d → %d\n", c.Name, role, from, from+by)
	}
	return err
}

// cancel asks the operator to stop and undo an operation.
func (k *Kube) cancel(ctx context.Context, o *v1alpha1.AntDBOperation) error {
	before := o.DeepCopy()
	o.Spec.Cancel = true
	return k.Patch(ctx, o, client.MergeFrom(before))
}

// exactly takes one argument, and says where to find it.
func exactly(what, where string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return fmt.Errorf("%s takes exactly one %s, not %q: %s", cmd.CommandPath(), what, strings.Join(args, " "), where)
	}
}
