// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/plan"
	"github.com/antdb-operator/antdb-operator/internal/render"
	"github.com/antdb-operator/antdb-operator/internal/spec"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// observed is what a case's observed.yaml may say. Whatever it leaves out is as in a settled cluster. The words are
// explained in testdata/README.md.
type observed struct {
	// Before is the last status: none (default), creating, or ready.
	Before string `json:"before"`
	// All is what holds for every node, Nodes what differs on single ones.
	All   seen            `json:"all"`
	Nodes map[string]seen `json:"nodes"`
	// Deregistered is what the last status says of gc's forgotten coordinators.
	Deregistered   []string          `json:"deregistered"`
	Secrets        string            `json:"secrets"`
	MissingSecrets []string          `json:"missingSecrets"`
	Expandable     map[string]bool   `json:"expandable"`
	DefaultClass   string            `json:"defaultClass"`
	Services       string            `json:"services"`
	Reach          map[string]string `json:"reach"`
	// Members by name and state, and when the volumes of those that left are deleted; those of the counts without it.
	Members []v1alpha1.MemberStatus `json:"members"`
	// Operations as they are in Kubernetes.
	Operations []v1alpha1.AntDBOperation `json:"operations"`
	// Kept are nodes that left and whose volumes are there.
	Kept []string `json:"kept"`
	// Passwords are what follows from the Secrets of managed roles.
	Passwords map[string]plan.Password `json:"passwords"`
	// ManagedRoles are what the last status says of them.
	ManagedRoles []v1alpha1.ManagedRoleStatus `json:"managedRoles"`
}

// seen is what was seen of one node.
type seen struct {
	Pod       string            `json:"pod"`
	Why       string            `json:"why"`
	Template  string            `json:"template"`
	Claim     string            `json:"claim"`
	Requested map[string]string `json:"requested"`
	Capacity  map[string]string `json:"capacity"`
	State     string            `json:"state"`
	Silent    string            `json:"silent"`
	Catalog   string            `json:"catalog"`
	Drift     []string          `json:"drift"`
	Drifts    int               `json:"drifts"`
	Config    string            `json:"config"`
	Refusal   string            `json:"refusal"`
	Pending   []string          `json:"pending"`
	Bootstrap string            `json:"bootstrap"`
	Stale     []string          `json:"stale"`
	Roles     string            `json:"roles"`
	Unequal   map[string]string `json:"unequal"`
	Lock      string            `json:"lock"`
	Digest    string            `json:"digest"`
	// RestartedFor and RestartingFor are tokens, MadeFor is the request that its pod was made for, Told the one that the last
	// status names.
	RestartedFor  string `json:"restartedFor"`
	RestartingFor string `json:"restartingFor"`
	MadeFor       string `json:"madeFor"`
	Told          string `json:"told"`
	// Unpublished: the pod does not carry the label yet that the application Service selects.
	Unpublished bool `json:"unpublished"`
}

// over fills what x does not say from the general case.
func (x seen) over(all seen) seen {
	pick := func(own *string, general, otherwise string) {
		if *own == "" {
			*own = general
		}
		if *own == "" {
			*own = otherwise
		}
	}
	pick(&x.Pod, all.Pod, "running")
	pick(&x.Template, all.Template, "same")
	pick(&x.Claim, all.Claim, "bound")
	pick(&x.State, all.State, string(instanceapi.StateRunning))
	pick(&x.Catalog, all.Catalog, "equal")
	pick(&x.Config, all.Config, "same")
	pick(&x.Bootstrap, all.Bootstrap, "")
	pick(&x.Silent, all.Silent, "")
	pick(&x.Digest, all.Digest, "d1")
	pick(&x.RestartedFor, all.RestartedFor, "")
	pick(&x.MadeFor, all.MadeFor, "")
	pick(&x.Told, all.Told, "")
	if x.Pending == nil {
		x.Pending = all.Pending
	}
	return x
}

const uid = "uid-1"

var now = metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))

// snapshot builds what the plan is made from.
func (o *observed) snapshot(want *spec.Cluster) (*plan.Snapshot, error) {
	s := &plan.Snapshot{
		Expandable: o.Expandable, DefaultClass: o.DefaultClass, Instances: map[string]plan.Instance{},
		Secrets: o.Secrets, MissingSecrets: o.MissingSecrets, Passwords: o.Passwords,
	}
	if s.Secrets == "" {
		s.Secrets = "1"
	}
	for name := range o.Nodes {
		if _, known := want.Node(name); !known {
			return nil, fmt.Errorf("observed.yaml: %s is not a node of the cluster", name)
		}
	}
	serving := true
	for i, n := range want.Nodes {
		x := o.Nodes[n.Name].over(o.All)
		instance := naming.Instance(want.Name, n.Name, 1)
		if o.Services != "absent" {
			s.Services = append(s.Services, service(want, n, i))
		}
		for _, v := range render.Volumes(n, instance) {
			if x.Claim != "absent" {
				s.Claims = append(s.Claims, x.claim(v))
			}
		}
		if x.Pod == "absent" {
			serving = false
			continue
		}
		pod, err := x.pod(want, n, instance, i)
		if err != nil {
			return nil, err
		}
		if fact, answers := x.instance(want, n, o.Deregistered); answers {
			o.tellRoles(want, x, fact.Status)
			s.Instances[instance] = fact
			pod.Labels = map[string]string{naming.LabelServing: strconv.FormatBool(fact.Status != nil && fact.Status.Serving && !x.Unpublished)}
			serving = serving && fact.Status != nil && fact.Status.Serving
		} else {
			serving = false
		}
		s.Pods = append(s.Pods, pod)
	}
	for _, name := range o.Kept {
		s.Claims = append(s.Claims, corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Name: naming.Instance(want.Name, name, 1), Labels: map[string]string{naming.LabelNode: name},
			Annotations: map[string]string{naming.AnnotationClusterUID: uid},
		}})
	}
	if serving {
		s.Reach = o.reach(want)
	}
	return s, nil
}

