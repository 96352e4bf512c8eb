// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AntDBCluster is one AntDB cluster: one gtm_coord, its coordinators and its datanodes.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=antdbclusters,singular=antdbcluster,shortName=adb,categories=all
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.readyNodes`
// +kubebuilder:printcolumn:name="Coordinators",type=integer,JSONPath=`.spec.coordinators.count`
// +kubebuilder:printcolumn:name="Datanodes",type=integer,JSONPath=`.spec.datanodes.count`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",messageExpression="'metadata.name \"' + self.metadata.name + '\" cannot name Services: allowed are lower-case letters, digits and \"-\", beginning with a letter'"
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 45",messageExpression="'metadata.name \"' + self.metadata.name + '\" is too long: allowed are at most 45 characters, since AntDB keeps node addresses in 63 bytes'"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.matches('-(gc|cn[0-9]+|dn[0-9]+)(-h)?$')",messageExpression="'metadata.name \"' + self.metadata.name + '\" ends like the name of a node: its Service could be another cluster\\'s'"
type AntDBCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec AntDBClusterSpec `json:"spec"`
	// +optional
	Status AntDBClusterStatus `json:"status,omitempty"`
}

// AntDBClusterList is a list of clusters.
//
// +kubebuilder:object:root=true
type AntDBClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AntDBCluster `json:"items"`
}

// AntDBClusterSpec is what the user wants.
//
// +kubebuilder:validation:XValidation:rule="has(self.addressing) == has(oldSelf.addressing) && (!has(self.addressing) || self.addressing == oldSelf.addressing)",message="spec.addressing cannot be changed once the cluster exists: node addresses are for life"
// +kubebuilder:validation:XValidation:rule="has(self.bootstrap) == has(oldSelf.bootstrap)",message="spec.bootstrap cannot be added or removed once the cluster exists: it runs once"
// +kubebuilder:validation:XValidation:rule="!has(self.managed) || !has(self.managed.roles) || !has(self.bootstrap) || !self.managed.roles.exists(r, r.name == self.bootstrap.owner)",messageExpression="'spec.managed.roles: name \"' + self.bootstrap.owner + '\" is not allowed: it is the owner in spec.bootstrap, whose password is in the application\\'s Secret'"
type AntDBClusterSpec struct {
	// Image holds an AntDB installation with its bin directory in PATH. It is used for every role that names none of
	// its own.
	// +kubebuilder:validation:MinLength=1
	Image string `json:"image"`

	// ImagePullPolicy of the engine image.
	// +kubebuilder:default=IfNotPresent
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// ImagePullSecrets name Secrets of the same namespace that let the image be pulled.
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	// +optional
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// EngineUser is the numeric user and group that the engine runs as. The image's passwd file must know the user.
	// +kubebuilder:default=26
	// +kubebuilder:validation:Minimum=1
	// +optional
	EngineUser int64 `json:"engineUser,omitempty"`

	// Parameters are settings of postgresql.conf for all nodes. The same setting of a role, or of a node, wins.
	// +optional
	Parameters Parameters `json:"parameters,omitempty"`

	// HBA holds lines of pg_hba.conf that let clients in. The lines that the cluster itself needs come before them.
	// The default is "host all all all scram-sha-256".
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.all(l, !l.contains('\\n'))",message="spec.hba: one line per item, a line break is not allowed"
	// +kubebuilder:validation:XValidation:rule="self.all(l, !l.matches('[ \\t]trust([ \\t]|$)'))",messageExpression="'spec.hba: \"' + self.filter(l, l.matches('[ \\t]trust([ \\t]|$)'))[0] + '\" uses trust: allowed are password methods such as scram-sha-256; nobody gets in without a password but the cluster itself'"
	// +listType=atomic
	// +optional
	HBA []string `json:"hba,omitempty"`

	// Addressing decides what stands in pgxc_node.node_host: DNS is the name of the node's headless Service,
	// ClusterIP is the address of its Service. The engine opens random ports between nodes, which a ClusterIP cannot
	// carry: with it the operator sets enable_cluster_plan=off and redistribution of tables is impossible.
	// +kubebuilder:default=DNS
	// +optional
	Addressing Addressing `json:"addressing,omitempty"`

	// EnableSuperuserAccess lets the role postgres log in over the network with the password in the superuser Secret.
	// +kubebuilder:default=false
	// +optional
	EnableSuperuserAccess bool `json:"enableSuperuserAccess,omitempty"`

	// SuperuserSecret names a Secret of type kubernetes.io/basic-auth with the password of postgres. Without it the
	// Secret CLUSTER-superuser is generated.
	// +optional
	SuperuserSecret *SecretReference `json:"superuserSecret,omitempty"`

	// Bootstrap is what is made in the new cluster once, after its nodes know each other.
	// +optional
	Bootstrap *BootstrapSpec `json:"bootstrap,omitempty"`

	// Managed is what the operator keeps in the database.
	// +optional
	Managed *ManagedSpec `json:"managed,omitempty"`

	// GTM is the gtm_coord, node gc. There is exactly one.
	GTM GTMSpec `json:"gtm"`
	// Coordinators take SQL: nodes cn1, cn2, …
	Coordinators CoordinatorsSpec `json:"coordinators"`
	// Datanodes hold the rows: nodes dn1, dn2, …
	Datanodes DatanodesSpec `json:"datanodes"`

	// NetworkPolicy decides who reaches the coordinators.
	// +optional
	NetworkPolicy NetworkPolicySpec `json:"networkPolicy,omitempty"`

	// Affinity spreads the pods of each role over hosts.
	// +optional
	Affinity AffinitySpec `json:"affinity,omitempty"`

	// VolumeRetention says what becomes of the volumes when the cluster is deleted.
	// +kubebuilder:default=Delete
	// +optional
	VolumeRetention VolumeRetention `json:"volumeRetention,omitempty"`

	// Retention is how long the volumes of a node that was removed are kept. Its name is not used again before; 0s
	// deletes them at once.
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",messageExpression="'spec.retention \"' + self + '\": allowed are durations such as 90s, 5m or 24h'"
	// +kubebuilder:validation:MaxLength=32
	// +optional
	Retention *metav1.Duration `json:"retention,omitempty"`

	// Paused makes the operator leave the cluster alone: it looks and reports, applies no object, takes no action, and leads no
	// AntDBOperation on. Databases go on, and so do their instance managers. Deleting the cluster still works.
	// +optional
	Paused bool `json:"paused,omitempty"`

	// Stopped takes the pods of the cluster away: those of the coordinators first, then the datanodes', then gc's. Volumes,
	// Services and Secrets stay, and so does whatever is on the volumes. Taken back, it makes all pods anew. An
	// AntDBOperation that has begun ends first; those that have not wait.
	// +optional
	Stopped bool `json:"stopped,omitempty"`

	// OperationHistoryLimit is how many AntDBOperations of this cluster that have ended are kept. Older ones are deleted,
	// none before it was ended for 5 minutes, and never one that decides what the operator does next.
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	OperationHistoryLimit int32 `json:"operationHistoryLimit,omitempty"`
}

// Parameters maps names of postgresql.conf to values. Names are lower case, as the engine prints them.
//
// +kubebuilder:validation:MaxProperties=200
// +kubebuilder:validation:XValidation:rule="self.all(k, !(k in ['agtm_host','agtm_port','pgxc_node_name','adb_node_type','listen_addresses','port','unix_socket_directories','unix_socket_group','unix_socket_permissions','data_directory','config_file','hba_file','ident_file','external_pid_file','include','include_dir','include_if_exists']))",messageExpression="'parameters: \"' + self.filter(k, k in ['agtm_host','agtm_port','pgxc_node_name','adb_node_type','listen_addresses','port','unix_socket_directories','unix_socket_group','unix_socket_permissions','data_directory','config_file','hba_file','ident_file','external_pid_file','include','include_dir','include_if_exists'])[0] + '\" cannot be set: the operator keeps it, since nodes find each other by it'"
type Parameters map[string]string

// Addressing is a way to name nodes to each other.
//
// +kubebuilder:validation:Enum=DNS;ClusterIP
type Addressing string

// The ways of addressing.
const (
	AddressingDNS       Addressing = "DNS"
	AddressingClusterIP Addressing = "ClusterIP"
)

// VolumeRetention is the fate of volumes of a deleted cluster.
//
// +kubebuilder:validation:Enum=Delete;Retain
type VolumeRetention string

// The fates of volumes.
const (
	VolumeRetentionDelete VolumeRetention = "Delete"
	VolumeRetentionRetain VolumeRetention = "Retain"
)

// SecretReference names a Secret of the cluster's own namespace.
type SecretReference struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// BootstrapSpec is the content of a new cluster. It cannot be changed later.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.bootstrap cannot be changed once the cluster exists: it runs once"
// +kubebuilder:validation:XValidation:rule="!has(self.database) || !(self.database in ['postgres', 'template0', 'template1', 'antdb'])",messageExpression="'spec.bootstrap.database \"' + self.database + '\" is not allowed: the engine makes postgres, template0, template1 and antdb itself'"
// +kubebuilder:validation:XValidation:rule="!has(self.owner) || self.owner != 'postgres'",message="spec.bootstrap.owner \"postgres\" is not allowed: the superuser must not own the application's database"
type BootstrapSpec struct {
	// Database of the application.
	// +kubebuilder:default=app
	// +kubebuilder:validation:Pattern=`^[a-z_][a-z0-9_]{0,62}$`
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Database string `json:"database,omitempty"`
	// Owner of the database, a role that may log in.
	// +kubebuilder:default=app
	// +kubebuilder:validation:Pattern=`^[a-z_][a-z0-9_]{0,62}$`
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Owner string `json:"owner,omitempty"`
	// Secret of type kubernetes.io/basic-auth with the owner's password; its username must equal Owner. Without it the
	// Secret CLUSTER-app is generated.
	// +optional
	Secret *SecretReference `json:"secret,omitempty"`
	// PostInitSQL statements run once, in order, as superuser in the database postgres, through one coordinator.
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	// +optional
	PostInitSQL []string `json:"postInitSQL,omitempty"`
	// PostInitApplicationSQL statements run once, in order, as superuser in the application's database, after
	// PostInitSQL.
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	// +optional
	PostInitApplicationSQL []string `json:"postInitApplicationSQL,omitempty"`
}

// InstancesPerNode is one primary and its standbys.
//
// +kubebuilder:validation:Minimum=1
// +kubebuilder:validation:XValidation:rule="self == 1",message="allowed is 1: standbys are not supported yet"
type InstancesPerNode int32

// GTMSpec describes gc.
type GTMSpec struct {
	// +kubebuilder:default=1
	// +optional
	Instances InstancesPerNode `json:"instances,omitempty"`
	RoleSpec  `json:",inline"`
}

// CoordinatorsSpec describes cn1, cn2, …
type CoordinatorsSpec struct {
	// Count of coordinators. It can be changed at any time: the operator then makes an AntDBOperation that adds or
	// removes them, the ones with the highest numbers first.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 15",message="allowed are 1 to 15 coordinators: the engine knows at most 16 (max_coordinators), and gc is one of them"
	Count int32 `json:"count"`
	// DrainTimeout is how long sessions of a coordinator that leaves may go on before they are ended.
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",messageExpression="'drainTimeout \"' + self + '\": allowed are durations such as 90s, 5m or 24h'"
	// +kubebuilder:validation:MaxLength=32
	// +optional
	DrainTimeout *metav1.Duration `json:"drainTimeout,omitempty"`
	// EvictAfter is how long a coordinator may be down before it is taken out of the cluster, so that DDL runs again
	// without it; the counts then bring another one in its place. Never without it.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",messageExpression="'evictAfter \"' + self + '\": allowed are durations such as 90s, 5m or 24h'"
	// +kubebuilder:validation:MaxLength=32
	// +optional
	EvictAfter *metav1.Duration `json:"evictAfter,omitempty"`
	RoleSpec   `json:",inline"`
	// Overrides for single nodes.
	// +kubebuilder:validation:MaxItems=15
	// +listType=map
	// +listMapKey=name
	// +optional
	Overrides []NodeOverride `json:"overrides,omitempty"`
}

// DatanodesSpec describes dn1, dn2, …
type DatanodesSpec struct {
	// Count of datanodes. It can be changed at any time: the operator then makes an AntDBOperation that adds or removes
	// them, the ones with the highest numbers first, and moves the rows.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 16",message="allowed are 1 to 16 datanodes: the engine knows no more (max_datanodes)"
	Count int32 `json:"count"`
	// Strategy for the rows when datanodes are added: Redistribute moves them table by table to any number of new ones.
	// Split makes each new one as a copy of a present one and divides the rows of the two in one pause of some seconds;
	// it takes a count that is a multiple of the present one.
	// +kubebuilder:default=Redistribute
	// +optional
	Strategy RebalanceStrategy `json:"strategy,omitempty"`
	// +kubebuilder:default=1
	// +optional
	Instances InstancesPerNode `json:"instances,omitempty"`
	RoleSpec  `json:",inline"`
	// Overrides for single nodes.
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	// +optional
	Overrides []NodeOverride `json:"overrides,omitempty"`
}

// RoleSpec is what every role has.
//
// +kubebuilder:validation:XValidation:rule="has(self.walStorage) == has(oldSelf.walStorage)",message="walStorage cannot be added or removed once the cluster exists"
type RoleSpec struct {
	// Image for this role in place of spec.image.
	// +kubebuilder:validation:MinLength=1
	// +optional
	Image string `json:"image,omitempty"`
	// Storage of the data directory.
	Storage StorageSpec `json:"storage"`
	// WALStorage is a volume of its own for the write-ahead log.
	// +optional
	WALStorage *StorageSpec `json:"walStorage,omitempty"`
	// Resources of the database container.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
	// Parameters for this role; they win over spec.parameters.
	// +optional
	Parameters Parameters `json:"parameters,omitempty"`
	// NodeSelector of the pods.
	// +kubebuilder:validation:MaxProperties=32
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Tolerations of the pods.
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// StorageSpec is one volume.
//
// +kubebuilder:validation:XValidation:rule="has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",message="storageClassName cannot be changed once the cluster exists: a volume stays in its class"
type StorageSpec struct {
	// Size of the volume. It can grow later if its class allows it; it cannot shrink.
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",message="allowed is a quantity above 0, such as 10Gi"
	// +kubebuilder:validation:XValidation:rule="!isQuantity(self) || !quantity(self).isLessThan(quantity(oldSelf))",message="a volume cannot shrink: allowed is the present size or more"
	Size string `json:"size"`
	// StorageClassName of the volume; the default class without it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	StorageClassName *string `json:"storageClassName,omitempty"`
}

// NodeOverride changes settings of one node.
type NodeOverride struct {
	// Name of the node, such as dn2. It need not exist yet.
	// +kubebuilder:validation:MaxLength=4
	// +kubebuilder:validation:Pattern=`^(cn|dn)[1-9][0-9]?$`
	Name string `json:"name"`
	// Storage of this node in place of its role's.
	// +optional
	Storage *StorageSpec `json:"storage,omitempty"`
	// WALStorage of this node in place of its role's; only where the role has one.
	// +optional
	WALStorage *StorageSpec `json:"walStorage,omitempty"`
	// Resources of this node in place of its role's.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// Parameters for this node; they win over its role's.
	// +optional
	Parameters Parameters `json:"parameters,omitempty"`
}

// NetworkPolicySpec decides whether the operator writes NetworkPolicies, and whom they let in.
type NetworkPolicySpec struct {
	// Enabled makes the operator write NetworkPolicies for the cluster: every port among its own pods, port 5432 of
	// the coordinators for applications, nothing else.
	// +kubebuilder:default=true
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// ApplicationPeers may reach the coordinators on port 5432. Everybody may when it is empty.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	ApplicationPeers []networkingv1.NetworkPolicyPeer `json:"applicationPeers,omitempty"`
	// MonitoringPeers may reach the metrics of every pod on port 9187. Nobody may when it is empty.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	MonitoringPeers []networkingv1.NetworkPolicyPeer `json:"monitoringPeers,omitempty"`
}

// AffinitySpec spreads pods.
type AffinitySpec struct {
	// PodAntiAffinity keeps pods of one role on different hosts: preferred (default), required, or disabled.
	// +kubebuilder:default=preferred
	// +kubebuilder:validation:Enum=preferred;required;disabled
	// +optional
	PodAntiAffinity string `json:"podAntiAffinity,omitempty"`
	// TopologyKey over which they are spread.
	// +kubebuilder:default=kubernetes.io/hostname
	// +optional
	TopologyKey string `json:"topologyKey,omitempty"`
}
