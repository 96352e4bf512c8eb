// SPDX-License-Identifier: Apache-2.0

// Package spec turns what a user wrote into what is meant: defaults filled in, roles and overrides merged, one entry
// a node. Everything that decides reads the effective cluster of this package and never the user's object.
//
// It is pure: it knows no client, no clock and no cluster but the one it is handed.
package spec

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Cluster is the effective spec of one AntDBCluster.
type Cluster struct {
	Name, Namespace, UID string
	Generation           int64
	// Paused leaves everything as it is, Stopped takes all pods away.
	Paused, Stopped bool
	Addressing      v1alpha1.Addressing
	PullPolicy      corev1.PullPolicy
	PullSecrets     []corev1.LocalObjectReference
	EngineUser      int64
	// SuperuserSecret and ApplicationSecret name the Secrets in use; Given tells that the user made it.
	SuperuserSecret        string
	SuperuserSecretGiven   bool
	ApplicationSecret      string
	ApplicationSecretGiven bool
	Bootstrap              *instanceapi.Bootstrap
	// ManagedRoles are the roles that the operator keeps, in the order of the spec.
	ManagedRoles  []ManagedRole
	Retain        bool
	AntiAffinity  string
	TopologyKey   string
	NetworkPolicy *NetworkPolicy
	// EscapeGTMWait are the coordinators that the user asked gc to forget.
	EscapeGTMWait []string
	// Restart, Reload and TopologySync are what the user asked for once; nil if he did not.
	Restart, Reload, TopologySync *Request
	// Wanted is how many nodes of a role the spec wants; how many there are is told by Nodes.
	Wanted map[antdb.Role]int
	// DrainTimeout is how long sessions of a coordinator that leaves may go on, Retention how long volumes of a node that
	// left are kept.
	DrainTimeout, Retention metav1.Duration
	// EvictAfter is how long a coordinator may be down; nil for ever.
	EvictAfter *metav1.Duration
	// Strategy for the rows of datanodes that are added because of the count.
	Strategy v1alpha1.RebalanceStrategy
	// OperationHistory is how many operations that have ended are kept.
	OperationHistory int
	// Nodes in the order gc, coordinators, datanodes: the members, as far as they are not out of the cluster already.
	Nodes []Node

	datanodeSize  resource.Quantity
	datanodeSizes map[string]resource.Quantity // of nodes that differ
}

// NetworkPolicy is whom to let in besides the cluster itself; a nil one means that none is written.
type NetworkPolicy struct {
	Applications []networkingv1.NetworkPolicyPeer
	Monitoring   []networkingv1.NetworkPolicyPeer
}

// Node is one node of the effective cluster.
type Node struct {
	Name         string
	Role         antdb.Role
	Image        string
	Data         Volume
	WAL          *Volume
	Resources    corev1.ResourceRequirements
	Config       instanceapi.Config
	NodeSelector map[string]string
	Tolerations  []corev1.Toleration
	Instances    int
	// State of the member. Joined says that it was added to a running cluster.
	State  v1alpha1.MemberState
	Joined bool
	// Registered says that the node stands in the catalogs. Stopped nodes lose their pods and Services, Discarded ones
	// their volumes too. An operation decides these three while it runs.
	Registered, Stopped, Discarded bool
	// Pending says that the node may stand in the catalogs already or not: gc registers it itself at the right moment.
	Pending bool
}

// Counts tells whether the cluster needs the node to be Ready.
func (n *Node) Counts() bool {
	return n.Registered && (n.State == v1alpha1.MemberActive || n.State == v1alpha1.MemberLeaving && n.Role == antdb.RoleDatanode)
}

// Runs tells whether the node shall have a pod.
func (n *Node) Runs() bool { return !n.Stopped && !n.Discarded }

// Volume is what a claim asks for.
type Volume struct {
	Size  resource.Quantity
	Class *string
}

// defaultHBA lets everybody in who knows a password.
const defaultHBA = "host all all all scram-sha-256"

