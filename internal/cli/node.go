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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

func (a *app) node() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Add, remove and drain nodes",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.addNode(), a.removeNode(), a.drainNode())
	return cmd
}

// adding is what is added, as flags say.
type adding struct {
	what           antdb.Role
	more           int32
	strategy       string
	planOnly, wait bool
	format         *form
}

func (a *app) addNode() *cobra.Command {
	o := &adding{}
	cmd := &cobra.Command{
		Use:   "add coordinator|datanode [CLUSTER]",
		Short: "Add coordinators or datanodes to a cluster",
		Long: `Add coordinators or datanodes to a cluster.

It raises spec.coordinators.count or spec.datanodes.count; the operator makes an operation of it. New datanodes get their
share of the rows, table by table, while applications go on.

With --strategy Split each new datanode is made as a copy of a present one, and the rows of the two are divided in one
moment: 3 datanodes become 6 or 9. It stays the cluster's spec.datanodes.strategy. With --plan nothing is changed: it tells
what would be copied, or what stands against it.`,
		Example: `  kubectl antdb node add coordinator
  kubectl antdb node add datanode demo --count 2 --wait
  kubectl antdb node add datanode --count 3 --strategy Split --plan`,
		ValidArgs: []string{string(antdb.RoleCoordinator), string(antdb.RoleDatanode)},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("say what to add: coordinator or datanode")
			}
			if _, err := role(args[0]); err != nil {
				return err
			}
			return atMost(2)(cmd, args)
		},
	}
	cmd.Flags().Int32Var(&o.more, "count", 1, "how many")
	cmd.Flags().StringVar(&o.strategy, "strategy", "", "how new datanodes get their rows: Redistribute or Split (default: what the cluster's spec says)")
	cmd.Flags().BoolVar(&o.planOnly, "plan", false, "with the strategy Split: tell what would be copied, and change nothing")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "follow the operation to its end")
	o.format = formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if o.what, err = role(args[0]); err != nil {
			return err
		}
		if err := o.check(); err != nil {
			return err
		}
		k, c, err := a.reach(cmd.Context(), argument(args, 1))
		if err != nil {
			return err
		}
		if o.planOnly {
			return a.planSplit(cmd.Context(), k, c, o)
		}
		return a.add(cmd.Context(), k, c, o)
	}
	return cmd
}

// add raises a count.
func (a *app) add(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, o *adding) error {
	earlier, err := k.operationsOf(ctx, c)
	if err != nil {
		return err
	}
	from, err := k.changeCount(ctx, c, o.what, o.more, o.takeStrategy)
	if err != nil {
		return err
	}
	a.say("cluster %s: %ss %d → %d\n", c.Name, o.what, from, *count(c, o.what))
	a.tellOthers(c, earlier)
	if !o.wait {
		a.say("follow it:  kubectl antdb operations -w\n")
		return nil
	}
	return a.awaitAdded(ctx, k, c, o.what, earlier)
}

// check refuses flags that do not go together.
func (o *adding) check() error {
	split := o.strategy == string(v1alpha1.StrategySplit)
	switch {
	case o.more < 1:
		return fmt.Errorf("--count %d: allowed is 1 or more; kubectl antdb node remove takes nodes out", o.more)
	case o.strategy != "" && !split && o.strategy != string(v1alpha1.StrategyRedistribute):
		return fmt.Errorf("--strategy %q: allowed are %s and %s", o.strategy, v1alpha1.StrategyRedistribute, v1alpha1.StrategySplit)
	case o.strategy != "" && o.what != antdb.RoleDatanode:
		return errors.New("--strategy is for datanodes: coordinators hold no rows")
	case o.planOnly && !split:
		return errors.New("--plan needs --strategy Split; kubectl antdb rebalance --plan tells what a move of rows would do")
	case o.planOnly && o.wait:
		return errors.New("--plan waits for the plan anyway: leave out --wait")
	case o.format.machine() && !o.planOnly:
		return fmt.Errorf("-o %s prints a plan: it needs --plan", o.format)
	}
	return nil
}

// takeStrategy sets the strategy of a cluster that is about to get more nodes, and refuses a split that cannot come out even:
// the operator would do nothing.
func (o *adding) takeStrategy(c *v1alpha1.AntDBCluster) error {
	if o.what != antdb.RoleDatanode {
		return nil
	}
	if o.strategy != "" {
		c.Spec.Datanodes.Strategy = v1alpha1.RebalanceStrategy(o.strategy)
	}
	if have := c.Spec.Datanodes.Count; c.Spec.Datanodes.Strategy == v1alpha1.StrategySplit && (have == 0 || o.more%have != 0) {
		return fmt.Errorf("strategy Split makes equally many of each datanode: %d can become %d, and not %d; --strategy Redistribute takes any number",
			have, 2*have, have+o.more)
	}
	return nil
}

// planSplit has a plan made of dividing the present datanodes with so many new ones.
func (a *app) planSplit(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, o *adding) error {
	var names []string
	for i := 1; len(names) < int(o.more); i++ {
		name := antdb.NodeName(antdb.RoleDatanode, i)
		if !slices.ContainsFunc(c.Status.Members, func(m v1alpha1.MemberStatus) bool { return m.Name == name }) {
			names = append(names, name)
		}
	}
	return a.plan(ctx, k, c, v1alpha1.AntDBOperationSpec{
		Type: v1alpha1.OperationAddNodes, Nodes: names, Strategy: v1alpha1.StrategySplit, PlanOnly: true,
	}, o.format)
}

