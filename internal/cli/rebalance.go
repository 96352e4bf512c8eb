// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) rebalance() *cobra.Command {
	var planOnly, wait bool
	var strategy string
	var pause time.Duration
	cmd := &cobra.Command{
		Use:   "rebalance [CLUSTER]",
		Short: "Spread every table evenly over all datanodes",
		Long: `Spread every table evenly over all datanodes, table by table, while applications go on.

With --plan nothing is moved: it tells what would be, and about how long that takes.`,
		Example: `  kubectl antdb rebalance --plan
  kubectl antdb rebalance demo --max-pause 2s --wait`,
		Args: atMost(1),
	}
	cmd.Flags().BoolVar(&planOnly, "plan", false, "tell what would be moved, and move nothing")
	cmd.Flags().StringVar(&strategy, "strategy", string(v1alpha1.StrategyRedistribute), "how rows are spread: "+string(v1alpha1.StrategyRedistribute))
	maxPause(cmd, &pause)
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the operation to its end")
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case strategy == string(v1alpha1.StrategySplit):
			return errors.New("--strategy Split divides datanodes with new ones: kubectl antdb node add datanode --strategy Split")
		case strategy != string(v1alpha1.StrategyRedistribute):
			return fmt.Errorf("--strategy %q: allowed is %s", strategy, v1alpha1.StrategyRedistribute)
		case format.machine() && !planOnly:
			return fmt.Errorf("-o %s prints a plan: it needs --plan", format)
		case planOnly && wait:
			return errors.New("--plan waits for the plan anyway: leave out --wait")
		}
		k, c, err := a.reach(cmd.Context(), argument(args, 0))
		if err != nil {
			return err
		}
		spec := v1alpha1.AntDBOperationSpec{
			Type: v1alpha1.OperationRebalance, Strategy: v1alpha1.RebalanceStrategy(strategy), PlanOnly: planOnly,
			MaxPause: &metav1.Duration{Duration: pause},
		}
		if planOnly {
			return a.plan(cmd.Context(), k, c, spec, format)
		}
		earlier, err := k.operationsOf(cmd.Context(), c)
		if err != nil {
			return err
		}
		o, err := k.make(cmd.Context(), c, spec)
		if err != nil {
			return err
		}
		a.say("operation %s made: tables of %s are spread over all datanodes\n", o.Name, c.Name)
		a.tellOthers(c, earlier)
		return a.awaitOrTell(cmd.Context(), k, o, wait)
	}
	return cmd
}

// plan has a plan made, prints it, and removes the operation that made it, whatever happened.
func (a *app) plan(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, spec v1alpha1.AntDBOperationSpec, format *form) error {
	o, err := k.make(ctx, c, spec)
	if err != nil {
		return err
	}
	defer func() {
		const patience = 10 * time.Second
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer stop()
		if err := client.IgnoreNotFound(k.Delete(last, o)); err != nil {
			a.warn("operation %s holds the plan and could not be deleted: %v\n", o.Name, err)
		}
	}()
	made, err := a.planned(ctx, k, o)
	if err != nil {
		return err
	}
	if s := made.Status.Split; s != nil {
		if format.machine() {
			return format.print(a.Out, s)
		}
		_, err = fmt.Fprint(a.Out, view.SplitPlan(a.style(), made))
		return err
	}
	if format.machine() {
		return format.print(a.Out, made.Status.Move)
	}
	if _, err := fmt.Fprint(a.Out, view.Plan(a.style(), made)); err != nil {
		return err
	}
	if made.Status.Move != nil && made.Status.Move.TablesTotal > 0 {
		_, err = fmt.Fprintf(a.Out, "\nbegin:  kubectl antdb rebalance %s --wait\n", c.Name)
	}
	return err
}

// planned waits until a plan is made. What it waits for goes to standard error, so that the plan stands alone.
func (a *app) planned(ctx context.Context, k *Kube, o *v1alpha1.AntDBOperation) (*v1alpha1.AntDBOperation, error) {
	var made *v1alpha1.AntDBOperation
	told := ""
	err := a.follow(ctx, k, live{
		sources: []client.ObjectList{&v1alpha1.AntDBOperationList{}},
		options: []client.ListOption{client.InNamespace(o.Namespace)},
		shown:   func(other *v1alpha1.AntDBOperation) bool { return other.Name == o.Name },
		done: func(now *scene) (bool, error) {
			made = now.operations[client.ObjectKeyFromObject(o)]
			if made == nil {
				return false, fmt.Errorf("operation %s: %w", o.Name, errNotThere)
			}
			if m := made.Status.Message; m != "" && m != told && !view.Ended(made) {
				told = m
				a.warn("%s\n", m)
			}
			return view.Ended(made), ended(made, v1alpha1.OperationCompleted)
		},
		goesOn: "nothing was changed.",
	})
	return made, err
}
