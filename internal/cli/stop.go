// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) stop() *cobra.Command {
	return a.turn(&cobra.Command{
		Use:   "stop [CLUSTER]",
		Short: "Stop a cluster: take its pods away and keep its data",
		Long: `Stop a cluster: its pods are taken away, those of the coordinators first, then the datanodes', then gc's.

Volumes, Services and Secrets are kept, and so is whatever is on the volumes; kubectl antdb start brings the cluster back.
An operation that runs ends first, or is cancelled by kubectl antdb operations cancel. It sets spec.stopped.`,
		Example: `  kubectl antdb stop
  kubectl antdb stop demo --wait=false`,
		Args: atMost(1),
	}, a.stopCluster)
}

func (a *app) start() *cobra.Command {
	return a.turn(&cobra.Command{
		Use:   "start [CLUSTER]",
		Short: "Start a cluster that was stopped",
		Long: `Start a cluster that was stopped by kubectl antdb stop: all its pods are made at once.

It takes spec.stopped back. The exit code is 0 only if the cluster is Ready.`,
		Example: "  kubectl antdb start demo",
		Args:    atMost(1),
	}, a.startCluster)
}

// patience is whether a command waits, and how long.
type patience struct {
	wait  bool
	limit time.Duration
}

// flags adds the flags of a command that waits.
func (p *patience) flags(cmd *cobra.Command, usual time.Duration) {
	cmd.Flags().BoolVar(&p.wait, "wait", true, "follow the nodes until all are where they shall be")
	cmd.Flags().DurationVar(&p.limit, "timeout", usual, "how long to wait")
}

func (p *patience) check() error {
	if p.limit <= 0 {
		return fmt.Errorf("--timeout %s: allowed is more than 0", p.limit)
	}
	return nil
}

// turn gives a command that stops or starts a cluster its flags.
func (a *app) turn(cmd *cobra.Command, do func(context.Context, *Kube, *v1alpha1.AntDBCluster, patience) error) *cobra.Command {
	var p patience
	const usual = 10 * time.Minute
	p.flags(cmd, usual)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := p.check(); err != nil {
			return err
		}
		k, c, err := a.reach(cmd.Context(), argument(args, 0))
		if err == nil {
			err = attended(c)
		}
		if err != nil {
			return err
		}
		return do(cmd.Context(), k, c, p)
	}
	return cmd
}

func (a *app) stopCluster(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, p patience) error {
	if c.Spec.Stopped && examine.Halted(c) == v1alpha1.ReasonStopped {
		a.say("cluster %s is stopped already\n", c.Name)
		return nil
	}
	m := a.begin(c, v1alpha1.ReasonStopped)
	if err := k.edit(ctx, c, func(c *v1alpha1.AntDBCluster) { c.Spec.Stopped = true }); err != nil {
		return err
	}
	m.generation = c.Generation
	a.say("cluster %s is being stopped: coordinators, then datanodes, then gc\n", c.Name)
	if !p.wait {
		a.say("follow it:  kubectl antdb status %s -w\n", c.Name)
		return nil
	}
	if err := a.followNodes(ctx, k, &m, m.stopped, p.limit, false); err != nil {
		return err
	}
	a.say("cluster %s is stopped after %s; its volumes, Services and Secrets are kept\nstart it:  kubectl antdb start %s\n",
		c.Name, view.Span(a.Now().Sub(m.began)), c.Name)
	return nil
}

func (a *app) startCluster(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, p patience) error {
	if !c.Spec.Stopped && meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
		a.say("cluster %s is not stopped, and Ready\n", c.Name)
		return nil
	}
	m := a.begin(c, v1alpha1.ConditionReady)
	if err := k.edit(ctx, c, func(c *v1alpha1.AntDBCluster) { c.Spec.Stopped = false }); err != nil {
		return err
	}
	m.generation = c.Generation
	a.say("cluster %s is being started\n", c.Name)
	if !p.wait {
		a.say("follow it:  kubectl antdb status %s -w\n", c.Name)
		return nil
	}
	if err := a.followNodes(ctx, k, &m, m.done, p.limit, false); err != nil {
		return err
	}
	a.tellReady(c, a.Now().Sub(m.began))
	return nil
}

// begin notes where the nodes of a cluster are before they are changed, so that only changes are told.
func (a *app) begin(c *v1alpha1.AntDBCluster, goal string) making {
	return making{
		key: client.ObjectKeyFromObject(c), began: a.Now(), goal: goal,
		progress: view.Progress, nodes: view.Progress(nil, c, a.Now()), waits: stopPends,
	}
}

// stopPends tells for which operation a stop waits.
func stopPends(c *v1alpha1.AntDBCluster) string {
	if d := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionProgressing); d != nil && d.Reason == v1alpha1.ReasonStopPending {
		return d.Message
	}
	return ""
}

// edit changes the spec of a cluster.
func (k *Kube) edit(ctx context.Context, c *v1alpha1.AntDBCluster, how func(*v1alpha1.AntDBCluster)) error {
	before := c.DeepCopy()
	how(c)
	return k.Patch(ctx, c, client.MergeFrom(before))
}
