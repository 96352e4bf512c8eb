// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/plan"
)

func TestQuestionsWithoutAGoodAnswerAreAskedAgain(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	pod := func(node string, ready corev1.ConditionStatus, ago time.Duration) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{naming.LabelNode: node}},
			Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
				{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.NewTime(now.Add(-ago))},
			}},
		}
	}
	reach := func(dn1, dn2 string) *instanceapi.Reach {
		return &instanceapi.Reach{Datanodes: map[string]string{"dn1": dn1, "dn2": dn2}}
	}
	const unknown = "could not translate host name"
	for _, c := range []struct {
		what  string
		snap  plan.Snapshot
		after time.Duration
	}{
		{"nothing was asked", plan.Snapshot{}, 0},
		{"all datanodes are reached", plan.Snapshot{Reach: reach("", "")}, 0},
		{"an instance does not answer", plan.Snapshot{Instances: map[string]plan.Instance{"demo-dn1-1": {Error: "refused"}}}, retry},
		{"the name of a datanode is not known everywhere yet", plan.Snapshot{
			Reach: reach("", unknown), Pods: []corev1.Pod{pod("dn1", corev1.ConditionTrue, time.Hour), pod("dn2", corev1.ConditionTrue, time.Second)},
		}, soon},
		{"a datanode is not reached though it has been there for long", plan.Snapshot{
			Reach: reach(unknown, ""), Pods: []corev1.Pod{pod("dn1", corev1.ConditionTrue, time.Hour), pod("dn2", corev1.ConditionTrue, time.Second)},
		}, retry},
		{"a datanode ceased to be ready just now", plan.Snapshot{Reach: reach(unknown, ""), Pods: []corev1.Pod{pod("dn1", corev1.ConditionFalse, time.Second)}}, retry},
		{"the name of a coordinator is not known everywhere yet", plan.Snapshot{
			Reach: &instanceapi.Reach{Datanodes: map[string]string{"dn1": ""}, Coordinators: map[string]string{"gc": "", "cn2": unknown}},
			Pods:  []corev1.Pod{pod("cn2", corev1.ConditionTrue, time.Second)},
		}, soon},
		{"the pod of a datanode is gone", plan.Snapshot{Reach: reach(unknown, "")}, retry},
	} {
		if after := askAgain(&c.snap, now); after != c.after {
			t.Errorf("%s: again after %s, want %s", c.what, after, c.after)
		}
	}
}
