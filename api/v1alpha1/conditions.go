// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types of an AntDBCluster.
const (
	// ConditionReady is true when every node serves and a statement through a coordinator reached every datanode.
	ConditionReady = "Ready"
	// ConditionProgressing is true while the operator changes something: creating, restarting node by node, resizing.
	ConditionProgressing = "Progressing"
	// ConditionTopologySynced is true when pgxc_node on gc and on every coordinator equals the wanted rows.
	ConditionTopologySynced = "TopologySynced"
	// ConditionBootstrapped is true once owner, database and the SQL of spec.bootstrap are in place.
	ConditionBootstrapped = "Bootstrapped"
	// ConditionGTMAvailable is false while gc does not hand out snapshots, so that no statement runs anywhere.
	ConditionGTMAvailable = "GTMAvailable"
	// ConditionConfigurationApplied is true when every server runs with the parameters of the spec.
	ConditionConfigurationApplied = "ConfigurationApplied"
	// ConditionVolumesHealthy is true when every volume has the size that the spec wants.
	ConditionVolumesHealthy = "VolumesHealthy"
	// ConditionRolesReconciled is true when every role of spec.managed.roles is in the database as it is described.
	ConditionRolesReconciled = "RolesReconciled"
)

// Reasons of conditions, each for the person who reads it.
const (
	// ReasonAllNodesServe: every node serves.
	ReasonAllNodesServe = "AllNodesServe"
	// ReasonCreating: the cluster has not been Ready yet.
	ReasonCreating = "Creating"
	// ReasonNodesNotServing: at least one node does not serve; the message names it and says why.
	ReasonNodesNotServing = "NodesNotServing"
	// ReasonDatanodesUnreachable: nodes serve, but a statement did not reach every datanode.
	ReasonDatanodesUnreachable = "DatanodesUnreachable"
	// ReasonCoordinatorsUnreachable: nodes serve, but a statement did not reach every coordinator and gc; DDL fails.
	ReasonCoordinatorsUnreachable = "CoordinatorsUnreachable"
	// ReasonInvalidSpec: the spec cannot be carried out; the message names the field, the value and the rule.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonSecretMissing: a Secret that the spec names does not exist.
	ReasonSecretMissing = "SecretMissing"
	// ReasonVolumeRefused: a volume holds another cluster's data and is not touched.
	ReasonVolumeRefused = "VolumeRefused"
	// ReasonPaused: spec.paused is set, and the operator changes nothing; the message tells how it goes on.
	ReasonPaused = "Paused"
	// ReasonStopping: spec.stopped is set and pods are being taken away; the message of Ready names those that are left,
	// that of Progressing the stage.
	ReasonStopping = "Stopping"
	// ReasonStopped: spec.stopped is set, and no pod is left.
	ReasonStopped = "Stopped"
	// ReasonStopPending: spec.stopped is set, and an AntDBOperation must end first.
	ReasonStopPending = "StopPending"
	// ReasonStarting: the cluster was stopped and has not been Ready since.
	ReasonStarting = "Starting"
	// ReasonStable: nothing is being changed.
	ReasonStable = "Stable"
	// ReasonRestarting: servers are being restarted one at a time.
	ReasonRestarting = "Restarting"
	// ReasonRestartBlocked: a restart is due and waits; the message says for what.
	ReasonRestartBlocked = "RestartBlocked"
	// ReasonRequested: what a user asked for by an annotation is being done; the message tells what and who is left.
	ReasonRequested = "Requested"
	// ReasonReplacingPod: a pod is being replaced since its template changed.
	ReasonReplacingPod = "ReplacingPod"
	// ReasonOperating: an AntDBOperation runs; the message names it and its step.
	ReasonOperating = "Operating"
	// ReasonOperationPending: an AntDBOperation waits to begin or is about to be made; the message says for what.
	ReasonOperationPending = "OperationPending"
	// ReasonOperationFailed: the counts differ from the nodes that there are, and the last operation for them did not
	// succeed; the message says why and when it is tried again.
	ReasonOperationFailed = "OperationFailed"
	// ReasonCatalogsEqual: every catalog equals the wanted rows.
	ReasonCatalogsEqual = "CatalogsEqual"
	// ReasonWaitingForInstances: gc or a coordinator cannot be asked for its catalog yet.
	ReasonWaitingForInstances = "WaitingForInstances"
	// ReasonCatalogDiffers: a catalog differs from the wanted rows and is being repaired.
	ReasonCatalogDiffers = "CatalogDiffers"
	// ReasonBootstrapDone: spec.bootstrap has been carried out.
	ReasonBootstrapDone = "BootstrapDone"
	// ReasonBootstrapPending: spec.bootstrap has not begun.
	ReasonBootstrapPending = "BootstrapPending"
	// ReasonBootstrapRunning: spec.bootstrap is being carried out.
	ReasonBootstrapRunning = "BootstrapRunning"
	// ReasonBootstrapFailed: a statement of spec.bootstrap was refused; the message quotes it.
	ReasonBootstrapFailed = "BootstrapFailed"
	// ReasonNothingToBootstrap: the spec has no bootstrap section.
	ReasonNothingToBootstrap = "NothingToBootstrap"
	// ReasonGTMServes: gc hands out snapshots.
	ReasonGTMServes = "GTMServes"
	// ReasonGTMDown: the server of gc does not run.
	ReasonGTMDown = "GTMDown"
	// ReasonGTMWaitsForNodes: gc was restarted while a registered node is missing and hands out nothing until that
	// node is back or the engine's snap_restart_timeout is over.
	ReasonGTMWaitsForNodes = "GTMWaitsForNodes"
	// ReasonApplied: every server runs with the wanted parameters.
	ReasonApplied = "Applied"
	// ReasonApplying: parameters are being handed out.
	ReasonApplying = "Applying"
	// ReasonParameterRejected: a server refused a parameter and runs on with its old configuration.
	ReasonParameterRejected = "ParameterRejected"
	// ReasonResizing: a volume is growing.
	ReasonResizing = "Resizing"
	// ReasonResizeRefused: a volume cannot get the wanted size; the message says why.
	ReasonResizeRefused = "ResizeRefused"
	// ReasonSizesAsWanted: every volume has its size.
	ReasonSizesAsWanted = "SizesAsWanted"
	// ReasonRolesAsWanted: every role of spec.managed.roles is as it is described.
	ReasonRolesAsWanted = "RolesAsWanted"
	// ReasonNoManagedRoles: spec.managed.roles is empty.
	ReasonNoManagedRoles = "NoManagedRoles"
	// ReasonRolesPending: roles are being made as they are described, or wait for something; the message says for what.
	ReasonRolesPending = "RolesPending"
	// ReasonRoleFailed: a role cannot be made as it is described; the message says why.
	ReasonRoleFailed = "RoleFailed"
)

