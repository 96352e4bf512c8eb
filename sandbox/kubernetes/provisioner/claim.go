// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

var everything = labels.Everything()

func (p *Provisioner) stepClaim(ctx context.Context, namespace, name string) error {
	claim, err := p.claims.PersistentVolumeClaims(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read claim: %w", err)
	}
	if claim.DeletionTimestamp != nil || claim.Spec.StorageClassName == nil {
		return nil
	}
	class, err := p.classes.Get(*claim.Spec.StorageClassName)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read storage class %s: %w", *claim.Spec.StorageClassName, err)
	}
	switch {
	case class.Provisioner != Name:
		return nil
	case WantsVolume(claim):
		return p.provision(ctx, claim, class)
	case WantsGrowth(claim, class):
		return p.grow(ctx, claim)
	}
	return nil
}

// WantsVolume says that the scheduler has chosen a host for the claim and no volume is bound to it yet.
func WantsVolume(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeName == "" &&
		claim.Annotations[annProvisioner] == Name && claim.Annotations[annSelectedNode] != ""
}

// WantsGrowth says that a bound claim asks for more than it has and its class allows that.
func WantsGrowth(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) bool {
	if claim.Status.Phase != corev1.ClaimBound || class.AllowVolumeExpansion == nil || !*class.AllowVolumeExpansion {
		return false
	}
	want, have := claim.Spec.Resources.Requests[corev1.ResourceStorage], claim.Status.Capacity[corev1.ResourceStorage]
	return want.Cmp(have) > 0
}

func (p *Provisioner) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) error {
	name, host := "pvc-"+string(claim.UID), claim.Annotations[annSelectedNode]
	if _, err := p.volumes.Get(name); err == nil {
		return nil // made already; the volume controller has not bound it yet
	}
	path, err := p.files.Make(host, name)
	if err != nil {
		return err
	}
	_, err = p.client.CoreV1().PersistentVolumes().Create(ctx, Volume(claim, class, name, host, path), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create volume %s: %w", name, err)
	}
	p.log.Info("provisioned", "volume", name, "host", host, "claim", claim.Namespace+"/"+claim.Name)
	return nil
}

// Volume is the PersistentVolume of a claim: a local one, pinned to the host the scheduler chose.
func Volume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, name, host, path string) *corev1.PersistentVolume {
	mode, reclaim := corev1.PersistentVolumeFilesystem, corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		reclaim = *class.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{annProvisionedBy: Name},
			Finalizers:  []string{finalizerFiles},
		},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName:              class.Name,
			PersistentVolumeReclaimPolicy: reclaim,
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    &mode,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{host},
				}},
			}}}},
		},
	}
}

// grow completes an expansion as a resizer would: first the volume, then the claim's status. A directory
// has no size, so there is nothing else to do.
func (p *Provisioner) grow(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	volume, err := p.volumes.Get(claim.Spec.VolumeName)
	if err != nil {
		return fmt.Errorf("read volume %s: %w", claim.Spec.VolumeName, err)
	}
	if volume.Annotations[annProvisionedBy] != Name {
		return nil
	}
	want := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if have := volume.Spec.Capacity[corev1.ResourceStorage]; have.Cmp(want) < 0 {
		if _, err := p.client.CoreV1().PersistentVolumes().Patch(ctx, volume.Name, types.MergePatchType,
			capacityPatch("spec", want), metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("grow volume %s: %w", volume.Name, err)
		}
	}
	if _, err := p.client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType,
		capacityPatch("status", want), metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("grow claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	p.log.Info("grown", "volume", volume.Name, "size", want.String())
	return nil
}

// capacityPatch sets spec.capacity or status.capacity; in the status it also ends the resize conditions,
// which would otherwise say for ever that somebody is still resizing.
func capacityPatch(part string, size resource.Quantity) []byte {
	fields := map[string]any{"capacity": map[string]string{string(corev1.ResourceStorage): size.String()}}
	if part == "status" {
		fields["conditions"] = nil
		fields["allocatedResources"] = nil
		fields["allocatedResourceStatuses"] = nil
	}
	body, err := json.Marshal(map[string]any{part: fields})
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return body
}
