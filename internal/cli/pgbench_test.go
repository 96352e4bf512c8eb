// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// benched is a cluster in whose namespace Jobs run at once and come to an end.
func benched(t *testing.T, phase corev1.PodPhase) *desk {
	t.Helper()
	c := demo()
	c.Spec.Bootstrap = &v1alpha1.BootstrapSpec{Owner: "shop"}
	d := bare(t, c)
	d.logs["demo-pgbench-00001-x"] = "number of clients: 8\nlatency average = 27.1 ms\ntps = 293.4 (excluding connections establishing)\n"
	d.watched = func(n int) {
		if n != 1 {
			return
		}
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: "prod", Name: "demo-pgbench-00001-x", Labels: map[string]string{batchv1.JobNameLabel: "demo-pgbench-00001"},
		}}
		p.Status.Phase = phase
		if err := d.world.Create(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
	return d
}

func TestPgbenchRunsAsAJobOfTheOwnerAndPrintsItsResult(t *testing.T) {
	d := benched(t, corev1.PodSucceeded)
	d.want(0, []string{"job demo-pgbench-00001 runs pgbench against demo: scale 5, 4 sessions, 30s", "tps = 293.4"},
		"pgbench", "demo", "--scale", "5", "--clients", "4", "--time", "30s", "--select-only", "--", "--protocol=prepared")
	job := &batchv1.Job{}
	if err := d.world.Get(t.Context(), client.ObjectKey{Namespace: "prod", Name: "demo-pgbench-00001"}, job); err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template
	got := strings.Join(pod.Spec.Containers[0].Command[3:], " ")
	if got != "pgbench yes yes 5 -n -c 4 -j 4 -T 30 -P 5 -S --protocol=prepared" {
		t.Errorf("it runs %s", got)
	}
	if _, trusted := pod.Labels[naming.LabelCluster]; trusted || *pod.Spec.AutomountServiceAccountToken || *pod.Spec.SecurityContext.RunAsUser != 26 {
		t.Errorf("the pod is trusted: %+v", pod)
	}
	for _, e := range pod.Spec.Containers[0].Env {
		if e.Name == "PGPASSWORD" && e.ValueFrom.SecretKeyRef.Name != "demo-app" || e.Name == "PGHOST" && e.Value != "demo.prod.svc" {
			t.Errorf("%+v", e)
		}
	}
	if o := job.OwnerReferences[0]; o.Kind != "AntDBCluster" || o.Name != "demo" {
		t.Errorf("%+v", o)
	}
}

func TestPgbenchFailsIfTheJobDoes(t *testing.T) {
	benched(t, corev1.PodFailed).want(1, []string{"tps", "job demo-pgbench-00001 failed"}, "pgbench")
	benched(t, corev1.PodPending).want(1, []string{"waited 200ms for job demo-pgbench-00001 to run: its pod is Pending"}, "pgbench", "--timeout", "200ms")
	d := benched(t, corev1.PodPending)
	d.once = func(text string) bool { return strings.Contains(text, "runs pgbench") }
	d.want(130, []string{"the Job goes on", "kubectl logs job/demo-pgbench-00001"}, "pgbench")
	sit(t, demo()).want(1, []string{"has no spec.bootstrap"}, "pgbench")
	sit(t, demo()).want(1, []string{"--scale, --clients: allowed is 1 or more"}, "pgbench", "--clients", "0")
}
