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
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// request is something that the operator is asked for once.
type request struct {
	annotation, id string
	nodes          []string // all if there are none
}

// asks tells whether a node is meant.
func (r *request) asks(node string) bool { return len(r.nodes) == 0 || slices.Contains(r.nodes, node) }

func (r *request) value() string {
	if len(r.nodes) == 0 {
		return r.id
	}
	return r.id + "/" + strings.Join(r.nodes, ",")
}

// stands tells whether the operator has not answered a request yet.
func (r *request) stands(c *v1alpha1.AntDBCluster) bool {
	return c.Annotations[r.annotation] == r.value()
}

// ask writes a request on a cluster. One that stands already is not overwritten.
func (a *app) ask(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, annotation string, nodes []string) (*request, error) {
	r := &request{annotation: annotation, id: a.Now().UTC().Format("2006-01-02T15:04:05.000Z"), nodes: nodes}
	return r, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := k.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		if other, stands := c.Annotations[annotation]; stands {
			return fmt.Errorf("the operator is asked for it already (%s=%s): kubectl antdb status %s -w follows it, kubectl annotate antdbcluster %s %s- takes it back",
				annotation, other, c.Name, c.Name, annotation)
		}
		before := c.DeepCopy()
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		c.Annotations[annotation] = r.value()
		return k.Patch(ctx, c, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
}

// forNodes gives a command that asks for something of a cluster, or of some of its nodes, its arguments and flags. It is done
// if the cluster has these nodes, runs, and has an operator that looks after it.
func (a *app) forNodes(cmd *cobra.Command, usual time.Duration, do func(context.Context, *Kube, *v1alpha1.AntDBCluster, []string, patience) error) *cobra.Command {
	var p patience
	p.flags(cmd, usual)
	cmd.Args = func(_ *cobra.Command, args []string) error { _, _, err := clusterAndNodes(args); return err }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		named, nodes, err := clusterAndNodes(args)
		if err != nil {
			return err
		}
		if err := p.check(); err != nil {
			return err
		}
		k, c, err := a.reachServers(cmd.Context(), named)
		if err == nil {
			err = errors.Join(attended(c), known(c, nodes))
		}
		if err != nil {
			return err
		}
		return do(cmd.Context(), k, c, nodes, p)
	}
	return cmd
}

// clusterAndNodes reads the name of a cluster, which may be left out, and names of nodes.
func clusterAndNodes(args []string) (cluster string, nodes []string, err error) {
	for i, arg := range args {
		_, _, wrong := antdb.ParseNodeName(arg)
		switch {
		case wrong == nil && slices.Contains(nodes, arg):
			return "", nil, fmt.Errorf("%s is named twice", arg)
		case wrong == nil:
			nodes = append(nodes, arg)
		case i > 0:
			return "", nil, wrong
		default:
			cluster = arg
		}
	}
	return cluster, nodes, nil
}

// known refuses nodes that a cluster does not have.
func known(c *v1alpha1.AntDBCluster, nodes []string) error {
	var have []string
	for _, n := range c.Status.Nodes {
		have = append(have, n.Name)
	}
	for _, name := range nodes {
		if !slices.Contains(have, name) {
			return fmt.Errorf("cluster %s has no node %q: it has %s", c.Name, name, strings.Join(have, ", "))
		}
	}
	return nil
}
