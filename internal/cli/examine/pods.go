// SPDX-License-Identifier: Apache-2.0

package examine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// trouble is why a node does not serve, as its pod tells.
type trouble struct {
	what, why string
	run       []string
}

// pods finds nodes whose server does not run, and why.
func (d *doctor) pods() {
	for _, node := range d.nodes() {
		i := d.instance(node)
		if i == nil || i.Serving {
			d.restarts(node)
			continue
		}
		t, ok := d.podTrouble(node, i)
		if !ok {
			continue
		}
		d.away = append(d.away, node)
		if node == antdb.GTMNode {
			d.gtmLost = true
			d.explain(v1alpha1.ConditionGTMAvailable)
		}
		d.explain(v1alpha1.ConditionReady)
		d.explain(v1alpha1.ConditionTopologySynced)
		d.add(Problem, node+" is away: "+t.what, strings.TrimSpace(t.why+" "+consequence(node)), t.run...)
	}
}

// consequence is what a node that is away means for the cluster.
func consequence(node string) string {
	switch role, _, _ := antdb.ParseNodeName(node); role {
	case antdb.RoleGTM:
		return "Without gc no statement runs anywhere."
	case antdb.RoleCoordinator:
		return "Other coordinators go on with queries and writes; every DDL fails until " + node + " is back or is removed."
	case antdb.RoleDatanode:
		return "Statements that need rows on " + node + " fail; all DDL fails."
	}
	return ""
}

// podTrouble is why the server of an instance does not run. A server that runs and does not serve is not its business.
func (d *doctor) podTrouble(node string, i *v1alpha1.InstanceStatus) (trouble, bool) {
	pod := d.Pods[i.Name]
	describe := "kubectl describe pod " + i.Name
	logs := "kubectl antdb logs " + node + " --cluster " + d.Cluster.Name
	if d.podsUnknown() {
		return trouble{"it does not serve", said(i.Message), []string{describe, logs}}, i.State != string(instanceapi.StateWaiting) && i.State != string(instanceapi.StateRunning)
	}
	if pod == nil {
		return trouble{"it has no pod", said(i.Message) + d.lastWarning(i.Name), []string{"kubectl antdb events " + d.Cluster.Name, "kubectl -n antdb-system logs deployment/antdb-operator --tail=50"}}, true
	}
	if t, ok := d.unscheduled(pod); ok {
		return t, true
	}
	if t, ok := d.containers(pod); ok {
		return t, true
	}
	switch {
	case pod.DeletionTimestamp != nil:
		return trouble{"its pod is being deleted", said("It comes back as soon as it is gone. " + d.hostDown(pod)), []string{"kubectl get pod " + pod.Name + " -w", "kubectl get node " + pod.Spec.NodeName}}, true
	case i.State == string(instanceapi.StateRefused):
		return trouble{"its volume is refused", said(i.Message), []string{logs, "kubectl get pvc -l antdb.io/node=" + node + ",antdb.io/cluster=" + d.Cluster.Name}}, true
	case i.State == string(instanceapi.StateStopped):
		return trouble{"its server does not run", said(i.Message) + " It is started again after a pause.", []string{logs}}, true
	case i.State == string(instanceapi.StateInitializing), i.State == string(instanceapi.StateStarting), i.State == string(instanceapi.StateRestarting):
		return trouble{"its server is starting", said(i.Message), []string{"kubectl antdb status " + d.Cluster.Name + " -w"}}, true
	case d.hostDown(pod) != "":
		return trouble{"its host " + pod.Spec.NodeName + " is down", d.hostDown(pod), []string{"kubectl describe node " + pod.Spec.NodeName, "kubectl delete node " + pod.Spec.NodeName + "   # only if it is gone for good"}}, true
	case pod.Status.Phase != corev1.PodRunning && (i.State == "" || i.State == "Pending"):
		return trouble{"its pod does not run yet", said(i.Message) + d.lastWarning(pod.Name), []string{describe}}, true
	}
	return trouble{}, false
}

func (d *doctor) podsUnknown() bool {
	return slices.ContainsFunc(d.Unknown, func(u string) bool { return strings.HasPrefix(u, "pods") })
}

// said is a message as a sentence.
func said(message string) string {
	message = strings.TrimSpace(message)
	if message == "" || strings.HasSuffix(message, ".") {
		return message
	}
	return message + "."
}

// unscheduled finds a pod that no host takes, and a claim without a volume as the cause.
func (d *doctor) unscheduled(pod *corev1.Pod) (trouble, bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse {
			continue
		}
		for i := range d.Claims {
			claim := &d.Claims[i]
			if claim.Status.Phase == corev1.ClaimPending && uses(pod, claim.Name) {
				class := "the default class"
				if claim.Spec.StorageClassName != nil {
					class = "class " + *claim.Spec.StorageClassName
				}
				return trouble{"its volume is not made", said("Claim "+claim.Name+" of "+class+" is pending: "+c.Message) + d.lastWarning(claim.Name),
					[]string{"kubectl describe pvc " + claim.Name, "kubectl get storageclass"}}, true
			}
		}
		return trouble{"no host takes its pod", said(c.Message),
			[]string{"kubectl describe pod " + pod.Name, "kubectl get nodes   # is one cordoned, full, or down?", "kubectl edit antdbcluster " + d.Cluster.Name + "   # resources, nodeSelector, affinity"}}, true
	}
	return trouble{}, false
}

