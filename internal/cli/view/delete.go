// SPDX-License-Identifier: Apache-2.0

package view

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Loss shows what goes with a cluster that is deleted: its volumes, unless they are kept, and the databases on them as far as
// instances told.
func Loss(s Style, f *examine.Facts, claims []corev1.PersistentVolumeClaim, kept bool) string {
	l := &lines{style: s}
	c := f.Cluster
	l.add("cluster ", s.paint(bold, c.Namespace+"/"+c.Name), " will be deleted: ", Noun(len(c.Status.Nodes), "node"), ", its Services and its Secrets")
	if len(claims) > 0 {
		l.add()
		t := table{heads: []string{"VOLUME", "NODE", "ASKED", "USED", ""}, right: map[int]bool{2: true, 3: true}}
		for i := range claims {
			claim := &claims[i]
			node, used := claim.Labels[naming.LabelNode], "?"
			if v, known := f.Probes[node].Volumes[claim.Labels[naming.LabelVolume]]; known {
				used = Bytes(v.Capacity - v.Free)
			}
			fate := s.paint(red, "deleted")
			switch removed := claim.Annotations[naming.AnnotationRetainUntil] != ""; {
			case kept && removed && metav1.IsControlledBy(claim, c):
				fate += ": " + node + " was removed before"
			case kept:
				fate = s.paint(green, "kept")
			}
			t.row(claim.Name, node, claim.Spec.Resources.Requests.Storage().String(), used, fate)
		}
		t.draw(l)
	}
	s.databases(l, f)
	l.add()
	return l.String()
}
