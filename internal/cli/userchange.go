// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

func (a *app) rotateUser() *cobra.Command {
	var show, given bool
	var p rolePatience
	cmd := &cobra.Command{
		Use:   "rotate [CLUSTER] ROLE",
		Short: "Give a role a new password",
		Long: `Give a role a new password, in its Secret and on all nodes.

The role is postgres, the owner of the application's database, or one of spec.managed.roles with a passwordSecret. Sessions
that are open stay; whoever connects from now on needs the new password.`,
		Example: `  kubectl antdb user rotate demo anna
  kubectl antdb user rotate app
  kubectl antdb user rotate demo postgres --password-stdin <password.txt`,
		Args: clusterAndRole("rotate"),
	}
	cmd.Flags().BoolVar(&show, "show", false, "print the new password")
	cmd.Flags().BoolVar(&given, "password-stdin", false, "take the password from standard input in place of a new one")
	p.flags(cmd, "the password is in force on all nodes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := p.check(); err != nil {
			return err
		}
		cluster, role := named(args)
		password, err := a.newPassword(given)
		if err != nil {
			return err
		}
		k, c, err := a.reach(cmd.Context(), cluster)
		if err != nil {
			return err
		}
		if err := a.rotate(cmd.Context(), k, c, role, password, p); err != nil {
			return err
		}
		if show {
			a.say("%s\n", password)
		}
		return nil
	}
	return cmd
}

// rotate changes the Secret and waits until the database has followed.
func (a *app) rotate(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, role, password string, p rolePatience) error {
	name, keeper, err := secretOf(c, role)
	if err != nil {
		return err
	}
	s := &corev1.Secret{}
	err = k.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: name}, s)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("the Secret %s of role %s does not exist: make it with type %s and the keys username and password", name, role, corev1.SecretTypeBasicAuth)
	}
	if err != nil {
		return err
	}
	before := s.DeepCopy()
	replacePassword(s, password)
	if keeper == keeperManaged { // then the operator sees the change at once
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[naming.LabelCluster] = c.Name
	}
	if err := k.Patch(ctx, s, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return err
	}
	a.say("the Secret %s has a new password for %s\n", name, role)
	switch {
	case !p.wait:
		a.say("see how far it is:  kubectl antdb user list %s\n", c.Name)
		return nil
	case keeper == keeperManaged:
		err = a.awaitRole(ctx, k, c, role, s.ResourceVersion, p.limit, false)
	default:
		err = a.awaitPassword(ctx, k, c, role, password, p.limit)
	}
	if err == nil {
		a.say("it is in force on all nodes\n")
	}
	return err
}

// replacePassword puts a password into a Secret, and into the address that it holds for convenience.
func replacePassword(s *corev1.Secret, password string) {
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	s.Data[corev1.BasicAuthPasswordKey] = []byte(password)
	if address, err := url.Parse(string(s.Data["uri"])); err == nil && address.User != nil {
		address.User = url.UserPassword(address.User.Username(), password)
		s.Data["uri"] = []byte(address.String())
	}
}

// lookAgain is the pause between two questions whether a password is in force.
const lookAgain = time.Second

// awaitPassword asks every node whether a password is in force. The kubelet brings the Secrets of the superuser and of the
// application into the pods, and nothing in Kubernetes tells when the database has followed.
func (a *app) awaitPassword(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, role, password string, limit time.Duration) error {
	late, end := timer(limit)
	defer end()
	for {
		waiting, err := k.withOther(ctx, c, role, password)
		if len(waiting) == 0 && err == nil {
			return nil
		}
		pause, endPause := timer(lookAgain)
		select {
		case <-pause:
		case <-ctx.Done():
			return interrupted{"the operator goes on with it. See how far it is:  kubectl antdb user list " + c.Name}
		case <-late:
			endPause()
			why := strings.Join(waiting, ", ") + " have another one"
			if err != nil {
				why = err.Error()
			}
			return fmt.Errorf("the password of %s is not in force on all nodes after %s: %s\nThe operator goes on with it: a Secret that the spec names takes a minute and more", role, view.Span(limit), why)
		}
		endPause()
	}
}

