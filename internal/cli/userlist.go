// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

func (a *app) listUsers() *cobra.Command {
	var chosen choice
	cmd := &cobra.Command{
		Use:     "list [CLUSTER…]",
		Aliases: []string{"ls"},
		Short:   "List the roles of the database, and who keeps each of them",
		Long: `List the roles of the database, and who keeps each of them.

The superuser is kept by the operator, the owner of the application's database by spec.bootstrap, and others as they are
described in spec.managed.roles. The rest was made by somebody in the database and is left alone.`,
		Example: `  kubectl antdb user list
  kubectl antdb user list demo -o json
  kubectl antdb user list -A -l team=a`,
	}
	chosen.flags(cmd)
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, err := a.connect()
		if err != nil {
			return err
		}
		clusters, err := chosen.clusters(cmd.Context(), k, args)
		if err != nil {
			return err
		}
		all := []view.User{}
		var failed []error
		for i := range clusters {
			users, err := k.users(cmd.Context(), &clusters[i])
			if err != nil {
				failed = append(failed, err)
			}
			all = append(all, users...)
		}
		if format.machine() {
			return errors.Join(append(failed, format.print(a.Out, all))...)
		}
		if len(all) > 0 {
			a.say("%s", view.Users(a.style(), all))
		}
		return errors.Join(failed...)
	}
	return cmd
}

// users lists the roles that the database of a cluster has, and those that it shall have.
func (k *Kube) users(ctx context.Context, c *v1alpha1.AntDBCluster) ([]view.User, error) {
	node := serving(c)
	if node == "" {
		return nil, noneServes(c)
	}
	var held []instanceapi.HeldRole
	if err := k.manager(ctx, c, node, &held, instanceapi.CommandRoles); err != nil {
		return nil, fmt.Errorf("ask %s of %s for its roles: %w", node, c.Name, err)
	}
	var out []view.User
	for _, r := range held {
		out = append(out, keptBy(c, view.User{HeldRole: r, Namespace: c.Namespace, Cluster: c.Name, Exists: true}))
	}
	for _, r := range managed(c) {
		if !slices.ContainsFunc(held, func(h instanceapi.HeldRole) bool { return h.Name == r.Name }) {
			u := view.User{Namespace: c.Namespace, Cluster: c.Name}
			u.Name = r.Name
			out = append(out, keptBy(c, u))
		}
	}
	slices.SortStableFunc(out, func(a, b view.User) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// keptBy tells who keeps a role, and how far that is.
func keptBy(c *v1alpha1.AntDBCluster, u view.User) view.User {
	secret, keeper, err := secretOf(c, u.Name)
	if err == nil {
		u.Secret, u.KeptBy = secret, keeper
	} else if entry(c, u.Name) >= 0 {
		u.KeptBy = keeperManaged
	}
	if u.KeptBy == keeperManaged {
		u.State, u.Message = string(v1alpha1.RolePending), "the operator has not looked at it yet"
	}
	for _, s := range c.Status.ManagedRoles {
		if s.Name == u.Name {
			u.State, u.Message = string(s.State), s.Message
		}
	}
	if u.KeptBy == keeperSuperuser || u.KeptBy == keeperBootstrap {
		u.State = string(v1alpha1.RoleReconciled)
		for _, n := range c.Status.Nodes {
			for _, i := range n.Instances {
				if slices.Contains(i.StaleCredentials, u.Name) {
					u.State, u.Message = string(v1alpha1.RolePending), "the changed password is being applied"
				}
			}
		}
	}
	return u
}

// noneServes is the error of what needs a coordinator.
func noneServes(c *v1alpha1.AntDBCluster) error {
	return fmt.Errorf("no coordinator of %s serves: kubectl antdb status %s tells why", c.Name, c.Name)
}
