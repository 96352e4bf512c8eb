// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) reload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload [CLUSTER] [NODE…]",
		Short: "Let the servers of a cluster, or of some nodes, read their files anew",
		Long: `Let the servers of a cluster, or of some nodes, read their configuration files anew, without a restart.

Each instance writes its files anew before, so that what somebody changed in them by hand is gone; gc and coordinators also make
their pools of connections anew. A parameter of the spec needs no reload: the operator hands it out by itself.`,
		Example: `  kubectl antdb reload
  kubectl antdb reload demo cn1 cn2`,
	}
	const usual = 2 * time.Minute
	return a.forNodes(cmd, usual, a.reloadNodes)
}

func (a *app) reloadNodes(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, nodes []string, p patience) error {
	r, err := a.ask(ctx, k, c, v1alpha1.AnnotationReload, nodes)
	if err != nil {
		return err
	}
	a.say("cluster %s: servers are asked to read their files anew\n", c.Name)
	if !p.wait {
		a.say("follow it:  kubectl antdb status %s -w\n", c.Name)
		return nil
	}
	m := a.begin(c, "reloaded")
	m.progress = func(before []view.NodeProgress, c *v1alpha1.AntDBCluster, now time.Time) []view.NodeProgress {
		return view.Reloads(before, c, r.id, r.asks, now)
	}
	m.nodes, m.waits = m.progress(nil, c, a.Now()), away(r)
	return a.followNodes(ctx, k, &m, m.answered(r), p.limit, false)
}

// answered tells whether everybody who was asked has answered, and who could not do it.
func (m *making) answered(r *request) func(*scene) (bool, error) {
	return func(now *scene) (bool, error) {
		c := now.clusters[m.key]
		switch {
		case c == nil:
			return false, errors.New("the cluster was deleted")
		case r.stands(c):
			return false, nil
		}
		var failed []string
		for _, p := range m.progress(nil, c, m.began) {
			if p.Stage == view.StageWaiting {
				return false, refusedRequest(c)
			}
			if p.Stage == view.StageFailed {
				failed = append(failed, p.Name+": "+p.Message)
			}
		}
		if len(failed) > 0 {
			return false, fmt.Errorf("cluster %s could not be %s everywhere: %s", c.Name, m.goal, strings.Join(failed, "; "))
		}
		return true, nil
	}
}

// refusedRequest is the error of a request that is gone and was not carried out.
func refusedRequest(c *v1alpha1.AntDBCluster) error {
	return fmt.Errorf("cluster %s: the request was refused or taken back; kubectl antdb events %s tells", c.Name, c.Name)
}

// away tells who holds a request up: nodes that are asked and do not serve.
func away(r *request) func(*v1alpha1.AntDBCluster) string {
	return func(c *v1alpha1.AntDBCluster) string {
		d := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionProgressing)
		if d == nil || d.Reason != v1alpha1.ReasonRequested || !r.stands(c) {
			return ""
		}
		for _, n := range c.Status.Nodes {
			for _, i := range n.Instances {
				if r.asks(n.Name) && i.Name == n.Primary && !i.Serving {
					return "it waits: " + d.Message
				}
			}
		}
		return ""
	}
}
