// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/remotecommand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Pods runs programs in pods and reads their logs: what a client of objects cannot.
type Pods interface {
	Exec(ctx context.Context, pod types.NamespacedName, run Exec) error
	Logs(ctx context.Context, pod types.NamespacedName, options corev1.PodLogOptions) (io.ReadCloser, error)
}

// Exec is a program in the database container of a pod.
type Exec struct {
	Command  []string
	In       io.Reader
	Out, Err io.Writer
	// Terminal gives the program one; its size comes from Sizes.
	Terminal bool
	Sizes    remotecommand.TerminalSizeQueue
}

// Kube is the way to Kubernetes, and the namespace that was chosen.
type Kube struct {
	client.WithWatch
	Pods

	Namespace string
}

// connect makes the way to Kubernetes that the flags describe.
func (a *app) connect() (*Kube, error) { return a.Connect(a.flags) }

// reach connects and finds the cluster that is meant.
func (a *app) reach(ctx context.Context, name string) (*Kube, *v1alpha1.AntDBCluster, error) {
	k, err := a.connect()
	if err != nil {
		return nil, nil, err
	}
	c, err := k.cluster(ctx, name)
	return k, c, err
}

// reachServers finds a cluster whose servers are to be asked.
func (a *app) reachServers(ctx context.Context, name string) (*Kube, *v1alpha1.AntDBCluster, error) {
	k, c, err := a.reach(ctx, name)
	if err == nil {
		err = halted(c)
	}
	return k, c, err
}

// halted is the error of whoever needs servers of a cluster that is stopped; nil if it is not.
func halted(c *v1alpha1.AntDBCluster) error {
	switch reason := examine.Halted(c); {
	case reason == "":
		return nil
	case !c.Spec.Stopped:
		return fmt.Errorf("cluster %s is about to start: kubectl antdb status %s -w shows how far it is", c.Name, c.Name)
	case reason == v1alpha1.ReasonStopping:
		return fmt.Errorf("cluster %s is being stopped; kubectl antdb start %s starts it again", c.Name, c.Name)
	}
	return fmt.Errorf("cluster %s is stopped; kubectl antdb start %s starts it", c.Name, c.Name)
}

// cluster finds the cluster that is meant: the named one, or the only one of the namespace.
func (k *Kube) cluster(ctx context.Context, name string) (*v1alpha1.AntDBCluster, error) {
	if name != "" {
		found := &v1alpha1.AntDBCluster{}
		err := k.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: name}, found)
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("namespace %s has no AntDBCluster %q%s", k.Namespace, name, k.instead(ctx))
		}
		return found, err
	}
	all := &v1alpha1.AntDBClusterList{}
	if err := k.List(ctx, all, client.InNamespace(k.Namespace)); err != nil {
		return nil, err
	}
	switch len(all.Items) {
	case 0:
		return nil, fmt.Errorf("namespace %s has no AntDBCluster: choose another namespace with -n, or list all with kubectl antdb status -A", k.Namespace)
	case 1:
		return &all.Items[0], nil
	}
	return nil, fmt.Errorf("namespace %s has %d clusters, name one: %s", k.Namespace, len(all.Items), names(all))
}

// instead offers the clusters that there are.
func (k *Kube) instead(ctx context.Context) string {
	all := &v1alpha1.AntDBClusterList{}
	if err := k.List(ctx, all, client.InNamespace(k.Namespace)); err != nil || len(all.Items) == 0 {
		return ": choose another namespace with -n, or list all with kubectl antdb status -A"
	}
	return ": it has " + names(all)
}

func names(all *v1alpha1.AntDBClusterList) string {
	var out []string
	for i := range all.Items {
		out = append(out, all.Items[i].Name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// operation finds an operation by its name.
func (k *Kube) operation(ctx context.Context, name string) (*v1alpha1.AntDBOperation, error) {
	found := &v1alpha1.AntDBOperation{}
	err := k.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: name}, found)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("namespace %s has no operation %q: kubectl antdb operations lists them", k.Namespace, name)
	}
	return found, err
}

// pod is the pod of a node's primary instance.
func (k *Kube) pod(c *v1alpha1.AntDBCluster, node string) (types.NamespacedName, error) {
	var have []string
	for _, n := range c.Status.Nodes {
		if n.Name == node && n.Primary != "" {
			return types.NamespacedName{Namespace: c.Namespace, Name: n.Primary}, nil
		}
		if n.Primary != "" {
			have = append(have, n.Name)
		}
	}
	if len(have) == 0 {
		return types.NamespacedName{}, fmt.Errorf("cluster %s has no instance yet: kubectl antdb status %s tells how far it is", c.Name, c.Name)
	}
	return types.NamespacedName{}, fmt.Errorf("cluster %s has no instance of a node %q: it has %s", c.Name, node, strings.Join(have, ", "))
}

// active are the nodes of a role that are part of the cluster. Clusters whose status lists no members have the nodes
// that their status lists.
func active(c *v1alpha1.AntDBCluster, role antdb.Role) []string {
	var out []string
	for _, m := range c.Status.Members {
		if r, _, err := antdb.ParseNodeName(m.Name); err == nil && r == role && m.State == v1alpha1.MemberActive {
			out = append(out, m.Name)
		}
	}
	if len(c.Status.Members) == 0 {
		for _, n := range c.Status.Nodes {
			if n.Role == string(role) {
				out = append(out, n.Name)
			}
		}
	}
	return out
}

// manager is the instance manager's program in a pod.
const manager = naming.PathManager + "/antdb-instance"

// count points to the number of nodes of a role that the spec wants.
func count(c *v1alpha1.AntDBCluster, role antdb.Role) *int32 {
	if role == antdb.RoleCoordinator {
		return &c.Spec.Coordinators.Count
	}
	return &c.Spec.Datanodes.Count
}

// errNotThere marks what was being followed and was deleted.
var errNotThere = errors.New("it was deleted")
