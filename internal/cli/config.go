// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

func (a *app) config() *cobra.Command {
	var named, pattern string
	var all bool
	cmd := &cobra.Command{
		Use:   "config [NODE…]",
		Short: "Show the settings that servers run with, and where each comes from",
		Long: `Show the settings that servers run with, and where each comes from: a field of the spec, the operator, initdb, ALTER SYSTEM.

Settings with the engine's default are left out unless --all is given. Of several nodes equal settings share a line. *
marks those of which another value waits for a restart.`,
		Example: `  kubectl antdb config
  kubectl antdb config cn1 dn1 --match max_
  kubectl antdb config dn2 --all -o yaml`,
		Args: cobra.ArbitraryArgs,
	}
	cmd.Flags().StringVar(&named, "cluster", "", "the cluster, where the namespace has several")
	cmd.Flags().StringVar(&pattern, "match", "", "only settings with this in their name")
	cmd.Flags().BoolVar(&all, "all", false, "those with the engine's default too")
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, c, err := a.reachServers(cmd.Context(), named)
		if err != nil {
			return err
		}
		of, failed := askNodes[[]instanceapi.Setting](cmd.Context(), k, c, args, instanceapi.CommandSettings)
		if len(of) == 0 {
			return failed
		}
		found := slices.DeleteFunc(examine.Settings(c, of, all), func(e examine.Effective) bool { return !strings.Contains(e.Name, pattern) })
		if format.machine() {
			return errors.Join(format.print(a.Out, found), failed)
		}
		_, err = fmt.Fprint(a.Out, view.Settings(a.style(), c.Name, found, len(of)))
		return errors.Join(err, failed)
	}
	return cmd
}

// askNodes asks the named nodes, or all, for the same thing. A gc that waits for its nodes is left out unless it is
// named, and then refused: the session would hang.
func askNodes[T any](ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, names []string, command string) (map[string]T, error) {
	for _, name := range names {
		if _, err := k.pod(c, name); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	out, failed := map[string]T{}, []error{}
	k.each(ctx, c, func(ctx context.Context, n *v1alpha1.NodeStatus) {
		wanted := len(names) == 0 || slices.Contains(names, n.Name)
		var answer T
		var err error
		switch {
		case !wanted || n.Primary == "":
			return
		case waits(n):
			err = fmt.Errorf("%s waits for registered nodes and is not asked: kubectl antdb doctor %s", n.Name, c.Name)
		default:
			err = k.manager(ctx, c, n.Name, &answer, command)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = append(failed, fmt.Errorf("ask %s: %w", n.Name, err))
			return
		}
		out[n.Name] = answer
	})
	return out, errors.Join(failed...)
}

// configuration maps the files that may be looked at to where they are in a pod.
func configuration() map[string]string {
	const data, written = naming.PathVolume + "/pgdata/", naming.PathVolume + "/conf/"
	return map[string]string{
		"postgresql.conf":      data + "postgresql.conf",
		"postgresql.auto.conf": data + "postgresql.auto.conf",
		"antdb.conf":           written + "antdb.conf",
		"pg_hba.conf":          written + "pg_hba.conf",
	}
}

func (a *app) cat() *cobra.Command {
	var named string
	files := slices.Sorted(maps.Keys(configuration()))
	cmd := &cobra.Command{
		Use:   "cat NODE FILE",
		Short: "Print a configuration file of a node",
		Long: `Print a configuration file of a node: ` + strings.Join(files, ", ") + `.

antdb.conf holds the settings of the spec and of the operator, pg_hba.conf who is let in; both are written by the instance
manager. postgresql.conf was made by initdb and includes antdb.conf.`,
		Example: `  kubectl antdb cat dn1 antdb.conf
  kubectl antdb cat cn1 pg_hba.conf --cluster demo`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("say which node and which file: kubectl antdb cat dn1 antdb.conf; files are %s", strings.Join(files, ", "))
			}
			if configuration()[args[1]] == "" {
				return fmt.Errorf("%q is no configuration file: allowed are %s", path.Base(args[1]), strings.Join(files, ", "))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return files, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&named, "cluster", "", "the cluster, where the namespace has several")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, c, err := a.reachServers(cmd.Context(), named)
		if err != nil {
			return err
		}
		pod, err := k.pod(c, args[0])
		if err != nil {
			return err
		}
		return k.Exec(cmd.Context(), pod, Exec{Command: []string{"cat", configuration()[args[1]]}, Out: a.Out, Err: a.Err})
	}
	return cmd
}