// tellRoles adds what an instance tells of the roles that it was given, and of the lock that keeps DDL out.
func (o *observed) tellRoles(want *spec.Cluster, x seen, s *instanceapi.Status) {
	if s == nil {
		return
	}
	if x.Lock != "" {
		s.Lock = &instanceapi.LockStatus{State: instanceapi.LockState(x.Lock)}
	}
	switch x.Roles {
	case "":
	case "old":
		s.Roles = &instanceapi.RolesStatus{Hash: "old", Unequal: x.Unequal}
	case "told":
		s.Roles = &instanceapi.RolesStatus{Hash: o.roles(want).Hash(), Unequal: x.Unequal}
	}
}

// roles are those that can be handed out.
func (o *observed) roles(want *spec.Cluster) instanceapi.Roles {
	var all instanceapi.Roles
	for _, r := range want.ManagedRoles {
		if secret := o.Passwords[r.Name]; secret.Problem == "" {
			r.Verifier = secret.Verifier
			all.Roles = append(all.Roles, r.Role)
		}
	}
	return all
}

func (o *observed) reach(want *spec.Cluster) *instanceapi.Reach {
	r := &instanceapi.Reach{Datanodes: map[string]string{}, Coordinators: map[string]string{}}
	for _, n := range want.Nodes {
		if n.Role == antdb.RoleDatanode {
			r.Datanodes[n.Name] = o.Reach[n.Name]
		} else {
			r.Coordinators[n.Name] = o.Reach[n.Name]
		}
	}
	return r
}

func owner(uid string) []metav1.OwnerReference {
	controller := true
	return []metav1.OwnerReference{{APIVersion: "antdb.io/v1alpha1", Kind: "AntDBCluster", Name: "demo", UID: types.UID(uid), Controller: &controller}}
}

func service(want *spec.Cluster, n spec.Node, i int) corev1.Service {
	return corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: naming.NodeService(want.Name, n.Name), OwnerReferences: owner(uid)},
		Spec:       corev1.ServiceSpec{ClusterIP: fmt.Sprintf("10.96.0.%d", i+1)},
	}
}

func (x seen) claim(v render.Volume) corev1.PersistentVolumeClaim {
	size := func(words map[string]string) resource.Quantity {
		if text, given := words[v.Kind]; given {
			return resource.MustParse(text)
		}
		return v.Want.Size
	}
	c := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: v.Name, Annotations: map[string]string{naming.AnnotationClusterUID: uid}},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: v.Want.Class,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size(x.Requested)}},
		},
		Status: corev1.PersistentVolumeClaimStatus{Capacity: corev1.ResourceList{corev1.ResourceStorage: size(x.Requested)}},
	}
	if _, given := x.Capacity[v.Kind]; given {
		c.Status.Capacity[corev1.ResourceStorage] = size(x.Capacity)
	}
	for w := range strings.FieldsSeq(x.Claim) {
		switch w {
		case "foreign":
			c.Annotations[naming.AnnotationClusterUID] = "uid-of-another"
		case "deleting":
			c.DeletionTimestamp = &now
		}
	}
	return c
}

func (x seen) pod(want *spec.Cluster, n spec.Node, instance string, i int) (corev1.Pod, error) {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: instance, UID: types.UID(instance + "-uid"), OwnerReferences: owner(uid),
			Annotations: map[string]string{naming.AnnotationTemplate: render.Template(want, n), naming.AnnotationNudge: "1"},
		},
		Spec:   corev1.PodSpec{NodeName: "host1"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: fmt.Sprintf("10.0.0.%d", i+1)},
	}
	if x.MadeFor != "" {
		p.Annotations[naming.AnnotationRestartedFor] = x.MadeFor
	}
	if x.Template == "old" {
		p.Annotations[naming.AnnotationTemplate] = "old"
	}
	ready := corev1.ConditionTrue
	for w := range strings.FieldsSeq(x.Pod) {
		switch w {
		case "running":
		case "pending":
			p.Status.Phase, p.Status.PodIP, ready = corev1.PodPending, "", corev1.ConditionFalse
		case "unschedulable":
			p.Status.Phase, p.Status.PodIP, p.Spec.NodeName, ready = corev1.PodPending, "", "", corev1.ConditionFalse
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: x.Why,
			})
		case "waiting":
			p.Status.Phase, p.Status.PodIP, ready = corev1.PodPending, "", corev1.ConditionFalse
			reason, message, _ := strings.Cut(x.Why, ": ")
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{
				State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
			}}
		case "failed":
			p.Status.Phase, p.Status.Reason, ready = corev1.PodFailed, x.Why, corev1.ConditionFalse
		case "succeeded":
			p.Status.Phase, ready = corev1.PodSucceeded, corev1.ConditionFalse
		case "deleting":
			p.DeletionTimestamp = &now
		case "foreign":
			p.OwnerReferences = owner("uid-of-another")
		default:
			return p, fmt.Errorf("observed.yaml: pod: unknown word %q", w)
		}
	}
	if instanceapi.State(x.State) != instanceapi.StateRunning && instanceapi.State(x.State) != instanceapi.StateWaiting || x.Silent == "gone" {
		ready = corev1.ConditionFalse
	}
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: ready})
	return p, nil
}

