// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

func (a *app) skew() *cobra.Command {
	var database, table string
	var limit int
	cmd := &cobra.Command{
		Use:   "skew [CLUSTER]",
		Short: "Show how rows and bytes are spread over the datanodes",
		Long: `Show how rows and bytes are spread over the datanodes.

Each datanode is asked for its tables. Rows are estimates from its statistics, bytes are sizes on disk with indexes.`,
		Example: `  kubectl antdb skew
  kubectl antdb skew demo --database app --table public.orders
  kubectl antdb skew -o json`,
		Args: atMost(1),
	}
	cmd.Flags().StringVar(&database, "database", "", "only tables of this database")
	cmd.Flags().StringVar(&table, "table", "", "only this table: NAME or SCHEMA.NAME")
	const most = 10
	cmd.Flags().IntVar(&limit, "limit", most, "how many tables to show, the biggest first")
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if limit < 0 {
			return fmt.Errorf("--limit %d: allowed is 0 or more", limit)
		}
		k, c, err := a.reachServers(cmd.Context(), argument(args, 0))
		if err != nil {
			return err
		}
		var datanodes []string
		for _, n := range c.Status.Nodes {
			if n.Role == string(antdb.RoleDatanode) {
				datanodes = append(datanodes, n.Name)
			}
		}
		all, err := k.holdings(cmd.Context(), c, datanodes)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(h view.Holding) bool { return !matches(h, database, table) })
		if format.machine() {
			return format.print(a.Out, all)
		}
		if len(all) == 0 && (database != "" || table != "") {
			return fmt.Errorf("no datanode of %s holds a table that is asked for: kubectl antdb skew %s shows all", c.Name, c.Name)
		}
		_, err = fmt.Fprint(a.Out, view.Skew(a.style(), c.Name, datanodes, all, limit))
		return err
	}
	return cmd
}

func matches(h view.Holding, database, table string) bool {
	return (database == "" || h.Database == database) &&
		(table == "" || h.Table == table || strings.HasSuffix(h.Table, "."+table) && !strings.Contains(table, "."))
}

// holdings asks every datanode at once for its tables.
func (k *Kube) holdings(ctx context.Context, c *v1alpha1.AntDBCluster, datanodes []string) ([]view.Holding, error) {
	found := make([][]view.Holding, len(datanodes))
	group, ctx := errgroup.WithContext(ctx)
	for i, node := range datanodes {
		group.Go(func() error {
			if err := k.manager(ctx, c, node, &found[i], instanceapi.CommandTables); err != nil {
				return fmt.Errorf("ask %s for its tables: %w", node, err)
			}
			for j := range found[i] {
				found[i][j].Node = node
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}
