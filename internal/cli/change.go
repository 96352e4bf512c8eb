// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// alter changes a cluster. If somebody else changed it meanwhile it is read again, and how is called again. c is what it is
// then.
func (k *Kube) alter(ctx context.Context, c *v1alpha1.AntDBCluster, how func(*v1alpha1.AntDBCluster) error, options ...client.PatchOption) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := k.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		before := c.DeepCopy()
		if err := how(c); err != nil {
			return err
		}
		return k.Patch(ctx, c, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), options...)
	})
}

// changeCount changes how many nodes of a role a cluster shall have. check is asked whether the change may be made; it may
// be nil.
func (k *Kube) changeCount(ctx context.Context, c *v1alpha1.AntDBCluster, role antdb.Role, by int32, check func(*v1alpha1.AntDBCluster) error,
	options ...client.PatchOption,
) (from int32, err error) {
	err = k.alter(ctx, c, func(c *v1alpha1.AntDBCluster) error {
		if check != nil {
			if err := check(c); err != nil {
				return err
			}
		}
		from = *count(c, role)
		*count(c, role) = from + by
		return nil
	}, options...)
	return from, err
}

// belongingTo makes an object go away with a cluster.
func belongingTo(c *v1alpha1.AntDBCluster) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AntDBCluster", Name: c.Name, UID: c.UID}}
}

// operationsOf are the operations of a cluster.
func (k *Kube) operationsOf(ctx context.Context, c *v1alpha1.AntDBCluster) ([]v1alpha1.AntDBOperation, error) {
	all := &v1alpha1.AntDBOperationList{}
	if err := k.List(ctx, all, client.InNamespace(c.Namespace)); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all.Items, func(o v1alpha1.AntDBOperation) bool { return o.Spec.Cluster != c.Name }), nil
}

// make creates an operation of a cluster, which goes away with it.
func (k *Kube) make(ctx context.Context, c *v1alpha1.AntDBCluster, spec v1alpha1.AntDBOperationSpec) (*v1alpha1.AntDBOperation, error) {
	spec.Cluster = c.Name
	words := map[v1alpha1.OperationType]string{
		v1alpha1.OperationAddNodes: "add", v1alpha1.OperationRemoveNodes: "remove", v1alpha1.OperationDrainNodes: "drain",
		v1alpha1.OperationRebalance: "rebalance",
	}
	o := &v1alpha1.AntDBOperation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       c.Namespace,
			GenerateName:    strings.Join([]string{c.Name, words[spec.Type], ""}, "-"),
			Labels:          map[string]string{naming.LabelCluster: c.Name},
			OwnerReferences: belongingTo(c),
		},
		Spec: spec,
	}
	if err := k.Create(ctx, o); err != nil {
		return nil, err
	}
	return o, nil
}

// leaving are nodes that are to be taken out.
type leaving struct {
	role         antdb.Role
	names, rest  []string
	drainTimeout *metav1.Duration
}

// removal checks whether nodes can be taken out of a cluster.
func removal(c *v1alpha1.AntDBCluster, names []string) (leaving, error) {
	what, _, err := antdb.ParseNodeName(names[0])
	if err != nil {
		return leaving{}, err
	}
	r := leaving{role: what, names: names, rest: slices.Clone(active(c, what))}
	for _, name := range names {
		i := slices.Index(r.rest, name)
		if i < 0 {
			return r, fmt.Errorf("%s cannot be removed from %s: %s", name, c.Name, whyNot(c, name))
		}
		r.rest = slices.Delete(r.rest, i, i+1)
	}
	if len(r.rest) == 0 || int(*count(c, what)) <= len(names) {
		return r, fmt.Errorf("%s cannot be removed from %s: it would have no %s left", strings.Join(names, ", "), c.Name, what)
	}
	return r, nil
}