// instance is what the instance manager says; answers is false where nobody asked it.
func (x seen) instance(want *spec.Cluster, n spec.Node, deregistered []string) (fact plan.Instance, answers bool) {
	if x.Pod != "running" && x.Pod != "deleting" {
		return fact, false
	}
	if x.Silent != "" {
		return plan.Instance{Error: x.Silent}, true
	}
	s := &instanceapi.Status{
		State: instanceapi.State(x.State), StaleCredentials: x.Stale, SchemaDigest: x.Digest, Version: "5.0",
		Timeline: 1, Starts: 1, Primary: true, Node: n.Name, Role: n.Role, RestartedFor: x.RestartedFor, RestartingFor: x.RestartingFor,
	}
	if s.State == instanceapi.StateInitializing {
		s.Starts = 0
	}
	if x.Digest == "none" {
		s.SchemaDigest = ""
	}
	s.Accepting = s.State == instanceapi.StateRunning || s.State == instanceapi.StateWaiting
	s.Serving = s.State == instanceapi.StateRunning
	if phase, step, ok := strings.Cut(x.Bootstrap, ": "); ok || phase != "" {
		s.Bootstrap = instanceapi.BootstrapState{Phase: instanceapi.BootstrapPhase(phase), Step: step}
		if s.Bootstrap.Phase == instanceapi.BootstrapFailed {
			s.Bootstrap.Step, s.Bootstrap.Error, _ = strings.Cut(step, ": ")
		}
	}
	s.Message = map[instanceapi.State]string{
		instanceapi.StateWaiting:      "statements do not come back",
		instanceapi.StateStarting:     "the server has not come up yet",
		instanceapi.StateStopped:      "the server ended by itself",
		instanceapi.StateRestarting:   "the server is restarted",
		instanceapi.StateInitializing: "initdb runs",
		instanceapi.StateRefused:      "the volume holds another instance's data",
	}[s.State]
	s.Config = x.config(n)
	if n.Role.HoldsCatalog() {
		s.Catalog = x.catalog(want, n, deregistered)
		if s.State == instanceapi.StateRunning && x.Catalog != "equal" {
			s.Serving, s.Message = false, "its catalog is not right yet"
		}
		if s.State != instanceapi.StateRunning {
			s.Catalog.Have = ""
		}
	}
	return plan.Instance{Status: s}, true
}

func (x seen) config(n spec.Node) instanceapi.ConfigStatus {
	c := instanceapi.ConfigStatus{Hash: n.Config.Hash(), PendingRestart: x.Pending}
	switch x.Config {
	case "old":
		c.Hash = "old"
	case "rejected":
		c.Hash, c.RejectedHash = "old", n.Config.Hash()
		name, rest, _ := strings.Cut(x.Refusal, " = ")
		value, message, _ := strings.Cut(rest, ": ")
		c.Rejected = []instanceapi.Rejected{{Name: name, Value: value, Message: message}}
	case "rejected before":
		c.Hash, c.RejectedHash = "old", "another"
	}
	return c
}

func (x seen) catalog(want *spec.Cluster, n spec.Node, deregistered []string) *instanceapi.CatalogStatus {
	hash := wanted(want).Hash()
	if n.Role == antdb.RoleGTM {
		hash = wanted(want).Without(deregistered...).Hash()
	}
	c := &instanceapi.CatalogStatus{WantGeneration: 1, WantHash: hash, Have: hash, Drift: x.Drift, DriftSeen: x.Drifts}
	switch x.Catalog {
	case "equal":
	case "none": // fresh from initdb
		c.WantHash, c.WantGeneration, c.Have = "", 0, "own row only"
	case "differs":
		c.Have = "other"
	case "old":
		c.WantHash, c.Have = "old", "old"
	default: // an error of the instance
		c.Have, c.Error = "other", x.Catalog
	}
	return c
}

// wanted is the topology that the plan works with.
func wanted(want *spec.Cluster) topology.Topology {
	addresses := map[string]string{}
	for i, n := range want.Nodes {
		addresses[n.Name] = fmt.Sprintf("10.96.0.%d", i+1)
	}
	t, _ := want.Topology(addresses)
	return t
}
