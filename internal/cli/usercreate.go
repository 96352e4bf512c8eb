// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/render"
	"github.com/antdb-operator/antdb-operator/internal/scram"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// newUser is a role as the flags of user create describe it.
type newUser struct {
	role         v1alpha1.ManagedRole
	inherit      bool
	limit        int32
	database     string
	given        bool
	rolePatience rolePatience
}

func (u *newUser) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&u.role.Login, "login", true, "let it log in")
	f.BoolVar(&u.role.Superuser, "superuser", false, "give it all rights")
	f.BoolVar(&u.role.CreateDB, "createdb", false, "let it make databases")
	f.BoolVar(&u.role.CreateRole, "createrole", false, "let it make and change roles")
	f.BoolVar(&u.inherit, "inherit", true, "give it the rights of the roles that it is a member of without SET ROLE")
	f.StringSliceVar(&u.role.InRoles, "in-role", nil, "make it a member of `ROLE`; may be repeated")
	f.Int32Var(&u.limit, "connection-limit", -1, "how many sessions it may have on each node; -1 for any number")
	f.StringVar(&u.role.Comment, "comment", "", "a comment on it")
	f.StringVar(&u.database, "database", "", "the database that its Secret names (default: the application's, or postgres)")
	f.BoolVar(&u.given, "password-stdin", false, "take its password from standard input in place of a new one")
	u.rolePatience.flags(cmd, "it is on all nodes")
}

func (a *app) createUser() *cobra.Command {
	var u newUser
	cmd := &cobra.Command{
		Use:   "create [CLUSTER] ROLE",
		Short: "Make a role with a Secret of its own",
		Long: `Make a role with a Secret of its own.

It makes the Secret CLUSTER-user-ROLE with a new password and adds the role to spec.managed.roles of the cluster; the
operator makes the role, and from then on keeps it as it is described there. A role that is in the database already is taken
over: it becomes what the flags say.`,
		Example: `  kubectl antdb user create demo anna --in-role readers
  kubectl antdb user create anna --password-stdin <password.txt
  kubectl antdb user create demo readers --login=false`,
		Args: clusterAndRole("create"),
	}
	u.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := u.rolePatience.check(); err != nil {
			return err
		}
		if u.given && !u.role.Login {
			return errors.New("--password-stdin is for a role that logs in: leave it out, or --login=false")
		}
		var cluster string
		cluster, u.role.Name = named(args)
		password, err := a.newPassword(u.given)
		if err != nil {
			return err
		}
		k, c, err := a.reach(cmd.Context(), cluster)
		if err != nil {
			return err
		}
		return a.makeUser(cmd.Context(), k, c, &u, password)
	}
	return cmd
}

// newPassword makes a password, or reads it.
func (a *app) newPassword(given bool) (string, error) {
	if !given {
		return rand.Text(), nil
	}
	text, err := io.ReadAll(a.In)
	if err != nil {
		return "", err
	}
	if password := scram.FirstLine(text); password != "" {
		return password, nil
	}
	return "", errors.New("--password-stdin: the first line of standard input is empty: put the password there")
}

// makeUser makes the Secret and then the entry, so that the operator finds both. What the API server would refuse is found
// before anything is made.
func (a *app) makeUser(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, u *newUser, password string) error {
	secret := naming.RoleSecret(c.Name, u.role.Name)
	u.role.Ensure, u.role.Inherit, u.role.ConnectionLimit = v1alpha1.EnsurePresent, &u.inherit, &u.limit
	if u.role.Login {
		u.role.PasswordSecret = &v1alpha1.SecretReference{Name: secret}
	}
	add := func(c *v1alpha1.AntDBCluster) error {
		if i := entry(c, u.role.Name); i >= 0 && c.Spec.Managed.Roles[i].Ensure != v1alpha1.EnsureAbsent {
			return fmt.Errorf("role %q is in spec.managed.roles of cluster %s already: kubectl antdb user rotate gives it a new password, kubectl edit antdbcluster %s changes it",
				u.role.Name, c.Name, c.Name)
		}
		putEntry(c, u.role)
		return nil
	}
	if err := k.alter(ctx, c.DeepCopy(), add, client.DryRunAll); err != nil {
		return err
	}
	version := ""
	if u.role.Login {
		made, err := k.makeSecret(ctx, c, u, password)
		if err != nil {
			return err
		}
		a.say("Secret %s made\n", secret)
		version = made.ResourceVersion
	}
	if err := k.alter(ctx, c, add); err != nil {
		if version != "" {
			gone := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: secret}}
			err = errors.Join(err, client.IgnoreNotFound(k.Delete(context.WithoutCancel(ctx), gone)))
		}
		return err
	}
	a.say("role %s added to spec.managed.roles of cluster %s\n", u.role.Name, c.Name)
	if !u.rolePatience.wait {
		a.say("see how far it is:  kubectl antdb user list %s\n", c.Name)
		return nil
	}
	if err := a.awaitRole(ctx, k, c, u.role.Name, version, u.rolePatience.limit, true); err != nil {
		return err
	}
	a.say("it is on all nodes\n")
	if version != "" {
		a.say("its password:  kubectl get secret %s -o 'jsonpath={.data.password}' | base64 -d\n", secret)
	}
	return nil
}

// makeSecret makes the Secret of a role. One that is there already is somebody's password.
func (k *Kube) makeSecret(ctx context.Context, c *v1alpha1.AntDBCluster, u *newUser, password string) (*corev1.Secret, error) {
	name, database := naming.RoleSecret(c.Name, u.role.Name), u.database
	if strings.HasSuffix(name, "-") {
		return nil, fmt.Errorf("no Secret can be called %s: make one with another name, and name it in spec.managed.roles", name)
	}
	if database == "" {
		database = applicationDatabase(c)
	}
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Namespace, Name: name, Labels: naming.ClusterLabels(c.Name), OwnerReferences: belongingTo(c),
		},
		Type: corev1.SecretTypeBasicAuth, Data: map[string][]byte{},
	}
	for key, value := range render.Login(c.Name, c.Namespace, u.role.Name, password, database) {
		s.Data[key] = []byte(value)
	}
	err := k.Create(ctx, s)
	if apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("there is a Secret %s already: delete it (kubectl delete secret %s), or name it in spec.managed.roles", name, name)
	}
	return s, err
}

// applicationDatabase is the database that spec.bootstrap made; without it the one that every server has.
func applicationDatabase(c *v1alpha1.AntDBCluster) string {
	if want := spec.Resolve(c); want.Bootstrap != nil {
		return want.Bootstrap.Database
	}
	return "postgres"
}