// withOther are the nodes on which a role has another password.
func (k *Kube) withOther(ctx context.Context, c *v1alpha1.AntDBCluster, role, password string) ([]string, error) {
	var mu sync.Mutex
	var out []string
	var failed []error
	k.each(ctx, c, func(ctx context.Context, n *v1alpha1.NodeStatus) {
		var answer instanceapi.PasswordMatch
		err := fmt.Errorf("%s waits for registered nodes: kubectl antdb doctor %s", n.Name, c.Name)
		if !waits(n) { // a session would hang
			err = k.ask(ctx, c, n.Name, strings.NewReader(password), &answer, instanceapi.CommandPassword, role)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = append(failed, fmt.Errorf("ask %s: %w", n.Name, err))
		} else if !answer.Matches {
			out = append(out, n.Name)
		}
	})
	slices.Sort(out)
	return out, errors.Join(failed...)
}

func (a *app) dropUser() *cobra.Command {
	var yes bool
	var p rolePatience
	cmd := &cobra.Command{
		Use:   "drop [CLUSTER] ROLE",
		Short: "Remove a role from the database",
		Long: `Remove a role from the database, and its Secret if kubectl antdb made it.

A role that owns something, or has rights on something, is not removed; the server's words tell on what.`,
		Example: `  kubectl antdb user drop demo anna
  kubectl antdb user drop anna --yes`,
		Args: clusterAndRole("drop"),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	p.flags(cmd, "it is gone, and take it out of spec.managed.roles then")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := p.check(); err != nil {
			return err
		}
		cluster, role := named(args)
		k, c, err := a.reach(cmd.Context(), cluster)
		if err != nil {
			return err
		}
		return a.drop(cmd.Context(), k, c, role, yes, p)
	}
	return cmd
}

// drop has a role removed by spec.managed.roles, and takes it out of there when it is gone.
func (a *app) drop(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, role string, yes bool, p rolePatience) error {
	if _, keeper, err := secretOf(c, role); err == nil && keeper != keeperManaged {
		return fmt.Errorf("role %s of cluster %s is kept by %s and cannot be dropped", role, c.Name, keeper)
	}
	absent := func(c *v1alpha1.AntDBCluster) error {
		putEntry(c, v1alpha1.ManagedRole{Name: role, Ensure: v1alpha1.EnsureAbsent})
		return nil
	}
	if err := k.alter(ctx, c.DeepCopy(), absent, client.DryRunAll); err != nil {
		return err
	}
	if err := a.confirm(yes, fmt.Sprintf("Remove role %s from the database of cluster %s?", role, c.Name)); err != nil {
		return err
	}
	seen := c.Generation
	if err := k.alter(ctx, c, absent); err != nil {
		return err
	}
	a.say("role %s shall be absent, says spec.managed.roles of cluster %s\n", role, c.Name)
	if !p.wait {
		a.say("see how far it is:  kubectl antdb user list %s\n", c.Name)
		return nil
	}
	if err := a.awaitRole(ctx, k, c, role, "", p.limit, c.Generation > seen); err != nil {
		if _, failed := errors.AsType[roleFailed](err); failed {
			return fmt.Errorf("%w\nGive what it owns to somebody else and take its rights away, in each database:\n  kubectl antdb psql %s -- -d DATABASE -c 'reassign owned by %s to %s' -c 'drop owned by %s'",
				err, c.Name, role, antdb.Superuser, role)
		}
		return err
	}
	if err := k.alter(ctx, c, func(c *v1alpha1.AntDBCluster) error {
		if i := entry(c, role); i >= 0 && c.Spec.Managed.Roles[i].Ensure == v1alpha1.EnsureAbsent {
			c.Spec.Managed.Roles = slices.Delete(c.Spec.Managed.Roles, i, i+1)
		}
		return nil
	}); err != nil {
		return err
	}
	a.say("it is gone from all nodes\n")
	return a.dropSecret(ctx, k, c, role)
}

// dropSecret deletes the Secret that was made together with a role.
func (a *app) dropSecret(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, role string) error {
	s := &corev1.Secret{}
	err := k.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: naming.RoleSecret(c.Name, role)}, s)
	if err != nil || !ours(c, s, role) {
		return client.IgnoreNotFound(err)
	}
	if err := client.IgnoreNotFound(k.Delete(ctx, s)); err != nil {
		return err
	}
	a.say("Secret %s deleted\n", s.Name)
	return nil
}
