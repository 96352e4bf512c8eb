// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

func (a *app) top() *cobra.Command {
	var watching bool
	var interval time.Duration
	var limit int
	cmd := &cobra.Command{
		Use:   "top [CLUSTER]",
		Short: "Show sessions, transactions, long queries and locks of all nodes",
		Long: `Show sessions, transactions, long queries and locks of all nodes.

Each node is asked twice, --interval apart, to tell how many transactions it ends in a second. A transaction of an
application counts on its coordinator and on each datanode that it touches.`,
		Example: `  kubectl antdb top
  kubectl antdb top demo -w --interval 5s`,
		Args: atMost(1),
	}
	const usualLimit, usualInterval = 10, 2 * time.Second
	cmd.Flags().BoolVarP(&watching, "watch", "w", false, "go on until you stop it")
	cmd.Flags().DurationVar(&interval, "interval", usualInterval, "time between two looks")
	cmd.Flags().IntVar(&limit, "limit", usualLimit, "how many sessions to show, those with the oldest transaction first")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		const least = 100 * time.Millisecond
		switch {
		case interval < least:
			return fmt.Errorf("--interval %s: allowed is %s or more", interval, least)
		case limit < 0:
			return fmt.Errorf("--limit %d: allowed is 0 or more", limit)
		}
		k, c, err := a.reachServers(cmd.Context(), argument(args, 0))
		if err != nil {
			return err
		}
		before, err := activities(cmd.Context(), k, c)
		if len(before) == 0 && err != nil {
			return err
		}
		pane := &screen{out: a.Out}
		for {
			after, err := a.later(cmd.Context(), k, c, interval)
			if cmd.Context().Err() != nil {
				return nil //nolint:nilerr // a person stopped it
			}
			text := view.Top(a.style(), c.Name, samples(before, after), silent(err), limit)
			if _, height := a.size(); a.Terminal && watching {
				pane.draw(text, height)
			} else {
				a.say("%s", text)
			}
			if !watching {
				return nil
			}
			before = after
		}
	}
	return cmd
}

// activities asks every node what it does.
func activities(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster) (map[string]instanceapi.Activity, error) {
	return askNodes[instanceapi.Activity](ctx, k, c, nil, instanceapi.CommandActivity)
}

// later asks again after a while.
func (a *app) later(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, interval time.Duration) (map[string]instanceapi.Activity, error) {
	over, stop := timer(interval)
	defer stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-over:
		return activities(ctx, k, c)
	}
}

// samples joins two looks. A node that was not asked before has no rate yet.
func samples(before, after map[string]instanceapi.Activity) []view.Sample {
	var out []view.Sample
	for node, now := range after {
		earlier, ok := before[node]
		if !ok {
			earlier = now
		}
		out = append(out, view.Sample{Node: node, Before: earlier, After: now})
	}
	return out
}

// silent are the nodes that did not answer, in words.
func silent(err error) []string {
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}
