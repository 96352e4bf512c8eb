// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Members are the first members of a cluster whose status names none: those that its own claims tell of, or, where there
// is no claim yet, as many as the spec counts. They are written down before any claim is made, so that claims without
// members are those of a cluster whose status was lost, or that an earlier operator made.
func Members(c *v1alpha1.AntDBCluster, claims []corev1.PersistentVolumeClaim) []v1alpha1.MemberStatus {
	var out []v1alpha1.MemberStatus
	for i := range claims {
		if m, ok := claimed(c, &claims[i]); ok {
			out = append(out, m)
		}
	}
	if len(out) == 0 {
		for _, r := range []struct {
			role  antdb.Role
			count int32
		}{{antdb.RoleCoordinator, c.Spec.Coordinators.Count}, {antdb.RoleDatanode, c.Spec.Datanodes.Count}} {
			for i := range int(r.count) {
				out = append(out, v1alpha1.MemberStatus{Name: antdb.NodeName(r.role, i+1), State: v1alpha1.MemberActive})
			}
		}
	}
	return Sorted(out)
}

// claimed is the member that a data volume of this cluster tells of. One that was joining when the status was lost is
// none: nobody knows whether it was registered, and it holds no rows.
func claimed(c *v1alpha1.AntDBCluster, claim *corev1.PersistentVolumeClaim) (v1alpha1.MemberStatus, bool) {
	role, _, err := antdb.ParseNodeName(claim.Labels[naming.LabelNode])
	a := claim.Annotations
	if err != nil || role == antdb.RoleGTM || claim.Labels[naming.LabelVolume] != naming.VolumeData || a[naming.AnnotationClusterUID] != string(c.UID) ||
		a[naming.AnnotationMember] == string(v1alpha1.MemberJoining) {
		return v1alpha1.MemberStatus{}, false
	}
	m := v1alpha1.MemberStatus{
		Name: claim.Labels[naming.LabelNode], State: v1alpha1.MemberActive, Joined: a[naming.AnnotationJoined] == "true",
	}
	var until metav1.Time
	if text := a[naming.AnnotationRetainUntil]; text != "" && until.UnmarshalQueryParameter(text) == nil {
		m.State, m.RetainUntil = v1alpha1.MemberRetained, &until
	}
	return m, true
}

// Sorted puts members into the order of their roles and numbers.
func Sorted(members []v1alpha1.MemberStatus) []v1alpha1.MemberStatus {
	out := slices.Clone(members)
	slices.SortFunc(out, func(a, b v1alpha1.MemberStatus) int { return Compare(a.Name, b.Name) })
	return out
}

// Compare orders names of nodes by role and number.
func Compare(a, b string) int {
	ra, na, _ := antdb.ParseNodeName(a)
	rb, nb, _ := antdb.ParseNodeName(b)
	if ra != rb {
		return strings.Compare(string(ra), string(rb))
	}
	return na - nb
}
