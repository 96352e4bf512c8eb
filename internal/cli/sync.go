// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) topologySync() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync [CLUSTER] [NODE…]",
		Short: "Let gc and coordinators compare their node catalogs now, and repair them",
		Long: `Let gc and the coordinators, or some of them, compare their node catalogs (pgxc_node) with the rows that the operator wants, now
and whatever is known of them, and repair what differs.

This happens by itself when rows are wanted otherwise, when a server starts, and once a minute; it is for whoever has just
changed a catalog by hand and does not want to wait, or to believe.`,
		Example: `  kubectl antdb topology sync
  kubectl antdb topology sync demo cn2`,
	}
	const usual = 2 * time.Minute
	return a.forNodes(cmd, usual, a.sync)
}

func (a *app) sync(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, nodes []string, p patience) error {
	if err := holders(nodes); err != nil {
		return err
	}
	r, err := a.ask(ctx, k, c, v1alpha1.AnnotationTopologySync, nodes)
	if err != nil {
		return err
	}
	a.say("cluster %s: node catalogs will be compared\n", c.Name)
	if !p.wait {
		a.say("follow it:  kubectl antdb status %s -w\n", c.Name)
		return nil
	}
	m := a.begin(c, "compared")
	m.progress = func(before []view.NodeProgress, c *v1alpha1.AntDBCluster, now time.Time) []view.NodeProgress {
		return view.Comparisons(before, c, r.id, r.asks, now)
	}
	m.nodes, m.waits = m.progress(nil, c, a.Now()), away(r)
	return a.followNodes(ctx, k, &m, m.answered(r), p.limit, false)
}

// holders refuses nodes that hold no node catalog.
func holders(nodes []string) error {
	for _, name := range nodes {
		if role, _, err := antdb.ParseNodeName(name); err == nil && !role.HoldsCatalog() {
			return fmt.Errorf("%s is a datanode: only gc and coordinators hold the node catalog", name)
		}
	}
	return nil
}
