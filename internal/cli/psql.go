// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

func (a *app) psql() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "psql [CLUSTER] [NODE] [-- ARGUMENTS]",
		Short: "Open psql on a node, as superuser",
		Long: `Open psql on a node, as superuser: on the first coordinator that serves, or on the named node.

psql runs in the node's pod and connects through its socket. What follows -- is given to it.`,
		Example: `  kubectl antdb psql
  kubectl antdb psql demo dn2
  kubectl antdb psql demo -- app -c 'select count(*) from orders'
  kubectl antdb psql -- app <script.sql`,
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		own, _ := split(cmd, args)
		return atMost(2)(cmd, own)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		own, rest := split(cmd, args)
		named, node := clusterAndNode(own)
		k, c, err := a.reachServers(cmd.Context(), named)
		if err != nil {
			return err
		}
		if node == "" {
			if node = serving(c); node == "" {
				return fmt.Errorf("no coordinator of %s serves: kubectl antdb status %s tells why; name a node to try it all the same", c.Name, c.Name)
			}
		}
		pod, err := k.pod(c, node)
		if err != nil {
			return err
		}
		run := Exec{
			Command: append([]string{"psql", "-h", naming.PathSockets, "-p", strconv.Itoa(naming.PortSQL), "-U", antdb.Superuser}, rest...),
			In:      a.In, Out: a.Out, Err: a.Err,
		}
		if !a.Interactive || !a.Terminal {
			return k.Exec(cmd.Context(), pod, run)
		}
		sizes, restore, err := a.Raw(cmd.Context())
		if err != nil {
			return err
		}
		defer restore()
		run.Terminal, run.Sizes = true, sizes
		return k.Exec(cmd.Context(), pod, run)
	}
	return cmd
}

// split parts a command's own arguments from those after --.
func split(cmd *cobra.Command, args []string) (own, rest []string) {
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		return args[:at], args[at:]
	}
	return args, nil
}

// clusterAndNode reads up to two names. One alone that can only be a node is one: no cluster has such a name.
func clusterAndNode(args []string) (cluster, node string) {
	if len(args) == 1 {
		if _, _, err := antdb.ParseNodeName(args[0]); err == nil {
			return "", args[0]
		}
	}
	return argument(args, 0), argument(args, 1)
}

// serving is the first coordinator that serves.
func serving(c *v1alpha1.AntDBCluster) string {
	for _, n := range c.Status.Nodes {
		for _, i := range n.Instances {
			if n.Role == string(antdb.RoleCoordinator) && i.Name == n.Primary && i.Serving {
				return n.Name
			}
		}
	}
	return ""
}
