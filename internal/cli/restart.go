// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) restart() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restart [CLUSTER] [NODE…]",
		Short: "Restart the servers of a cluster, or of some nodes",
		Long: `Restart the servers of a cluster, or of some nodes: one at a time, datanodes first and gc last, each only while all others serve.
A node that is itself the one that does not serve may be restarted too. Pods stay.

A line tells of each node that is restarted; the exit code is 0 only if all that were asked for serve again.`,
		Example: `  kubectl antdb restart
  kubectl antdb restart demo dn1 cn2
  kubectl antdb restart gc --wait=false`,
	}
	const usual = 15 * time.Minute
	return a.forNodes(cmd, usual, a.restartNodes)
}

func (a *app) restartNodes(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, nodes []string, p patience) error {
	r, err := a.ask(ctx, k, c, v1alpha1.AnnotationRestart, nodes)
	if err != nil {
		return err
	}
	what := "all servers"
	if len(nodes) > 0 {
		what = strings.Join(nodes, ", ")
	}
	a.say("cluster %s: %s will be restarted, one at a time\n", c.Name, what)
	if !p.wait {
		a.say("follow it:  kubectl antdb status %s -w\n", c.Name)
		return nil
	}
	m := a.begin(c, "restarted")
	m.progress = func(before []view.NodeProgress, c *v1alpha1.AntDBCluster, now time.Time) []view.NodeProgress {
		return view.Restarts(before, c, r.id, r.asks, now)
	}
	m.nodes, m.waits = m.progress(nil, c, a.Now()), blocked(r)
	if err := a.followNodes(ctx, k, &m, m.restarted(r), p.limit, false); err != nil {
		return err
	}
	a.say("cluster %s: restarted after %s\n", c.Name, view.Span(a.Now().Sub(m.began)))
	return nil
}

// restarted tells whether everybody who was asked for was restarted and serves.
func (m *making) restarted(r *request) func(*scene) (bool, error) {
	return func(now *scene) (bool, error) {
		c := now.clusters[m.key]
		if c == nil {
			return false, errors.New("the cluster was deleted")
		}
		nodes := m.progress(m.nodes, c, m.began)
		left := slices.DeleteFunc(nodes, func(p view.NodeProgress) bool { return p.Stage == view.StageRestarted })
		if r.stands(c) {
			return false, nil
		}
		for _, p := range left {
			if p.Stage == view.StageWaiting {
				return false, refusedRequest(c)
			}
		}
		return len(left) == 0, nil
	}
}

// blocked finds what a restart waits for: an operation, or a node that does not serve and is not one that is restarted just now.
func blocked(r *request) func(*v1alpha1.AntDBCluster) string {
	return func(c *v1alpha1.AntDBCluster) string {
		d := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionProgressing)
		if d == nil || !r.stands(c) {
			return ""
		}
		switch d.Reason {
		case v1alpha1.ReasonOperating:
			return "it waits: " + d.Message
		case v1alpha1.ReasonRestartBlocked:
			for _, p := range view.Restarts(nil, c, r.id, func(string) bool { return true }, time.Time{}) {
				if p.Stage == view.StageWaiting && p.Message != "" {
					return "it waits: " + d.Message
				}
			}
		}
		return ""
	}
}