func uses(pod *corev1.Pod, claim string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
}

// imageReasons are what the kubelet says when it cannot get an image.
var imageReasons = map[string]bool{
	"ErrImagePull": true, "ImagePullBackOff": true, "InvalidImageName": true, "ErrImageNeverPull": true, "RegistryUnavailable": true, "ImageInspectError": true,
}

// containers finds a container that waits or crashes.
func (d *doctor) containers(pod *corev1.Pod) (trouble, bool) {
	describe := "kubectl describe pod " + pod.Name
	image := func(why string) (trouble, bool) {
		return trouble{"its image cannot be pulled", said(why), []string{"kubectl edit antdbcluster " + d.Cluster.Name + "   # image, imagePullSecrets", describe}}, true
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		w := s.State.Waiting
		if w == nil || w.Reason == "PodInitializing" || w.Reason == "ContainerCreating" {
			continue
		}
		switch {
		case imageReasons[w.Reason]:
			return image(fmt.Sprintf("Image %s: %s: %s", s.Image, w.Reason, w.Message))
		case w.Reason == "CrashLoopBackOff":
			return trouble{"its container " + s.Name + " crashes again and again", said(ended(s)),
				[]string{"kubectl logs " + pod.Name + " -c " + s.Name + " --previous", describe}}, true
		default:
			return trouble{"its container " + s.Name + " cannot be made", said(w.Reason + ": " + w.Message), []string{describe}}, true
		}
	}
	if why := d.pullFailed(pod); why != "" {
		return image(why)
	}
	return trouble{}, false
}

// pullFailed is what the kubelet's events say of an image that could not be pulled and has not been since; empty if none
// do. They are there before the pod's status says so, and while the kubelet tries again.
func (d *doctor) pullFailed(pod *corev1.Pod) string {
	var failed, pulled *corev1.Event
	for i := range d.Events {
		e := &d.Events[i]
		if e.InvolvedObject.UID != pod.UID {
			continue
		}
		switch {
		case e.Reason == "Pulled":
			pulled = later(pulled, e)
		case e.Reason == "Failed" && strings.HasPrefix(e.Message, "Failed to pull image"):
			failed = later(failed, e)
		}
	}
	if failed == nil || later(pulled, failed) == pulled {
		return ""
	}
	return failed.Message
}

// later is the event that was seen last: b, if both were at the same time; one that is nil was never.
func later(a, b *corev1.Event) *corev1.Event {
	if b == nil || a != nil && b.LastTimestamp.Before(&a.LastTimestamp) {
		return a
	}
	return b
}

// ended tells how a container ended last.
func ended(s corev1.ContainerStatus) string {
	t := s.LastTerminationState.Terminated
	if t == nil {
		return fmt.Sprintf("it was started %d times", s.RestartCount+1)
	}
	return fmt.Sprintf("it ended %d times, the last time with %s (exit code %d)", s.RestartCount, t.Reason, t.ExitCode)
}

// recently is how old the end of a container may be that is still told.
const recently = time.Hour

// restarts notes a container that ended lately, of a node that serves again.
func (d *doctor) restarts(node string) {
	pod := d.pod(node)
	if pod == nil {
		return
	}
	for _, s := range pod.Status.ContainerStatuses {
		t := s.LastTerminationState.Terminated
		if t == nil || d.Now.Sub(t.FinishedAt.Time) > recently {
			continue
		}
		run := []string{"kubectl logs " + pod.Name + " -c " + s.Name + " --previous"}
		if t.Reason == "OOMKilled" {
			run = append(run, "kubectl edit antdbcluster "+d.Cluster.Name+"   # resources.limits.memory, or less shared_buffers, work_mem")
		}
		d.add(Warning, "the container of "+node+" was started again", said(ended(s)), run...)
	}
}

// lastWarning is the newest warning about an object.
func (d *doctor) lastWarning(name string) string {
	var last *corev1.Event
	for i := range d.Events {
		e := &d.Events[i]
		if e.InvolvedObject.Name == name && e.Type == corev1.EventTypeWarning {
			last = later(last, e)
		}
	}
	if last == nil {
		return ""
	}
	return " " + last.Reason + ": " + said(last.Message)
}

// hostDown tells that the host of a pod does not answer; empty if it does, or is not known.
func (d *doctor) hostDown(pod *corev1.Pod) string {
	host := d.Hosts[pod.Spec.NodeName]
	if host == nil {
		return ""
	}
	for _, c := range host.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return said(c.Reason + ": " + c.Message)
		}
	}
	return ""
}
