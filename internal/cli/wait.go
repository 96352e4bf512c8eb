// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

// tellOthers says what a new operation will wait for.
func (a *app) tellOthers(c *v1alpha1.AntDBCluster, earlier []v1alpha1.AntDBOperation) {
	if c.Spec.Paused {
		a.say("cluster %s is paused: it waits until the operator goes on (kubectl antdb resume %s)\n", c.Name, c.Name)
	}
	if c.Spec.Stopped {
		a.say("cluster %s is stopped: it waits until the cluster is started (kubectl antdb start %s)\n", c.Name, c.Name)
	}
	for i := range earlier {
		if !view.Ended(&earlier[i]) {
			a.say("it waits for operation %s, since one runs at a time\n", earlier[i].Name)
			return
		}
	}
}

// awaitOrTell follows an operation, or tells how that is done.
func (a *app) awaitOrTell(ctx context.Context, k *Kube, o *v1alpha1.AntDBOperation, wait bool) error {
	if wait {
		return a.await(ctx, k, o.Name, v1alpha1.OperationCompleted)
	}
	a.say("follow it:  kubectl antdb operations -w\nundo it:    kubectl antdb operations cancel %s\n", o.Name)
	return nil
}

// awaitAdded follows the operation that the operator makes of a raised count. Where it makes none, since a node that was
// leaving stays for instance, the cluster has the wanted nodes all the same.
func (a *app) awaitAdded(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, role antdb.Role, earlier []v1alpha1.AntDBOperation) error {
	before := map[string]bool{}
	for i := range earlier {
		before[earlier[i].Name] = true
	}
	key := client.ObjectKeyFromObject(c)
	return a.follow(ctx, k, live{
		sources: []client.ObjectList{&v1alpha1.AntDBOperationList{}, &v1alpha1.AntDBClusterList{}},
		options: []client.ListOption{client.InNamespace(c.Namespace)},
		shown: func(o *v1alpha1.AntDBOperation) bool {
			return o.Spec.Cluster == c.Name && (!before[o.Name] || !view.Ended(o))
		},
		frame: func(s view.Style, now *scene) string {
			var text []string
			for _, o := range now.sorted() {
				if !view.Ended(&o) || !before[o.Name] {
					text = append(text, view.Operation(s, &o, tablesShown))
				}
			}
			if len(text) == 0 {
				return "waiting for the operator to begin\n"
			}
			return strings.Join(text, "\n")
		},
		done: func(now *scene) (bool, error) {
			for _, o := range now.sorted() {
				if !before[o.Name] && o.Spec.Type == v1alpha1.OperationAddNodes && of(&o, role) && view.Ended(&o) {
					return true, ended(&o, v1alpha1.OperationCompleted)
				}
			}
			return settled(now, key, c.Generation, role)
		},
		goesOn: "the operator goes on with it. Follow it again:  kubectl antdb operations -w",
	})
}

// of tells whether an operation concerns nodes of a role.
func of(o *v1alpha1.AntDBOperation, role antdb.Role) bool {
	for _, n := range o.Spec.Nodes {
		if r, _, err := antdb.ParseNodeName(n); err == nil && r == role {
			return true
		}
	}
	return false
}

// settled tells whether the operator has seen a generation of a cluster, has nothing left to do for it, and the cluster
// has the nodes of the role that it shall have.
func settled(now *scene, key client.ObjectKey, generation int64, role antdb.Role) (bool, error) {
	c := now.clusters[key]
	if c == nil {
		return false, errors.New("the cluster was deleted")
	}
	if c.Status.ObservedGeneration < generation {
		return false, nil
	}
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Reason == v1alpha1.ReasonInvalidSpec {
		return false, fmt.Errorf("cluster %s: %s", c.Name, ready.Message)
	}
	for _, o := range now.operations {
		if !view.Ended(o) {
			return false, nil
		}
	}
	return len(active(c, role)) == int(*count(c, role)), nil
}
