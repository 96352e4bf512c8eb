// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// making follows the nodes of a cluster that is being made, stopped, started or restarted.
type making struct {
	key        client.ObjectKey
	generation int64
	began      time.Time
	goal       string // what all nodes shall be, in a word
	// progress tells how far they are, and waits for what something else must happen first.
	progress func(before []view.NodeProgress, c *v1alpha1.AntDBCluster, now time.Time) []view.NodeProgress
	waits    func(*v1alpha1.AntDBCluster) string
	nodes    []view.NodeProgress
	told     string // for what was told to be waited
}

func (m *making) frame(s view.Style, now *scene) string {
	c := now.clusters[m.key]
	if c == nil {
		return ""
	}
	m.nodes = m.progress(m.nodes, c, s.Now)
	return view.Creation(s, c, m.began, m.nodes)
}

func (m *making) tell(s view.Style, c *v1alpha1.AntDBCluster) []string {
	if client.ObjectKeyFromObject(c) != m.key {
		return nil
	}
	before := m.nodes
	m.nodes = m.progress(before, c, s.Now)
	told := view.ProgressChanges(s, m.began, before, m.nodes)
	if m.waits != nil {
		if what := m.waits(c); what != "" && what != m.told {
			m.told = what
			told = append(told, what)
		}
	}
	return told
}

// hopeless are reasons for which a cluster does not become Ready before somebody acts.
var hopeless = map[string]bool{
	v1alpha1.ReasonInvalidSpec: true, v1alpha1.ReasonSecretMissing: true, v1alpha1.ReasonVolumeRefused: true,
	v1alpha1.ReasonBootstrapFailed: true, v1alpha1.ReasonParameterRejected: true,
}

// done tells whether the cluster is Ready, or cannot become it.
func (m *making) done(now *scene) (bool, error) {
	c := now.clusters[m.key]
	switch {
	case c == nil:
		return false, errors.New("the cluster was deleted")
	case c.Spec.Stopped:
		return false, fmt.Errorf("cluster %s is to be stopped (spec.stopped): kubectl antdb start %s starts it", c.Name, c.Name)
	case c.Status.ObservedGeneration < m.generation:
		return false, nil
	}
	for _, d := range c.Status.Conditions {
		if d.Status == metav1.ConditionFalse && hopeless[d.Reason] {
			return false, fmt.Errorf("cluster %s: %s: %s", c.Name, d.Reason, d.Message)
		}
	}
	return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady), nil
}

// stopped tells whether the cluster is stopped, or will not be.
func (m *making) stopped(now *scene) (bool, error) {
	c := now.clusters[m.key]
	switch {
	case c == nil:
		return false, errors.New("the cluster was deleted")
	case !c.Spec.Stopped:
		return false, fmt.Errorf("cluster %s: somebody has it started again", c.Name)
	case c.Status.ObservedGeneration < m.generation:
		return false, nil
	}
	d := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
	if d != nil && d.Reason == v1alpha1.ReasonInvalidSpec {
		return false, fmt.Errorf("cluster %s: %s: %s", c.Name, d.Reason, d.Message)
	}
	return examine.Halted(c) == v1alpha1.ReasonStopped, nil
}

// late tells why the cluster is not where it shall be yet.
func (m *making) late(now *scene, limit time.Duration) error {
	why := "the operator has not looked at it yet: is it installed? kubectl antdb version tells"
	if c := now.clusters[m.key]; c != nil {
		if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			why = ready.Message
		}
		if m.told != "" {
			why = m.told
		}
	}
	return fmt.Errorf("cluster %s is not %s after %s: %s\nThe operator goes on with it; what is wrong and what to do:  kubectl antdb doctor %s",
		m.key.Name, m.goal, view.Span(limit), why, m.key.Name)
}

// followNodes follows the nodes of a cluster until it is where it shall be. A quiet one tells nothing on the way.
func (a *app) followNodes(ctx context.Context, k *Kube, m *making, done func(*scene) (bool, error), limit time.Duration, quiet bool) error {
	l := live{
		sources: []client.ObjectList{&v1alpha1.AntDBClusterList{}},
		options: []client.ListOption{client.InNamespace(m.key.Namespace)},
		done:    done,
		limit:   limit,
		late:    func(s *scene) error { return m.late(s, limit) },
		goesOn:  fmt.Sprintf("the operator goes on with it. Follow it again:  kubectl antdb status %s -w", m.key.Name),
	}
	if !quiet {
		l.frame, l.tell = m.frame, m.tell
	}
	return a.follow(ctx, k, l)
}

// tellReady says how applications reach a cluster that is Ready.
func (a *app) tellReady(c *v1alpha1.AntDBCluster, after time.Duration) {
	a.say("cluster %s is Ready after %s\napplications connect to %s:%d", c.Name, view.Span(after),
		naming.Host(naming.ApplicationService(c.Name), c.Namespace), naming.PortSQL)
	if c.Spec.Bootstrap != nil {
		a.say("; user, password and database are in the Secret %s", naming.ApplicationSecret(c.Name))
	}
	a.say("\nopen psql:  kubectl antdb psql %s\n", c.Name)
}