// whyNot tells why a node is not there to be removed or drained.
func whyNot(c *v1alpha1.AntDBCluster, name string) string {
	for _, m := range c.Status.Members {
		if m.Name != name {
			continue
		}
		switch m.State {
		case v1alpha1.MemberJoining:
			return "it is being added; cancel that operation instead (kubectl antdb operations)"
		case v1alpha1.MemberLeaving:
			return "it is being removed already (kubectl antdb operations)"
		case v1alpha1.MemberRetained:
			return "it was removed already, only its volumes are kept"
		case v1alpha1.MemberActive:
		}
	}
	what, _, err := antdb.ParseNodeName(name)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("it has no such node, but %s", strings.Join(active(c, what), ", "))
}

// drainable checks whether datanodes can be emptied.
func drainable(c *v1alpha1.AntDBCluster, names []string) error {
	there := active(c, antdb.RoleDatanode)
	for _, name := range names {
		if !slices.Contains(there, name) {
			return fmt.Errorf("%s of %s cannot be drained: %s", name, c.Name, whyNot(c, name))
		}
	}
	if len(names) >= len(there) {
		return fmt.Errorf("%s of %s cannot be drained: no datanode would be left to take the rows", strings.Join(names, ", "), c.Name)
	}
	return nil
}

// explain says what taking nodes out means.
func (r leaving) explain(c *v1alpha1.AntDBCluster) string {
	var b strings.Builder
	has := len(r.rest) + len(r.names)
	fmt.Fprintf(&b, "%s of cluster %s will be taken out: %s → %d.\n", strings.Join(r.names, ", "), c.Name, view.Noun(has, string(r.role)), len(r.rest))
	if r.role == antdb.RoleDatanode {
		fmt.Fprintf(&b, "  - First all rows are moved to %s, while applications go on.\n", strings.Join(r.rest, ", "))
	} else {
		span := "for the spec.coordinators.drainTimeout of the cluster"
		if r.drainTimeout != nil {
			span = "for " + view.Span(r.drainTimeout.Duration)
		}
		fmt.Fprintf(&b, "  - First new sessions go to %s; present ones may finish %s, then they are ended.\n", strings.Join(r.rest, ", "), span)
	}
	b.WriteString("  - Until a node is deregistered this can be undone: kubectl antdb operations cancel NAME.\n")
	var kept []string
	for _, n := range c.Status.Nodes {
		if !slices.Contains(r.names, n.Name) {
			continue
		}
		for _, i := range n.Instances {
			for _, v := range i.Volumes {
				kept = append(kept, v.Name+" ("+v.Requested+")")
			}
		}
	}
	if len(kept) > 0 {
		fmt.Fprintf(&b, "  - Afterwards these volumes are kept for the spec.retention of the cluster, 24 hours by default, and\n"+
			"    then deleted; the names of the nodes are not used again before: %s.\n", strings.Join(kept, ", "))
	}
	return b.String()
}

// remove makes the operation that takes nodes out and lowers the count. The operation comes first: a count alone would
// let the operator choose the nodes.
func (k *Kube) remove(ctx context.Context, c *v1alpha1.AntDBCluster, r leaving) (*v1alpha1.AntDBOperation, error) {
	by, check := -int32(len(r.names)), func(c *v1alpha1.AntDBCluster) error {
		_, err := removal(c, r.names)
		return err
	}
	if _, err := k.changeCount(ctx, c.DeepCopy(), r.role, by, check, client.DryRunAll); err != nil {
		return nil, err
	}
	o, err := k.make(ctx, c, v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationRemoveNodes, Nodes: r.names, DrainTimeout: r.drainTimeout})
	if err != nil {
		return nil, err
	}
	// The nodes may be leaving by now, since the operator has seen the operation.
	if _, err := k.changeCount(ctx, c, r.role, by, nil); err != nil {
		err = fmt.Errorf("lower the count of %ss of cluster %s: %w", r.role, c.Name, err)
		if failed := k.cancel(context.WithoutCancel(ctx), o); failed != nil {
			return nil, errors.Join(err, fmt.Errorf("cancel operation %s, which must not go on: %w", o.Name, failed))
		}
		return nil, err
	}
	return o, nil
}
