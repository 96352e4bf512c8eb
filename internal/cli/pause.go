// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) pause() *cobra.Command {
	return a.attend(&cobra.Command{
		Use:   "pause [CLUSTER]",
		Short: "Make the operator leave a cluster alone",
		Long: `Make the operator leave a cluster alone: it looks and reports, and changes nothing before kubectl antdb resume.

Databases go on, and a server that crashes is started again by its own instance manager. A pod that is deleted stays away, and
an operation that runs is not led on. It sets spec.paused.`,
		Example: `  kubectl antdb pause demo
  kubectl antdb pause -A -l team=a`,
		Args: atMost(1),
	}, true)
}

func (a *app) resume() *cobra.Command {
	return a.attend(&cobra.Command{
		Use:   "resume [CLUSTER]",
		Short: "Let the operator look after a cluster again",
		Long:  `Let the operator look after a cluster again that kubectl antdb pause made it leave alone. It takes spec.paused back.`,
		Example: `  kubectl antdb resume demo
  kubectl antdb resume -A`,
		Args: atMost(1),
	}, false)
}

// attend gives a command that pauses or resumes clusters its flags.
func (a *app) attend(cmd *cobra.Command, paused bool) *cobra.Command {
	var everywhere bool
	var selector string
	cmd.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "the clusters of all namespaces")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "all clusters with these labels, such as team=a")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && (everywhere || selector != "") {
			return errors.New("-A and --selector choose among many clusters: leave out the name")
		}
		if !everywhere && selector == "" {
			k, c, err := a.reach(cmd.Context(), argument(args, 0))
			if err != nil {
				return err
			}
			return a.setPaused(cmd.Context(), k, c, paused)
		}
		wanted, err := labels.Parse(selector)
		if err != nil {
			return fmt.Errorf("--selector %q: %w", selector, err)
		}
		k, err := a.connect()
		if err != nil {
			return err
		}
		options := []client.ListOption{client.MatchingLabelsSelector{Selector: wanted}}
		if !everywhere {
			options = append(options, client.InNamespace(k.Namespace))
		}
		all := &v1alpha1.AntDBClusterList{}
		if err := k.List(cmd.Context(), all, options...); err != nil {
			return err
		}
		if len(all.Items) == 0 {
			return errors.New("no cluster is meant: kubectl antdb list -A shows all")
		}
		for i := range all.Items {
			if err := a.setPaused(cmd.Context(), k, &all.Items[i], paused); err != nil {
				return fmt.Errorf("cluster %s/%s: %w", all.Items[i].Namespace, all.Items[i].Name, err)
			}
		}
		return nil
	}
	return cmd
}

func (a *app) setPaused(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, paused bool) error {
	name := c.Name
	if c.Namespace != k.Namespace {
		name += " -n " + c.Namespace
	}
	if c.Spec.Paused == paused {
		a.say("cluster %s/%s is %s already\n", c.Namespace, c.Name, map[bool]string{true: "paused", false: "looked after"}[paused])
		return nil
	}
	if err := k.edit(ctx, c, func(c *v1alpha1.AntDBCluster) { c.Spec.Paused = paused }); err != nil {
		return err
	}
	if !paused {
		a.say("cluster %s/%s: the operator looks after it again\n", c.Namespace, c.Name)
		return nil
	}
	a.say("cluster %s/%s: the operator leaves it alone until kubectl antdb resume %s\n", c.Namespace, c.Name, name)
	operations, err := k.operationsOf(ctx, c)
	if err != nil {
		return err
	}
	for i := range operations {
		if o := &operations[i]; !view.Ended(o) {
			a.say("  operation %s (%s) is not led on meanwhile; the lock that keeps DDL out, if it has it, runs out within two minutes\n", o.Name, o.Status.Phase)
		}
	}
	return nil
}

// attended is the error of whoever waits for an operator that leaves the cluster alone; nil if it does not.
func attended(c *v1alpha1.AntDBCluster) error {
	if !c.Spec.Paused {
		return nil
	}
	return fmt.Errorf("cluster %s is paused: the operator would do nothing; let it go on first: kubectl antdb resume %s", c.Name, c.Name)
}
