// SPDX-License-Identifier: Apache-2.0

package render

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// Volume is one claim of an instance.
type Volume struct {
	// Kind is naming.VolumeData or naming.VolumeWAL, Name the claim's name.
	Kind, Name string
	Want       spec.Volume
}

// Volumes are the claims of the instance with that name.
func Volumes(n spec.Node, instance string) []Volume {
	out := []Volume{{Kind: naming.VolumeData, Name: naming.DataVolume(instance), Want: n.Data}}
	if n.WAL != nil {
		out = append(out, Volume{Kind: naming.VolumeWAL, Name: naming.WALVolume(instance), Want: *n.WAL})
	}
	return out
}

// Claim is the PersistentVolumeClaim of a volume. It carries the cluster's UID, so that a later cluster of the same
// name does not take it for its own, and belongs to the cluster unless volumes are to be kept.
func Claim(c *spec.Cluster, n spec.Node, v Volume) *corev1ac.PersistentVolumeClaimApplyConfiguration {
	labels := maps.Clone(naming.NodeLabels(c.Name, n.Role, n.Name))
	labels[naming.LabelVolume] = v.Kind
	marks := map[string]string{naming.AnnotationClusterUID: c.UID}
	if n.Joined {
		marks[naming.AnnotationJoined] = "true"
	}
	if n.State == v1alpha1.MemberJoining {
		marks[naming.AnnotationMember] = string(n.State)
	}
	claim := corev1ac.PersistentVolumeClaim(v.Name, c.Namespace).
		WithLabels(labels).
		WithAnnotations(marks).
		WithSpec(corev1ac.PersistentVolumeClaimSpec().
			WithAccessModes(corev1.ReadWriteOnce).
			WithResources(corev1ac.VolumeResourceRequirements().
				WithRequests(corev1.ResourceList{corev1.ResourceStorage: v.Want.Size})))
	if v.Want.Class != nil {
		claim.Spec.WithStorageClassName(*v.Want.Class)
	}
	if !c.Retain {
		claim.WithOwnerReferences(owner(c))
	}
	return claim
}
