// SPDX-License-Identifier: Apache-2.0

// Package naming spells every name, label, annotation, port and path of a cluster's objects.
//
// It knows how things are called and which names fit; it knows nothing of what the things contain.
package naming

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// Labels and annotations on the objects of a cluster.
const (
	LabelName         = "app.kubernetes.io/name"
	LabelInstance     = "app.kubernetes.io/instance"
	LabelComponent    = "app.kubernetes.io/component"
	LabelManagedBy    = "app.kubernetes.io/managed-by"
	LabelCluster      = "antdb.io/cluster"
	LabelRole         = "antdb.io/role"
	LabelNode         = "antdb.io/node"
	LabelInstanceRole = "antdb.io/instance-role"
	// LabelServing is set to "true" by the instance itself while SQL runs on it and its catalog is right.
	LabelServing = "antdb.io/serving"
	// LabelAccepting is set to "true" by the instance itself while its server accepts connections.
	LabelAccepting = "antdb.io/accepting"
	// LabelVolume tells data volumes from WAL volumes.
	LabelVolume = "antdb.io/volume"
	// LabelBenchmark names the cluster that a pod measures. Such a pod must not have LabelCluster: instances let in the
	// pods of their cluster without password.
	LabelBenchmark = "antdb.io/benchmark"

	// AnnotationClusterUID marks whose data a volume holds.
	AnnotationClusterUID = "antdb.io/cluster-uid"
	// AnnotationTemplate is the hash of the pod template; a pod with another one is replaced.
	AnnotationTemplate = "antdb.io/template-hash"
	// AnnotationApplied is the hash of what the operator applied last, so that an unchanged object is not sent again.
	AnnotationApplied = "antdb.io/applied-hash"
	// AnnotationReport changes whenever the instance has something new to tell; it wakes the operator.
	AnnotationReport = "antdb.io/report"
	// AnnotationNudge is changed by the operator to make the kubelet bring changed Secrets into the pod at once.
	AnnotationNudge = "antdb.io/secrets-nudge"
	// AnnotationRestartedFor is the request to restart for which a pod was made: its server need not be restarted for it.
	AnnotationRestartedFor = "antdb.io/restarted-for"
	// AnnotationMember is the state of the member that a claim belongs to, so that members can be told from claims alone.
	AnnotationMember = "antdb.io/member"
	// AnnotationJoined marks the claims of a node that was added to a running cluster.
	AnnotationJoined = "antdb.io/joined"
	// AnnotationRetainUntil is when the claims of a node that left are deleted.
	AnnotationRetainUntil = "antdb.io/retain-until"

	// ConditionServing is the pod condition with which an instance tells whether it serves, and why not.
	ConditionServing = "antdb.io/Serving"
	// ConditionAccepting is the pod condition, and readiness gate, with which an instance tells whether its server accepts
	// connections.
	ConditionAccepting = "antdb.io/Accepting"

	// App is the value of app.kubernetes.io/name on clusters' objects.
	App = "antdb"
	// Operator is the name of the operator: its Deployment, its field owner, the value of managed-by.
	Operator = "antdb-operator"
)

// SplitPrefix begins the names of what the instances of datanodes make while these are divided: replication slots and
// restore points. Slots with other names are somebody else's.
const SplitPrefix = "antdb_split_"

// Values of LabelInstanceRole and LabelVolume.
const (
	InstancePrimary = "primary"
	InstanceStandby = "standby"
	VolumeData      = "data"
	VolumeWAL       = "wal"
)

// Ports of a pod.
const (
	PortSQL      = antdb.Port
	PortInstance = 8443
	PortMetrics  = 9187
)

// Paths in a pod.
const (
	PathVolume      = "/var/lib/antdb"
	PathWALVolume   = "/var/lib/antdb-wal"
	PathSockets     = "/run/antdb"
	PathManager     = "/opt/antdb-instance"
	PathCertificate = "/etc/antdb/tls"
	PathConfig      = "/etc/antdb/config"
	PathSuperuser   = "/etc/antdb/superuser"
	PathApplication = "/etc/antdb/app"
)

// Container names.
const (
	ContainerDatabase = "antdb"
	ContainerManager  = "instance-manager"
)

// ApplicationService is the Service that applications use.
func ApplicationService(cluster string) string { return cluster }

// NodeService is the Service with the ClusterIP of a node.
func NodeService(cluster, node string) string { return cluster + "-" + node }

// HeadlessService is the headless Service of a node, the one in pgxc_node.
func HeadlessService(cluster, node string) string { return cluster + "-" + node + "-h" }

// Host is the address of a Service inside Kubernetes, whatever the cluster's DNS domain is.
func Host(service, namespace string) string { return service + "." + namespace + ".svc" }

