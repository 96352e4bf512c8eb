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
	Addressing           v1alpha1.Addressing
	PullPolicy           corev1.PullPolicy
	PullSecrets          []corev1.LocalObjectReference
	EngineUser           int64
	// SuperuserSecret and ApplicationSecret name the Secrets in use; Given tells that the user made it.
	SuperuserSecret        string
	SuperuserSecretGiven   bool
	ApplicationSecret      string
	ApplicationSecretGiven bool
	Bootstrap              *instanceapi.Bootstrap
	Retain                 bool
	AntiAffinity           string
	TopologyKey            string
	NetworkPolicy          *NetworkPolicy
	// EscapeGTMWait are the coordinators that the user asked gc to forget.
	EscapeGTMWait []string
	// Nodes in the order gc, coordinators, datanodes.
	Nodes []Node
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
}

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
		Addressing:      or(s.Addressing, v1alpha1.AddressingDNS),
		PullPolicy:      or(s.ImagePullPolicy, corev1.PullIfNotPresent),
		PullSecrets:     s.ImagePullSecrets,
		EngineUser:      or(s.EngineUser, 26),
		SuperuserSecret: naming.SuperuserSecret(c.Name),
		Retain:          s.VolumeRetention == v1alpha1.VolumeRetentionRetain,
		AntiAffinity:    or(s.Affinity.PodAntiAffinity, "preferred"),
		TopologyKey:     or(s.Affinity.TopologyKey, corev1.LabelHostname),
		EscapeGTMWait:   names(c.Annotations[v1alpha1.AnnotationEscapeGTMWait]),
	}
	if s.SuperuserSecret != nil {
		out.SuperuserSecret, out.SuperuserSecretGiven = s.SuperuserSecret.Name, true
	}
	if s.NetworkPolicy.Enabled == nil || *s.NetworkPolicy.Enabled {
		out.NetworkPolicy = &NetworkPolicy{Applications: s.NetworkPolicy.ApplicationPeers, Monitoring: s.NetworkPolicy.MonitoringPeers}
	}
	out.resolveBootstrap(s.Bootstrap)
	out.addNodes(s, antdb.RoleGTM, 1, int(s.GTM.Instances), &s.GTM.RoleSpec, nil)
	out.addNodes(s, antdb.RoleCoordinator, int(s.Coordinators.Count), 1, &s.Coordinators.RoleSpec, s.Coordinators.Overrides)
	out.addNodes(s, antdb.RoleDatanode, int(s.Datanodes.Count), int(s.Datanodes.Instances), &s.Datanodes.RoleSpec, s.Datanodes.Overrides)
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

func (c *Cluster) addNodes(s *v1alpha1.AntDBClusterSpec, role antdb.Role, count, instances int, r *v1alpha1.RoleSpec, overrides []v1alpha1.NodeOverride) {
	for i := 1; i <= count; i++ {
		n := Node{
			Name: antdb.NodeName(role, i), Role: role,
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

// Count of nodes in a role.
func (c *Cluster) Count(role antdb.Role) int {
	n := 0
	for _, node := range c.Nodes {
		if node.Role == role {
			n++
		}
	}
	return n
}

// Topology is the node catalog that gc and every coordinator shall hold. clusterIP maps node names to the ClusterIPs
// of their Services and is asked only with Addressing ClusterIP; ok is false while one of them is not known.
func (c *Cluster) Topology(clusterIP map[string]string) (t topology.Topology, ok bool) {
	for _, n := range c.Nodes {
		host := naming.Host(naming.HeadlessService(c.Name, n.Name), c.Namespace)
		if c.Addressing == v1alpha1.AddressingClusterIP {
			if host = clusterIP[n.Name]; host == "" {
				return topology.Topology{}, false
			}
		}
		t.Nodes = append(t.Nodes, topology.Node{
			Name: n.Name, Type: antdb.TypeOf(n.Role), Host: host, Port: antdb.Port,
			Primary: n.Name == antdb.NodeName(antdb.RoleDatanode, 1),
			GTM:     n.Role == antdb.RoleGTM,
		})
	}
	return t, true
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