// Reasons of Kubernetes Events on an AntDBCluster, besides the reasons above.
const (
	EventCreating            = "Creating"
	EventReady               = "Ready"
	EventNotReady            = "NotReady"
	EventTopologySynced      = "TopologySynced"
	EventTopologyDrift       = "TopologyDrift"
	EventBootstrapped        = "Bootstrapped"
	EventPaused              = "Paused"
	EventResumed             = "Resumed"
	EventStopping            = "Stopping"
	EventStopped             = "Stopped"
	EventStarting            = "Starting"
	EventRequestRefused      = "RequestRefused"
	EventReloaded            = "Reloaded"
	EventReloadFailed        = "ReloadFailed"
	EventTopologyCompared    = "TopologyCompared"
	EventNodeRestarted       = "NodeRestarted"
	EventRestarting          = "Restarting"
	EventPodCreated          = "PodCreated"
	EventPodReplaced         = "PodReplaced"
	EventParametersApplied   = "ParametersApplied"
	EventCredentialsApplied  = "CredentialsApplied"
	EventVolumeResizing      = "VolumeResizing"
	EventGTMEscaped          = "GTMEscaped"
	EventCoordinatorReturned = "CoordinatorReturned"
	EventOperationStarted    = "OperationStarted"
	EventOperationCompleted  = "OperationCompleted"
	EventOperationCancelled  = "OperationCancelled"
	EventOperationFailed     = "OperationFailed"
	EventOperationRefused    = "OperationRefused"
	EventOperationRepeated   = "OperationRepeated"
	EventNodeAdded           = "NodeAdded"
	EventDatanodesSplit      = "DatanodesSplit"
	EventNodeRemoved         = "NodeRemoved"
	EventNodeForgotten       = "NodeForgotten"
	EventDDLLocked           = "DDLLocked"
	EventDDLUnlocked         = "DDLUnlocked"
	EventRoleReconciled      = "RoleReconciled"
)

// Annotations that users set on an AntDBCluster to ask for something.
const (
	// AnnotationEscapeGTMWait asks the operator to take the named coordinators ("cn2" or "cn2,cn3") out of gc's
	// catalog, so that a gc which waits for them starts to work again. The operator removes it once gc works, so that
	// nobody is left out a second time without being asked.
	AnnotationEscapeGTMWait = "antdb.io/escape-gtm-wait"
	// AnnotationRestart asks the operator to restart servers once, one at a time and each only while all others serve. Its
	// value is an id, such as the time, and after "/" the nodes that are meant: "2026-01-02T03:04:05Z/dn1,cn2"; without
	// nodes all are. The status of each instance tells the id for which it was restarted last, and the operator removes the
	// annotation when nobody is left.
	AnnotationRestart = "antdb.io/restart"
	// AnnotationReload asks the operator to let servers read their files anew, which are written anew before, and to let gc
	// and coordinators make their pools of connections anew. Its value is as that of AnnotationRestart. The status of each
	// instance tells the id for which that was done last, and what went wrong.
	AnnotationReload = "antdb.io/reload"
	// AnnotationTopologySync asks the operator to have gc and coordinators compare their node catalogs anew, and repair them. Its
	// value is as that of AnnotationRestart. The status of each instance tells the id for which that was done last, and what was
	// repaired.
	AnnotationTopologySync = "antdb.io/topology-sync"
)

// Annotations of an AntDBOperation that the operator made because counts changed.
const (
	// AnnotationForGeneration is the generation of the cluster's spec that the operation serves; an operation without
	// it was made by a user.
	AnnotationForGeneration = "antdb.io/for-generation"
)

// FinalizerOperation keeps an operation that has begun, whose journal says what must be undone. Deleting such an
// operation cancels it.
const FinalizerOperation = "antdb.io/operation"
