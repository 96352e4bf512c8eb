// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// making follows a cluster that is being made.
type making struct {
	key        client.ObjectKey
	generation int64
	began      time.Time
	nodes      []view.NodeProgress
}

func (m *making) frame(s view.Style, now *scene) string {
	c := now.clusters[m.key]
	if c == nil {
		return ""
	}
	m.nodes = view.Progress(m.nodes, c, s.Now)
	return view.Creation(s, c, m.began, m.nodes)
}

func (m *making) tell(s view.Style, c *v1alpha1.AntDBCluster) []string {
	if client.ObjectKeyFromObject(c) != m.key {
		return nil
	}
	before := m.nodes
	m.nodes = view.Progress(before, c, s.Now)
	return view.ProgressChanges(s, m.began, before, m.nodes)
}

// hopeless are reasons for which a cluster does not become Ready before somebody acts.
var hopeless = map[string]bool{
	v1alpha1.ReasonInvalidSpec: true, v1alpha1.ReasonSecretMissing: true, v1alpha1.ReasonVolumeRefused: true,
	v1alpha1.ReasonBootstrapFailed: true, v1alpha1.ReasonParameterRejected: true,
}

// done tells whether the cluster is Ready, or cannot become it.
func (m *making) done(now *scene) (bool, error) {
	c := now.clusters[m.key]
	if c == nil {
		return false, errors.New("the cluster was deleted")
	}
	if c.Status.ObservedGeneration < m.generation {
		return false, nil
	}
	for _, d := range c.Status.Conditions {
		if d.Status == metav1.ConditionFalse && hopeless[d.Reason] {
			return false, fmt.Errorf("cluster %s: %s: %s", c.Name, d.Reason, d.Message)
		}
	}
	return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady), nil
}

// late tells why the cluster is not Ready yet.
func (m *making) late(now *scene, limit time.Duration) error {
	why := "the operator has not looked at it yet: is it installed? kubectl antdb version tells"
	if c := now.clusters[m.key]; c != nil {
		if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			why = ready.Message
		}
	}
	return fmt.Errorf("cluster %s is not Ready after %s: %s\nThe operator goes on with it; what is wrong and what to do:  kubectl antdb doctor %s",
		m.key.Name, view.Span(limit), why, m.key.Name)
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
