// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/manifest"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// wish is a cluster as the flags of create describe it.
type wish struct {
	image, class                                    string
	coordinators, datanodes                         int32
	gtmSize, coordinatorSize, datanodeSize, walSize string
	parameters, hba, pullSecrets                    []string
	database, owner                                 string
	superuser                                       bool
}

func (w *wish) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.image, "image", "", "the engine's image, such as registry.example/antdb:5.0 (needed)")
	const coordinators, datanodes = 2, 3
	f.Int32Var(&w.coordinators, "coordinators", coordinators, "how many coordinators")
	f.Int32Var(&w.datanodes, "datanodes", datanodes, "how many datanodes")
	f.StringVar(&w.gtmSize, "gtm-storage", "2Gi", "size of the volume of gc")
	f.StringVar(&w.coordinatorSize, "coordinator-storage", "2Gi", "size of the volume of each coordinator")
	f.StringVar(&w.datanodeSize, "datanode-storage", "10Gi", "size of the volume of each datanode")
	f.StringVar(&w.walSize, "datanode-wal-storage", "", "size of a volume of its own for the write-ahead log of each datanode; none without it")
	f.StringVar(&w.class, "storage-class", "", "class of all volumes; the default class without it")
	f.StringArrayVar(&w.parameters, "parameter", nil, "a setting of postgresql.conf for all nodes, as `NAME=VALUE`; may be repeated")
	f.StringArrayVar(&w.hba, "hba", nil, "a `LINE` of pg_hba.conf that lets clients in; may be repeated")
	f.StringArrayVar(&w.pullSecrets, "image-pull-secret", nil, "`NAME` of a Secret that lets the image be pulled; may be repeated")
	f.StringVar(&w.database, "database", "app", "the application's database; with '' neither it nor its owner is made")
	f.StringVar(&w.owner, "owner", "app", "the owner of the application's database")
	f.BoolVar(&w.superuser, "superuser-access", false, "let postgres log in over the network with the password of its Secret")
}

// cluster makes the object, and refuses what can be seen to be wrong without asking Kubernetes.
func (w *wish) cluster(namespace, name string) (*v1alpha1.AntDBCluster, error) {
	if w.image == "" {
		return nil, errors.New("--image is needed: it names the engine's image, such as registry.example/antdb:5.0")
	}
	parameters, err := pairs(w.parameters)
	if err != nil {
		return nil, err
	}
	c := &v1alpha1.AntDBCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	s := &c.Spec
	s.Image, s.Parameters, s.HBA, s.EnableSuperuserAccess = w.image, parameters, w.hba, w.superuser
	for _, secret := range w.pullSecrets {
		s.ImagePullSecrets = append(s.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
	}
	if w.database != "" {
		s.Bootstrap = &v1alpha1.BootstrapSpec{Database: w.database, Owner: w.owner}
	}
	s.GTM.Storage = w.volume(w.gtmSize)
	s.Coordinators.Count, s.Coordinators.Storage = w.coordinators, w.volume(w.coordinatorSize)
	s.Datanodes.Count, s.Datanodes.Storage = w.datanodes, w.volume(w.datanodeSize)
	if w.walSize != "" {
		wal := w.volume(w.walSize)
		s.Datanodes.WALStorage = &wal
	}
	if wrong := spec.Check(c); len(wrong) > 0 {
		return nil, errors.New(strings.Join(wrong, "\n"))
	}
	return c, nil
}

func (w *wish) volume(size string) v1alpha1.StorageSpec {
	v := v1alpha1.StorageSpec{Size: size}
	if w.class != "" {
		v.StorageClassName = &w.class
	}
	return v
}

// pairs reads NAME=VALUE settings.
func pairs(given []string) (v1alpha1.Parameters, error) {
	out := v1alpha1.Parameters{}
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("--parameter %q: allowed is NAME=VALUE, such as work_mem=64MB", text)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("--parameter %s is given twice", name)
		}
		out[name] = value
	}
	if wrong := pgconf.CheckParameters(out); len(wrong) > 0 {
		return nil, fmt.Errorf("--%s", wrong[0].Message)
	}
	return out, nil
}