func (a *app) removeNode() *cobra.Command {
	var named string
	var timeout time.Duration
	var yes, wait bool
	cmd := &cobra.Command{
		Use:   "remove NAME…",
		Short: "Take nodes out of a cluster",
		Long: `Take coordinators or datanodes out of a cluster: any of them, not only the last.

Sessions of a coordinator may finish first; the rows of a datanode are moved to the others first. The volumes are kept
for a while after that, so that nothing is lost by a mistake.`,
		Example: `  kubectl antdb node remove cn1 --drain-timeout 10m
  kubectl antdb node remove dn3 dn4 --cluster demo --yes --wait`,
		Args: nodeNames("remove"),
	}
	cmd.Flags().StringVar(&named, "cluster", "", "the cluster, where the namespace has several")
	cmd.Flags().DurationVar(&timeout, "drain-timeout", 0, "how long sessions of a coordinator may go on (default: what the cluster's spec says)")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the operation to its end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var patience *metav1.Duration
		if cmd.Flags().Changed("drain-timeout") {
			if err := drainTimeout(args[0], timeout); err != nil {
				return err
			}
			patience = &metav1.Duration{Duration: timeout}
		}
		k, c, err := a.reach(cmd.Context(), named)
		if err != nil {
			return err
		}
		r, err := removal(c, args)
		if err != nil {
			return err
		}
		r.drainTimeout = patience
		a.say("%s", r.explain(c))
		if err := a.confirm(yes, "Go on?"); err != nil {
			return err
		}
		earlier, err := k.operationsOf(cmd.Context(), c)
		if err != nil {
			return err
		}
		o, err := k.remove(cmd.Context(), c, r)
		if err != nil {
			return err
		}
		a.say("operation %s made; cluster %s: %ss → %d\n", o.Name, c.Name, r.role, *count(c, r.role))
		a.tellOthers(c, earlier)
		return a.awaitOrTell(cmd.Context(), k, o, wait)
	}
	return cmd
}

// drainTimeout checks whether a node may be given one.
func drainTimeout(node string, timeout time.Duration) error {
	what, _, err := antdb.ParseNodeName(node)
	switch {
	case err != nil:
		return err
	case what != antdb.RoleCoordinator:
		return errors.New("--drain-timeout is for coordinators: datanodes have no sessions of applications")
	case timeout < 0:
		return fmt.Errorf("--drain-timeout %s: allowed is 0 (end sessions at once) or more", timeout)
	}
	return nil
}

func (a *app) drainNode() *cobra.Command {
	var named string
	var pause time.Duration
	var wait bool
	cmd := &cobra.Command{
		Use:   "drain NAME…",
		Short: "Move all rows off datanodes that stay in the cluster",
		Long: `Move all rows off datanodes that stay in the cluster.

kubectl antdb rebalance gives them rows again.`,
		Example: "  kubectl antdb node drain dn3 --wait",
		Args:    nodeNames("drain"),
	}
	cmd.Flags().StringVar(&named, "cluster", "", "the cluster, where the namespace has several")
	maxPause(cmd, &pause)
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the operation to its end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, c, err := a.reach(cmd.Context(), named)
		if err != nil {
			return err
		}
		if err := drainable(c, args); err != nil {
			return err
		}
		earlier, err := k.operationsOf(cmd.Context(), c)
		if err != nil {
			return err
		}
		o, err := k.make(cmd.Context(), c, v1alpha1.AntDBOperationSpec{
			Type: v1alpha1.OperationDrainNodes, Nodes: args, MaxPause: &metav1.Duration{Duration: pause},
		})
		if err != nil {
			return err
		}
		a.say("operation %s made: rows of %s are moved to the other datanodes\n", o.Name, strings.Join(args, ", "))
		a.tellOthers(c, earlier)
		return a.awaitOrTell(cmd.Context(), k, o, wait)
	}
	return cmd
}

// role reads the word for a role, also in the plural and as prefix of names.
func role(word string) (antdb.Role, error) {
	switch strings.TrimSuffix(strings.ToLower(word), "s") {
	case "coordinator", "cn":
		return antdb.RoleCoordinator, nil
	case "datanode", "dn":
		return antdb.RoleDatanode, nil
	}
	return "", fmt.Errorf("%q cannot be added: allowed are coordinator and datanode", word)
}

// argument is the n-th argument, or nothing.
func argument(args []string, n int) string {
	if n < len(args) {
		return args[n]
	}
	return ""
}

// nodeNames takes names of coordinators or of datanodes.
func nodeNames(verb string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("say which nodes to %s, such as dn4: kubectl antdb status lists them", verb)
		}
		var roles []antdb.Role
		for i, name := range args {
			r, _, err := antdb.ParseNodeName(name)
			if err != nil {
				return err
			}
			if slices.Contains(args[:i], name) {
				return fmt.Errorf("%s is named twice", name)
			}
			if r == antdb.RoleGTM || verb == "drain" && r != antdb.RoleDatanode {
				return fmt.Errorf("%s cannot be %s: %s", name, past[verb], why[verb])
			}
			roles = append(roles, r)
		}
		if len(slices.Compact(roles)) > 1 {
			return fmt.Errorf("%s: coordinators and datanodes cannot be mixed in one operation: give two commands", strings.Join(args, " "))
		}
		return nil
	}
}

var (
	past = map[string]string{"remove": "removed", "drain": "drained"}
	why  = map[string]string{
		"remove": "there is exactly one gc in a cluster",
		"drain":  "only datanodes (dn1, dn2, …) hold rows of applications",
	}
)

// maxPause adds --max-pause.
func maxPause(cmd *cobra.Command, pause *time.Duration) {
	const usual = 5 * time.Second
	cmd.Flags().DurationVar(pause, "max-pause", usual, "how long the move of one table may hold statements of the cluster back while it waits for its locks")
}