// Instance is the pod of the n-th instance of a node. Numbers are never reused.
func Instance(cluster, node string, serial int) string {
	return cluster + "-" + node + "-" + strconv.Itoa(serial)
}

// ParseInstance takes an instance's name apart.
func ParseInstance(cluster, name string) (node string, serial int, err error) {
	rest, ok := strings.CutPrefix(name, cluster+"-")
	node, number, ok2 := strings.Cut(rest, "-")
	if !ok || !ok2 {
		return "", 0, fmt.Errorf("instance name %q: not of cluster %q", name, cluster)
	}
	if serial, err = strconv.Atoi(number); err != nil {
		return "", 0, fmt.Errorf("instance name %q: number %q: %w", name, number, err)
	}
	if node == "" || serial < 1 || Instance(cluster, node, serial) != name {
		return "", 0, fmt.Errorf("instance name %q: not of cluster %q", name, cluster)
	}
	return node, serial, nil
}

// DataVolume is the claim of an instance's data directory.
func DataVolume(instance string) string { return instance }

// WALVolume is the claim of an instance's write-ahead log.
func WALVolume(instance string) string { return instance + "-wal" }

// SuperuserSecret is the generated Secret of the superuser.
func SuperuserSecret(cluster string) string { return cluster + "-superuser" }

// ApplicationSecret is the generated Secret of the application's owner.
func ApplicationSecret(cluster string) string { return cluster + "-app" }

// RoleSecret is the Secret that kubectl antdb makes for a role. Names of roles have underscores where those of Secrets have
// hyphens.
func RoleSecret(cluster, role string) string {
	return cluster + "-user-" + strings.ReplaceAll(role, "_", "-")
}

// CASecret holds the certificate authority of a cluster's instance API.
func CASecret(cluster string) string { return cluster + "-ca" }

// InstancesTLSSecret holds the server certificate of a cluster's instances.
func InstancesTLSSecret(cluster string) string { return cluster + "-instances-tls" }

// ConfigMap holds the first configuration of each node.
func ConfigMap(cluster string) string { return cluster + "-config" }

// ConfigKey is a node's key in the ConfigMap.
func ConfigKey(node string) string { return node + ".json" }

// ServiceAccount of a cluster's instances; their Role and RoleBinding have the same name.
func ServiceAccount(cluster string) string { return cluster + "-instance" }

// PodDisruptionBudget of a role.
func PodDisruptionBudget(cluster string, r antdb.Role) string { return cluster + "-" + string(r) }

// NetworkPolicyCluster is the policy over all pods of a cluster.
func NetworkPolicyCluster(cluster string) string { return cluster + "-cluster" }

// NetworkPolicyApplications is the policy that opens the coordinators.
func NetworkPolicyApplications(cluster string) string { return cluster + "-applications" }

// TLSServerName is the name in the certificate of a cluster's instances.
func TLSServerName(cluster, namespace string) string {
	return "instance." + cluster + "." + namespace + ".antdb.io"
}

// OperatorCommonName is the name in the operator's client certificate.
const OperatorCommonName = Operator

// Operation is the n-th operation that the operator itself makes for a cluster.
func Operation(cluster string, serial int) string { return cluster + "-op" + strconv.Itoa(serial) }

// OperationSerial is the number of an operation that the operator made; 0 of any other name.
func OperationSerial(cluster, name string) int {
	rest, ok := strings.CutPrefix(name, cluster+"-op")
	n, err := strconv.Atoi(rest)
	if !ok || err != nil || n < 1 || Operation(cluster, n) != name {
		return 0
	}
	return n
}

// ClusterLabels are on every object of a cluster.
func ClusterLabels(cluster string) map[string]string {
	return map[string]string{
		LabelName:      App,
		LabelInstance:  cluster,
		LabelManagedBy: Operator,
		LabelCluster:   cluster,
	}
}

// RoleSelector selects the pods of a role.
func RoleSelector(cluster string, r antdb.Role) map[string]string {
	return map[string]string{LabelCluster: cluster, LabelRole: string(r)}
}

// NodeLabels are on every object of a node.
func NodeLabels(cluster string, r antdb.Role, node string) map[string]string {
	l := ClusterLabels(cluster)
	l[LabelComponent] = string(r)
	l[LabelRole] = string(r)
	l[LabelNode] = node
	return l
}

// CheckLength refuses a cluster whose node addresses would not fit into pgxc_node.
func CheckLength(cluster, namespace, longestNode string) error {
	host := Host(HeadlessService(cluster, longestNode), namespace)
	if len(host) <= antdb.MaxHostBytes {
		return nil
	}
	return fmt.Errorf("metadata.name %q in namespace %q: the node address %q has %d bytes, AntDB allows %d: "+
		"shorten the name or the namespace by %d", cluster, namespace, host, len(host), antdb.MaxHostBytes,
		len(host)-antdb.MaxHostBytes)
}
