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
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

func (a *app) user() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Make, list and drop roles of the database, and change their passwords",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.createUser(), a.listUsers(), a.rotateUser(), a.dropUser())
	return cmd
}

// rolePatience is how long a command about roles waits, and whether.
type rolePatience struct {
	wait  bool
	limit time.Duration
}

func (p *rolePatience) flags(cmd *cobra.Command, what string) {
	const usual = 2 * time.Minute
	cmd.Flags().BoolVar(&p.wait, "wait", true, "wait until "+what)
	cmd.Flags().DurationVar(&p.limit, "timeout", usual, "how long to wait")
}

func (p *rolePatience) check() error {
	if p.limit <= 0 {
		return fmt.Errorf("--timeout %s: allowed is more than 0", p.limit)
	}
	return nil
}

// clusterAndRole takes the name of a role, and before it that of a cluster unless there is only one.
func clusterAndRole(verb string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("say which role: kubectl antdb user %s demo anna", verb)
		}
		return atMost(2)(cmd, args)
	}
}

// named parts the name of a cluster, which may be left out, from that of a role.
func named(args []string) (cluster, role string) {
	if len(args) == 1 {
		return "", args[0]
	}
	return args[0], args[1]
}

// managed are the roles of spec.managed.roles.
func managed(c *v1alpha1.AntDBCluster) []v1alpha1.ManagedRole {
	if c.Spec.Managed == nil {
		return nil
	}
	return c.Spec.Managed.Roles
}

// entry is the place of a role in spec.managed.roles; -1 if it is not there.
func entry(c *v1alpha1.AntDBCluster, role string) int {
	return slices.IndexFunc(managed(c), func(r v1alpha1.ManagedRole) bool { return r.Name == role })
}

// putEntry adds a role to spec.managed.roles, or replaces it there.
func putEntry(c *v1alpha1.AntDBCluster, r v1alpha1.ManagedRole) {
	if c.Spec.Managed == nil {
		c.Spec.Managed = &v1alpha1.ManagedSpec{}
	}
	if i := entry(c, r.Name); i >= 0 {
		c.Spec.Managed.Roles[i] = r
		return
	}
	c.Spec.Managed.Roles = append(c.Spec.Managed.Roles, r)
}

// secretOf names the Secret with a role's password, and what of the spec it belongs to.
func secretOf(c *v1alpha1.AntDBCluster, role string) (secret, keeper string, err error) {
	want := spec.Resolve(c)
	switch i := entry(c, role); {
	case role == antdb.Superuser:
		return want.SuperuserSecret, keeperSuperuser, nil
	case want.Bootstrap != nil && role == want.Bootstrap.Owner:
		return want.ApplicationSecret, keeperBootstrap, nil
	case i < 0:
		return "", "", fmt.Errorf("cluster %s keeps no role %q: kubectl antdb user list %s shows all, kubectl antdb user create %s %s makes it one that is kept", c.Name, role, c.Name, c.Name, role)
	case c.Spec.Managed.Roles[i].PasswordSecret == nil:
		return "", "", fmt.Errorf("role %q of cluster %s has no passwordSecret in spec.managed.roles: kubectl edit antdbcluster %s", role, c.Name, c.Name)
	default:
		return c.Spec.Managed.Roles[i].PasswordSecret.Name, keeperManaged, nil
	}
}

// Who keeps a role.
const (
	keeperSuperuser = "operator"
	keeperBootstrap = "spec.bootstrap"
	keeperManaged   = "spec.managed"
)

// ours tells whether a Secret was made by kubectl antdb for a role of this cluster.
func ours(c *v1alpha1.AntDBCluster, s *corev1.Secret, role string) bool {
	return s.Name == naming.RoleSecret(c.Name, role) &&
		slices.ContainsFunc(s.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == c.UID })
}

// roleFailed is a role that cannot be made as it is described.
type roleFailed struct{ role, cluster, message string }

func (r roleFailed) Error() string {
	return fmt.Sprintf("role %s of cluster %s: %s\nThe operator tries it again every half minute.", r.role, r.cluster, r.message)
}

// awaitRole follows a cluster until a role is as it is described. With a version the password must be that of the Secret
// in this version. hasty tells that the spec was just changed, so that a failure of the role is one of what is asked for now.
func (a *app) awaitRole(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, role, version string, limit time.Duration, hasty bool) error {
	key, generation := client.ObjectKeyFromObject(c), c.Generation
	last := "the operator has not looked at it yet: is it installed? kubectl antdb version tells"
	return a.follow(ctx, k, live{
		sources: []client.ObjectList{&v1alpha1.AntDBClusterList{}},
		options: []client.ListOption{client.InNamespace(c.Namespace)},
		limit:   limit,
		goesOn:  "the operator goes on with it. See how far it is:  kubectl antdb user list " + c.Name,
		late: func(*scene) error {
			return fmt.Errorf("role %s of cluster %s is not as it is described after %s: %s\nThe operator goes on with it. See how far it is:  kubectl antdb user list %s",
				role, c.Name, view.Span(limit), last, c.Name)
		},
		done: func(now *scene) (bool, error) {
			c := now.clusters[key]
			switch {
			case c == nil:
				return false, errors.New("the cluster was deleted")
			case c.Status.ObservedGeneration < generation:
				return false, nil
			}
			if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Reason == v1alpha1.ReasonInvalidSpec {
				return false, fmt.Errorf("cluster %s: %s", c.Name, ready.Message)
			}
			for _, s := range c.Status.ManagedRoles {
				if s.Name != role {
					continue
				}
				if s.State == v1alpha1.RoleFailed && hasty {
					return false, roleFailed{role, c.Name, s.Message}
				}
				last = strings.TrimSuffix(string(s.State)+": "+s.Message, ": ")
				return s.State == v1alpha1.RoleReconciled && (version == "" || s.SecretVersion == version), nil
			}
			last = "it is not in the cluster's status: is the operator older than this program? kubectl antdb version tells"
			return false, nil
		},
	})
}
