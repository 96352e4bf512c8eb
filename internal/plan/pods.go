// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/render"
)

// volumes makes missing claims, lets existing ones grow, and refuses those of another cluster. It comes before every
// question of health: a server that is down because its volume is full needs the bigger volume first.
func (p *planner) volumes() {
	for i := range p.nodes {
		n := &p.nodes[i]
		if n.Discarded {
			continue
		}
		for _, v := range render.Volumes(n.Node, n.instance) {
			if n.refused != "" || n.held != "" {
				break
			}
			claim := n.claims[v.Kind]
			switch {
			case claim == nil:
			case claim.Annotations[naming.AnnotationClusterUID] != p.want.UID:
				if claim.DeletionTimestamp == nil {
					n.refused = fmt.Sprintf("volume claim %s belongs to another cluster (UID %s) and is not touched: "+
						"delete it, or give this cluster another name", v.Name, claim.Annotations[naming.AnnotationClusterUID])
					continue
				}
				n.held = fmt.Sprintf("volume claim %s of an earlier cluster is being deleted", v.Name)
				continue
			case claim.DeletionTimestamp != nil:
				n.held = fmt.Sprintf("volume claim %s is being deleted", v.Name)
				continue
			}
			p.plan.Claims = append(p.plan.Claims, render.Claim(p.want, n.Node, p.resize(claim, v)))
		}
	}
}

// resize decides the size that a claim is asked for. A claim is never asked for less than it has asked for already.
func (p *planner) resize(claim *corev1.PersistentVolumeClaim, v render.Volume) render.Volume {
	if claim == nil {
		return v
	}
	have := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	switch v.Want.Size.Cmp(have) {
	case -1:
		p.refuseSize(fmt.Sprintf("%s cannot shrink from %s to %s: a volume can only grow", v.Name, have.String(), v.Want.Size.String()))
		v.Want.Size = have
	case 1:
		class := p.snap.DefaultClass
		if claim.Spec.StorageClassName != nil {
			class = *claim.Spec.StorageClassName
		}
		if !p.snap.Expandable[class] {
			p.refuseSize(fmt.Sprintf("%s cannot grow from %s to %s: storage class %q does not allow it", v.Name, have.String(), v.Want.Size.String(), class))
			v.Want.Size = have
			break
		}
		p.did(v1alpha1.EventVolumeResizing, "%s grows from %s to %s", v.Name, have.String(), v.Want.Size.String())
	}
	if v.Want.Class != nil {
		v.Want.Class = claim.Spec.StorageClassName
	}
	return v
}

func (p *planner) refuseSize(message string) { p.sizeRefused = append(p.sizeRefused, message) }

// pods makes missing pods and removes those that ended. Everything is made at once; the engine needs no order.
func (p *planner) pods() {
	for i := range p.nodes {
		n := &p.nodes[i]
		switch {
		case n.refused != "" || n.held != "" || !n.Runs() || p.halts():
		case n.pod == nil:
			p.plan.Then = append(p.plan.Then, render.Pod(p.want, n.Node, n.instance, p.op, p.snap.Secrets))
			if p.once() && n.Counts() && !p.starting() {
				p.did(v1alpha1.EventPodCreated, "%s: pod %s is made anew", n.Name, n.instance)
			}
		case !p.ours(n.pod):
			n.held = fmt.Sprintf("pod %s of an earlier cluster is still there", n.instance)
		case n.pod.DeletionTimestamp == nil && (n.pod.Status.Phase == corev1.PodFailed || n.pod.Status.Phase == corev1.PodSucceeded):
			p.act(DeletePod{Pod: n.instance, UID: string(n.pod.UID), Why: "it has ended (" + ended(n.pod) + ")"})
		case n.pod.DeletionTimestamp == nil && n.pod.Annotations[naming.AnnotationNudge] != p.snap.Secrets:
			p.act(NudgePod{Pod: n.instance, UID: string(n.pod.UID), Version: p.snap.Secrets})
		}
	}
}

func ended(pod *corev1.Pod) string {
	if pod.Status.Reason != "" {
		return pod.Status.Reason
	}
	return string(pod.Status.Phase)
}
