// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) test() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test [CLUSTER]",
		Short: "Try every instance, Service and way to a datanode, and compare catalogs",
		Long: `Try every instance, Service and way to a datanode, and compare catalogs.

In each pod a statement is run on its server; through gc and each coordinator a statement is run on each datanode; one
instance connects to each Service. The node catalogs must be the wanted one, and users' objects the same everywhere.
The exit code is 0 only if everything is UP.`,
		Example: `  kubectl antdb test
  kubectl antdb test demo -o json`,
		Args: atMost(1),
	}
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, f, err := a.examine(cmd.Context(), argument(args, 0), inquiry{services: true})
		if err != nil {
			return err
		}
		r := examine.Test(f)
		if format.machine() {
			err = format.print(a.Out, r)
		} else {
			_, err = fmt.Fprint(a.Out, view.Test(a.style(), c.Name, &r))
		}
		if failed := r.Failed(); err == nil && failed > 0 {
			return fmt.Errorf("%s of cluster %s failed; what is wrong and what to do:  kubectl antdb doctor %s", view.Noun(failed, "check"), c.Name, c.Name)
		}
		return err
	}
	return cmd
}

func (a *app) doctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [CLUSTER]",
		Short: "Tell what is wrong with a cluster, why, and what to run",
		Long: `Tell what is wrong with a cluster, why, and what to run.

It looks at the status, pods, claims, events and hosts, and asks each instance. Causes are told, and not what follows
from them. It changes nothing. The exit code is 1 if there is a problem; warnings and notes leave it 0.`,
		Example: `  kubectl antdb doctor
  kubectl antdb doctor demo -o yaml`,
		Args: atMost(1),
	}
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, f, err := a.examine(cmd.Context(), argument(args, 0), inquiry{objects: true})
		if err != nil {
			return err
		}
		found := examine.Diagnose(f)
		if named := *a.flags.Namespace; named != "" {
			examine.InNamespace(found, named)
		}
		if format.machine() {
			err = format.print(a.Out, found)
		} else {
			_, err = fmt.Fprint(a.Out, view.Findings(a.style(), c.Name, found, f.Unknown))
		}
		if err != nil {
			return err
		}
		for _, finding := range found {
			if finding.Weight == examine.Problem {
				return errQuiet
			}
		}
		return nil
	}
	return cmd
}

// errQuiet ends the program with 1; what is to be said was said.
var errQuiet = errors.New("there are problems")

func (a *app) topology() *cobra.Command {
	var diff bool
	cmd := &cobra.Command{
		Use:   "topology [CLUSTER]",
		Short: "Show the node catalogs of gc and each coordinator side by side",
		Long: `Show the node catalogs (pgxc_node) of gc and each coordinator side by side, compared with the rows that the operator
wants. What differs is marked and told in words.

With --diff the exit code is 1 if a catalog differs or could not be read.`,
		Example: `  kubectl antdb topology
  kubectl antdb topology demo --diff`,
		Args: atMost(1),
	}
	cmd.AddCommand(a.topologySync())
	format := formFlag(cmd, formJSON, formYAML)
	cmd.Flags().BoolVar(&diff, "diff", false, "end with 1 if a catalog differs or could not be read")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, f, err := a.examine(cmd.Context(), argument(args, 0), inquiry{holders: true})
		if err != nil {
			return err
		}
		all := examine.Compare(f)
		if format.machine() {
			err = format.print(a.Out, all)
		} else {
			_, err = fmt.Fprint(a.Out, view.Catalogs(a.style(), c.Name, &all))
		}
		if err == nil && diff && len(all.Differences())+len(all.Silent) > 0 {
			return errQuiet
		}
		return err
	}
	return cmd
}