// Resolve fills in defaults and merges all, role and node, the nearest winning.
func Resolve(c *v1alpha1.AntDBCluster) Cluster {
	s := &c.Spec
	out := Cluster{
		Name: c.Name, Namespace: c.Namespace, UID: string(c.UID), Generation: c.Generation,
		Paused:           s.Paused,
		Stopped:          s.Stopped,
		Addressing:       or(s.Addressing, v1alpha1.AddressingDNS),
		PullPolicy:       or(s.ImagePullPolicy, corev1.PullIfNotPresent),
		PullSecrets:      s.ImagePullSecrets,
		EngineUser:       or(s.EngineUser, 26),
		SuperuserSecret:  naming.SuperuserSecret(c.Name),
		Retain:           s.VolumeRetention == v1alpha1.VolumeRetentionRetain,
		AntiAffinity:     or(s.Affinity.PodAntiAffinity, "preferred"),
		TopologyKey:      or(s.Affinity.TopologyKey, corev1.LabelHostname),
		EscapeGTMWait:    names(c.Annotations[v1alpha1.AnnotationEscapeGTMWait]),
		Wanted:           map[antdb.Role]int{antdb.RoleGTM: 1, antdb.RoleCoordinator: int(s.Coordinators.Count), antdb.RoleDatanode: int(s.Datanodes.Count)},
		DrainTimeout:     duration(s.Coordinators.DrainTimeout, defaultDrainTimeout),
		Retention:        duration(s.Retention, defaultRetention),
		EvictAfter:       s.Coordinators.EvictAfter,
		OperationHistory: int(or(s.OperationHistoryLimit, defaultOperationHistory)),
		Strategy:         or(s.Datanodes.Strategy, v1alpha1.StrategyRedistribute),
		datanodeSize:     size(s.Datanodes.Storage.Size),
		datanodeSizes:    map[string]resource.Quantity{},
	}
	for _, o := range s.Datanodes.Overrides {
		if o.Storage != nil {
			out.datanodeSizes[o.Name] = size(o.Storage.Size)
		}
	}
	if s.SuperuserSecret != nil {
		out.SuperuserSecret, out.SuperuserSecretGiven = s.SuperuserSecret.Name, true
	}
	if s.NetworkPolicy.Enabled == nil || *s.NetworkPolicy.Enabled {
		out.NetworkPolicy = &NetworkPolicy{Applications: s.NetworkPolicy.ApplicationPeers, Monitoring: s.NetworkPolicy.MonitoringPeers}
	}
	out.resolveBootstrap(s.Bootstrap)
	out.ManagedRoles = managedRoles(s.Managed)
	members := c.Status.Members
	if len(members) == 0 {
		members = Members(c, nil)
	}
	gc := []v1alpha1.MemberStatus{{Name: antdb.GTMNode, State: v1alpha1.MemberActive}}
	out.addNodes(s, gc, antdb.RoleGTM, int(s.GTM.Instances), &s.GTM.RoleSpec, nil)
	out.addNodes(s, members, antdb.RoleCoordinator, 1, &s.Coordinators.RoleSpec, s.Coordinators.Overrides)
	out.addNodes(s, members, antdb.RoleDatanode, int(s.Datanodes.Instances), &s.Datanodes.RoleSpec, s.Datanodes.Overrides)
	out.Restart, out.Reload = out.request(c, v1alpha1.AnnotationRestart), out.request(c, v1alpha1.AnnotationReload)
	out.TopologySync = out.request(c, v1alpha1.AnnotationTopologySync)
	return out
}

func (c *Cluster) resolveBootstrap(b *v1alpha1.BootstrapSpec) {
	if b == nil {
		return
	}
	c.Bootstrap = &instanceapi.Bootstrap{
		Database: or(b.Database, "app"), Owner: or(b.Owner, "app"),
		PostInitSQL: b.PostInitSQL, PostInitApplicationSQL: b.PostInitApplicationSQL,
	}
	c.ApplicationSecret = naming.ApplicationSecret(c.Name)
	if b.Secret != nil {
		c.ApplicationSecret, c.ApplicationSecretGiven = b.Secret.Name, true
	}
}

func (c *Cluster) addNodes(s *v1alpha1.AntDBClusterSpec, members []v1alpha1.MemberStatus, role antdb.Role, instances int, r *v1alpha1.RoleSpec, overrides []v1alpha1.NodeOverride) {
	for _, m := range members {
		if of, _, err := antdb.ParseNodeName(m.Name); err != nil || of != role || m.State == v1alpha1.MemberRetained {
			continue
		}
		n := Node{
			Name: m.Name, Role: role, State: m.State, Joined: m.Joined, Registered: m.State != v1alpha1.MemberJoining,
			Image: or(r.Image, s.Image), Data: volume(r.Storage), Resources: r.Resources,
			NodeSelector: r.NodeSelector, Tolerations: r.Tolerations, Instances: max(instances, 1),
		}
		if r.WALStorage != nil {
			w := volume(*r.WALStorage)
			n.WAL = &w
		}
		params := merge(s.Parameters, r.Parameters)
		for _, o := range overrides {
			if o.Name == n.Name {
				n.override(o)
				params = merge(params, o.Parameters)
			}
		}
		if c.Addressing == v1alpha1.AddressingClusterIP {
			params["enable_cluster_plan"] = "off"
		}
		n.Config = instanceapi.Config{
			Parameters: params, HBA: s.HBA, SuperuserAccess: s.EnableSuperuserAccess,
			GTMHost: naming.Host(naming.NodeService(c.Name, antdb.GTMNode), c.Namespace),
		}
		if len(n.Config.HBA) == 0 {
			n.Config.HBA = []string{defaultHBA}
		}
		c.Nodes = append(c.Nodes, n)
	}
}

