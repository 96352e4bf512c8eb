// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AntDBClusterStatus is what the operator sees. It holds nothing that changes by itself while a cluster is at rest,
// so that a settled cluster costs no writes.
type AntDBClusterStatus struct {
	// ObservedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase is one word for printing. Nothing decides by it.
	// +optional
	Phase string `json:"phase,omitempty"`
	// FirstReady is when the cluster was Ready for the first time.
	// +optional
	FirstReady *metav1.Time `json:"firstReady,omitempty"`
	// ReadyNodes is the number of serving nodes of all, such as "6/6".
	// +optional
	ReadyNodes string `json:"readyNodes,omitempty"`
	// Conditions of the cluster.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Nodes in the order gc, coordinators, datanodes.
	// +listType=map
	// +listMapKey=name
	// +optional
	Nodes []NodeStatus `json:"nodes,omitempty"`
	// Topology that gc and every coordinator shall hold.
	// +optional
	Topology TopologyStatus `json:"topology,omitempty"`
	// Members are the nodes that exist, come or go. It is read back: counts say how many nodes are wanted, members which
	// there are.
	// +listType=map
	// +listMapKey=name
	// +optional
	Members []MemberStatus `json:"members,omitempty"`
	// ManagedRoles tells how far the roles of spec.managed.roles are.
	// +listType=map
	// +listMapKey=name
	// +optional
	ManagedRoles []ManagedRoleStatus `json:"managedRoles,omitempty"`
}

// MemberState says whether a node is part of the cluster.
type MemberState string

// The states of a member.
const (
	// MemberJoining: its instance is being made; it is not registered, or not for good.
	MemberJoining MemberState = "Joining"
	// MemberActive: it is registered everywhere.
	MemberActive MemberState = "Active"
	// MemberLeaving: it is being emptied.
	MemberLeaving MemberState = "Leaving"
	// MemberRetained: it is out of the cluster, its server is stopped, and its volumes are kept until RetainUntil. Its
	// name is not used again before.
	MemberRetained MemberState = "Retained"
)

// MemberStatus is one node that exists, comes or goes.
type MemberStatus struct {
	// Name of the node.
	Name  string      `json:"name"`
	State MemberState `json:"state"`
	// Joined says that the node was added to a running cluster: an empty volume of it is never filled by initdb.
	// +optional
	Joined bool `json:"joined,omitempty"`
	// DownSince is since when a coordinator has been seen down, where spec.coordinators.evictAfter is set.
	// +optional
	DownSince *metav1.Time `json:"downSince,omitempty"`
	// RetainUntil is when the volumes of a node that left are deleted.
	// +optional
	RetainUntil *metav1.Time `json:"retainUntil,omitempty"`
}

// NodeStatus is one node.
type NodeStatus struct {
	// Name of the node in pgxc_node.
	Name string `json:"name"`
	// Role of the node: gtm, coordinator or datanode.
	Role string `json:"role"`
	// Address in pgxc_node.node_host.
	// +optional
	Address string `json:"address,omitempty"`
	// ClusterIP of the node's Service, for clients.
	// +optional
	ClusterIP string `json:"clusterIP,omitempty"`
	// Primary is the name of the primary instance.
	// +optional
	Primary string `json:"primary,omitempty"`
	// Instances of the node.
	// +listType=map
	// +listMapKey=name
	// +optional
	Instances []InstanceStatus `json:"instances,omitempty"`
}

// InstanceStatus is one PostgreSQL server: one pod and its volumes.
type InstanceStatus struct {
	// Name of the pod.
	Name string `json:"name"`
	// Role of the instance in its node: primary or standby.
	Role string `json:"role"`
	// Ready says that the server accepts connections.
	Ready bool `json:"ready"`
	// Serving says that SQL runs and, on a coordinator, that its node catalog is right.
	Serving bool `json:"serving"`
	// State is one word: Pending, Initializing, Starting, Running, Waiting, Stopped or Refused.
	// +optional
	State string `json:"state,omitempty"`
	// Message tells why the instance does not serve.
	// +optional
	Message string `json:"message,omitempty"`
	// Host is the Kubernetes node that runs the pod.
	// +optional
	Host string `json:"host,omitempty"`
	// PodIP is the pod's present address.
	// +optional
	PodIP string `json:"podIP,omitempty"`
	// Timeline of the server's write-ahead log.
	// +optional
	Timeline int64 `json:"timeline,omitempty"`
	// Version of the engine.
	// +optional
	Version string `json:"version,omitempty"`
	// PendingRestart names parameters that wait for a restart of the server.
	// +listType=atomic
	// +optional
	PendingRestart []string `json:"pendingRestart,omitempty"`
	// RestartedFor is the id of the annotation antdb.io/restart for which the server was restarted, or its pod made, last.
	// +optional
	RestartedFor string `json:"restartedFor,omitempty"`
	// ReloadedFor is the id of the annotation antdb.io/reload that the instance answered last, and ReloadError what went
	// wrong with it.
	// +optional
	ReloadedFor string `json:"reloadedFor,omitempty"`
	// +optional
	ReloadError string `json:"reloadError,omitempty"`
	// TopologySyncedFor is the id of the annotation antdb.io/topology-sync for which the node catalog was compared last, and
	// TopologyRepaired tells the rows that were not as they shall be, and are now.
	// +optional
	TopologySyncedFor string `json:"topologySyncedFor,omitempty"`
	// +listType=atomic
	// +optional
	TopologyRepaired []string `json:"topologyRepaired,omitempty"`
	// StaleCredentials names roles whose password in the database is not yet the one in their Secret.
	// +listType=atomic
	// +optional
	StaleCredentials []string `json:"staleCredentials,omitempty"`
	// Drifts counts how often, since the pod began, the node catalog was found changed by somebody else.
	// +optional
	Drifts int32 `json:"drifts,omitempty"`
	// Volumes of the instance.
	// +listType=map
	// +listMapKey=name
	// +optional
	Volumes []VolumeStatus `json:"volumes,omitempty"`
}

// VolumeStatus is one volume claim of an instance.
type VolumeStatus struct {
	// Name of the PersistentVolumeClaim.
	Name string `json:"name"`
	// Requested size.
	Requested string `json:"requested"`
	// Capacity that the volume has now.
	// +optional
	Capacity string `json:"capacity,omitempty"`
}

// TopologyStatus tells who holds the wanted node catalog.
type TopologyStatus struct {
	// Generation counts the changes of the wanted catalog.
	// +optional
	Generation int64 `json:"generation,omitempty"`
	// Hash of the wanted catalog.
	// +optional
	Hash string `json:"hash,omitempty"`
	// SyncedOn names the nodes whose own catalog equals it.
	// +listType=atomic
	// +optional
	SyncedOn []string `json:"syncedOn,omitempty"`
	// Deregistered names coordinators that were taken out of gc's catalog on request, so that gc could start without
	// them. They are registered again when they are back.
	// +listType=atomic
	// +optional
	Deregistered []string `json:"deregistered,omitempty"`
}