func (a *app) create() *cobra.Command {
	var w wish
	var dry, wait bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "create CLUSTER --image IMAGE",
		Short: "Create a cluster",
		Long: `Create a cluster: one gc, its coordinators and its datanodes.

With --dry-run nothing is created and its YAML is printed, to be kept, changed and applied. With --wait a line tells of
each node how far it is; the exit code is 0 only if the cluster is Ready.`,
		Example: `  kubectl antdb create demo --image registry.example/antdb:5.0 --wait
  kubectl antdb create demo --image registry.example/antdb:5.0 --datanodes 4 --datanode-storage 50Gi --parameter work_mem=64MB
  kubectl antdb create demo --image registry.example/antdb:5.0 --dry-run >demo.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("say how the cluster shall be called: kubectl antdb create demo --image IMAGE")
			}
			return atMost(1)(cmd, args)
		},
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "create nothing, print what would be created")
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the cluster until it is Ready")
	const usual = 10 * time.Minute
	cmd.Flags().DurationVar(&limit, "timeout", usual, "with --wait: how long")
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case dry && wait:
			return errors.New("--dry-run creates nothing that could be waited for: leave out --wait")
		case limit <= 0:
			return fmt.Errorf("--timeout %s: allowed is more than 0", limit)
		}
		if dry {
			return a.printWish(&w, format, args[0])
		}
		k, err := a.connect()
		if err != nil {
			return err
		}
		c, err := w.cluster(k.Namespace, args[0])
		if err != nil {
			return err
		}
		if err := k.Create(cmd.Context(), c); err != nil {
			return refused(c, err)
		}
		if format.machine() {
			return errors.Join(format.print(a.Out, c), a.awaitReady(cmd.Context(), k, c, wait, limit, true))
		}
		a.say("cluster %s in namespace %s is being created\n", c.Name, c.Namespace)
		if !wait {
			a.say("follow it:  kubectl antdb status %s -w\n", c.Name)
		}
		return a.awaitReady(cmd.Context(), k, c, wait, limit, false)
	}
	return cmd
}

// printWish prints a cluster that is not created. The namespace is left out unless it was named.
func (a *app) printWish(w *wish, format *form, name string) error {
	namespace := *a.flags.Namespace
	where := namespace
	if where == "" {
		where = metav1.NamespaceDefault // only to see whether the name fits
	}
	c, err := w.cluster(where, name)
	if err != nil {
		return err
	}
	c.Namespace = namespace
	text, err := manifest.Cluster(c)
	if err != nil {
		return err
	}
	if format.value == "" {
		format.value = formYAML
	}
	return format.print(a.Out, text)
}

// refused explains why a cluster was not created.
func refused(c *v1alpha1.AntDBCluster, err error) error {
	switch {
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("namespace %s has a cluster %s already: kubectl antdb status %s shows it", c.Namespace, c.Name, c.Name)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("create cluster %s: %w: is there a namespace %s? kubectl create namespace %s makes it", c.Name, err, c.Namespace, c.Namespace)
	}
	return err
}

// awaitReady follows a cluster until it is Ready, if that is wanted. A quiet one tells nothing on the way.
func (a *app) awaitReady(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, wait bool, limit time.Duration, quiet bool) error {
	if !wait {
		return nil
	}
	m := making{key: client.ObjectKeyFromObject(c), generation: c.Generation, began: a.Now(), goal: v1alpha1.ConditionReady, progress: view.Progress}
	if err := a.followNodes(ctx, k, &m, m.done, limit, quiet); err != nil || quiet {
		return err
	}
	a.tellReady(c, a.Now().Sub(m.began))
	return nil
}