func (n *Node) override(o v1alpha1.NodeOverride) {
	if o.Storage != nil {
		n.Data = overridden(n.Data, *o.Storage)
	}
	if o.WALStorage != nil && n.WAL != nil {
		w := overridden(*n.WAL, *o.WALStorage)
		n.WAL = &w
	}
	if o.Resources != nil {
		n.Resources = *o.Resources
	}
}

func overridden(v Volume, o v1alpha1.StorageSpec) Volume {
	v.Size = size(o.Size)
	if o.StorageClassName != nil {
		v.Class = o.StorageClassName
	}
	return v
}

func volume(s v1alpha1.StorageSpec) Volume {
	return Volume{Size: size(s.Size), Class: s.StorageClassName}
}

// size reads a quantity that the CRD's rules have let through; anything else counts as nothing and is found by Check.
func size(s string) resource.Quantity {
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return resource.Quantity{}
	}
	return q
}

func merge(a, b map[string]string) map[string]string {
	out := make(map[string]string, len(a)+len(b)+1)
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// The defaults of the CRD, for clusters that were made before it had them. Durations, a minute and a day, are in nanoseconds.
const defaultOperationHistory = 10

var (
	defaultDrainTimeout = metav1.Duration{Duration: 60 * 1e9}
	defaultRetention    = metav1.Duration{Duration: 24 * 3600 * 1e9}
)

func duration(d *metav1.Duration, otherwise metav1.Duration) metav1.Duration {
	if d != nil {
		return *d
	}
	return otherwise
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Node returns the node of that name.
func (c *Cluster) Node(name string) (Node, bool) {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// DataBytes is the size of the volume that a datanode of that name has or would get.
func (c *Cluster) DataBytes(name string) int64 {
	if q, differs := c.datanodeSizes[name]; differs {
		return q.Value()
	}
	return c.datanodeSize.Value()
}

// Count of the nodes in a role that are part of the cluster.
func (c *Cluster) Count(role antdb.Role) int {
	n := 0
	for _, node := range c.Nodes {
		if node.Role == role && node.Registered && node.State != v1alpha1.MemberJoining {
			n++
		}
	}
	return n
}

// Topology is the node catalog that gc and every coordinator shall hold. clusterIP maps node names to the ClusterIPs
// of their Services and is asked only with Addressing ClusterIP; ok is false while one of them is not known.
func (c *Cluster) Topology(clusterIP map[string]string) (t topology.Topology, ok bool) {
	primary := c.primary()
	for _, n := range c.Nodes {
		if !n.Registered && !n.Pending {
			continue
		}
		host := naming.Host(naming.HeadlessService(c.Name, n.Name), c.Namespace)
		if c.Addressing == v1alpha1.AddressingClusterIP {
			if host = clusterIP[n.Name]; host == "" {
				return topology.Topology{}, false
			}
		}
		row := topology.Node{
			Name: n.Name, Type: antdb.TypeOf(n.Role), Host: host, Port: antdb.Port,
			Primary: n.Name == primary,
			GTM:     n.Role == antdb.RoleGTM,
		}
		if n.Registered {
			t.Nodes = append(t.Nodes, row)
		} else {
			t.Pending = append(t.Pending, row)
		}
	}
	return t, true
}

// primary is the datanode that is written first for replicated tables: the first one that stays.
func (c *Cluster) primary() string {
	for _, n := range c.Nodes {
		if n.Role == antdb.RoleDatanode && n.State == v1alpha1.MemberActive {
			return n.Name
		}
	}
	return ""
}

// LongestNode is the node with the longest name, for checks of length.
func (c *Cluster) LongestNode() string {
	longest := ""
	for _, n := range c.Nodes {
		if len(n.Name) > len(longest) {
			longest = n.Name
		}
	}
	return longest
}

// String is the shape of the cluster, such as "1+2+3".
func (c *Cluster) String() string {
	return strconv.Itoa(c.Count(antdb.RoleGTM)) + "+" + strconv.Itoa(c.Count(antdb.RoleCoordinator)) + "+" +
		strconv.Itoa(c.Count(antdb.RoleDatanode))
}
