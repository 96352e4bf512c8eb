// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AntDBOperation is one long procedure on a cluster: nodes are added or removed, or rows are moved between datanodes. The
// operator makes one when the counts of a cluster change; users make one for what counts cannot say. At most one runs on
// a cluster at a time; others wait.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=antdboperations,singular=antdboperation,shortName=adbop,categories=all
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.cluster`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Nodes",type=string,JSONPath=`.spec.nodes`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Progress",type=string,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.message`
type AntDBOperation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec AntDBOperationSpec `json:"spec"`
	// +optional
	Status AntDBOperationStatus `json:"status,omitempty"`
}

// AntDBOperationList is a list of operations.
//
// +kubebuilder:object:root=true
type AntDBOperationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AntDBOperation `json:"items"`
}

// OperationType says what an operation does.
//
// +kubebuilder:validation:Enum=AddNodes;RemoveNodes;EvictNodes;DrainNodes;Rebalance
type OperationType string

// The types of operations.
const (
	// OperationAddNodes makes new coordinators or datanodes, and gives new datanodes their share of the rows.
	OperationAddNodes OperationType = "AddNodes"
	// OperationRemoveNodes takes coordinators or datanodes out, after sessions have ended or rows have been moved.
	OperationRemoveNodes OperationType = "RemoveNodes"
	// OperationEvictNodes takes coordinators out that are down and whose transactions are decided.
	OperationEvictNodes OperationType = "EvictNodes"
	// OperationDrainNodes moves all rows off datanodes that stay in the cluster.
	OperationDrainNodes OperationType = "DrainNodes"
	// OperationRebalance spreads every table evenly over all datanodes.
	OperationRebalance OperationType = "Rebalance"
)

// RebalanceStrategy is a way to give new datanodes their share.
//
// +kubebuilder:validation:Enum=Redistribute;Split
type RebalanceStrategy string

// The ways to give new datanodes their share.
const (
	// StrategyRedistribute moves rows table by table, so that all datanodes hold even shares.
	StrategyRedistribute RebalanceStrategy = "Redistribute"
	// StrategySplit makes every new datanode as a copy of a present one that follows it, and divides the rows of the two in
	// one moment. There must be a whole multiple of the present datanodes more: 3 become 6 or 9.
	StrategySplit RebalanceStrategy = "Split"
)

// AntDBOperationSpec is what to do.
//
// +kubebuilder:validation:XValidation:rule="self.cluster == oldSelf.cluster && self.type == oldSelf.type && has(self.nodes) == has(oldSelf.nodes) && (!has(self.nodes) || self.nodes == oldSelf.nodes)",message="spec.cluster, spec.type and spec.nodes cannot be changed: make another operation"
// +kubebuilder:validation:XValidation:rule="!oldSelf.cancel || self.cancel",message="spec.cancel cannot be taken back: make another operation"
// +kubebuilder:validation:XValidation:rule="self.type == 'Rebalance' ? (!has(self.nodes) || size(self.nodes) == 0) : (has(self.nodes) && size(self.nodes) > 0)",messageExpression="self.type == 'Rebalance' ? 'spec.nodes is not allowed for Rebalance: it concerns all datanodes' : 'spec.nodes is empty: ' + self.type + ' needs the names of nodes, such as cn3 or dn4'"
// +kubebuilder:validation:XValidation:rule="!has(self.nodes) || self.nodes.all(n, n.startsWith('cn')) || self.nodes.all(n, n.startsWith('dn'))",message="spec.nodes: coordinators and datanodes cannot be mixed in one operation"
// +kubebuilder:validation:XValidation:rule="self.type != 'DrainNodes' || self.nodes.all(n, n.startsWith('dn'))",message="spec.nodes: allowed for DrainNodes are datanodes (dn1, dn2, …): coordinators hold no rows"
// +kubebuilder:validation:XValidation:rule="self.type != 'EvictNodes' || self.nodes.all(n, n.startsWith('cn'))",message="spec.nodes: allowed for EvictNodes are coordinators (cn1, cn2, …): a datanode that is down holds rows"
type AntDBOperationSpec struct {
	// Cluster is the name of the AntDBCluster in the same namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Cluster string        `json:"cluster"`
	Type    OperationType `json:"type"`
	// Nodes that are added, removed or drained: coordinators or datanodes, not both.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=4
	// +kubebuilder:validation:items:Pattern=`^(cn|dn)[1-9][0-9]?$`
	// +listType=set
	// +optional
	Nodes []string `json:"nodes,omitempty"`
	// Strategy for the rows of new datanodes. Split takes as many as there are datanodes, or a multiple of that.
	// +kubebuilder:default=Redistribute
	// +optional
	Strategy RebalanceStrategy `json:"strategy,omitempty"`
	// PlanOnly computes what would be done, writes it to status.plan and changes nothing.
	// +optional
	PlanOnly bool `json:"planOnly,omitempty"`
	// DrainTimeout is how long sessions of a leaving coordinator may go on before they are ended; the cluster's
	// spec.coordinators.drainTimeout without it.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",messageExpression="'spec.drainTimeout \"' + self + '\": allowed are durations such as 90s, 5m or 24h'"
	// +kubebuilder:validation:MaxLength=32
	// +optional
	DrainTimeout *metav1.Duration `json:"drainTimeout,omitempty"`
	// MaxPause bounds how long the move of one table may wait for its locks while it holds all statements of the
	// cluster back. It is tried again later when that was not enough.
	// +kubebuilder:default="5s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",messageExpression="'spec.maxPause \"' + self + '\": allowed are durations such as 90s, 5m or 24h'"
	// +kubebuilder:validation:MaxLength=32
	// +optional
	MaxPause *metav1.Duration `json:"maxPause,omitempty"`
	// Cancel stops the operation at the next safe point and undoes what can be undone.
	// +kubebuilder:default=false
	// +optional
	Cancel bool `json:"cancel,omitempty"`
}

// OperationPhase is how far an operation is.
type OperationPhase string

// The phases of an operation. Completed, Cancelled, Failed and Refused are ends.
const (
	// OperationPending: it waits for another operation, or for the cluster to be fit for it; the message says for what.
	OperationPending OperationPhase = "Pending"
	// OperationRunning: a step is being carried out.
	OperationRunning OperationPhase = "Running"
	// OperationUndoing: it was cancelled, or a step failed, and what was done is being undone.
	OperationUndoing OperationPhase = "Undoing"
	// OperationCompleted: everything is done.
	OperationCompleted OperationPhase = "Completed"
	// OperationCancelled: it was cancelled and is undone.
	OperationCancelled OperationPhase = "Cancelled"
	// OperationFailed: it could not be done and is undone; the message says why.
	OperationFailed OperationPhase = "Failed"
	// OperationRefused: it asks for something that is not allowed; nothing was changed.
	OperationRefused OperationPhase = "Refused"
)

// AntDBOperationStatus is the journal of an operation. It is read back: an operator that starts anew goes on from here.
type AntDBOperationStatus struct {
	// +optional
	Phase OperationPhase `json:"phase,omitempty"`
	// Message says in words what is going on, what is waited for, or why it ended.
	// +optional
	Message string `json:"message,omitempty"`
	// Progress is a short text for printing, such as "3/5 tables, 62%".
	// +optional
	Progress string `json:"progress,omitempty"`
	// Attempt counts how often the operation was begun anew after something it relies on was lost, such as the lock
	// that keeps DDL out. Tokens of orders to instances contain it.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// PointOfNoReturn says that the operation will be completed whatever happens and cannot be cancelled any more.
	// +optional
	PointOfNoReturn bool `json:"pointOfNoReturn,omitempty"`
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// +optional
	EndedAt *metav1.Time `json:"endedAt,omitempty"`
	// Steps in their order.
	// +listType=map
	// +listMapKey=name
	// +optional
	Steps []OperationStep `json:"steps,omitempty"`
	// Move is what the move of rows has done, for operations that have one.
	// +optional
	Move *MoveStatus `json:"move,omitempty"`
	// Split is what is known of the division of datanodes, for operations with the strategy Split.
	// +optional
	Split *SplitStatus `json:"split,omitempty"`
}

// StepState is how far a step is.
type StepState string

// The states of a step.
const (
	StepWaiting StepState = "Waiting"
	StepRunning StepState = "Running"
	StepDone    StepState = "Done"
	StepUndone  StepState = "Undone"
	StepSkipped StepState = "Skipped"
	StepFailed  StepState = "Failed"
)

// OperationStep is one entry of the journal.
type OperationStep struct {
	// Name of the step, such as LockDDL.
	Name  string    `json:"name"`
	State StepState `json:"state"`
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// +optional
	EndedAt *metav1.Time `json:"endedAt,omitempty"`
	// Message says what the step did, does, or waits for.
	// +optional
	Message string `json:"message,omitempty"`
}

// SplitStatus tells of the division of datanodes with copies of them, or, with spec.planOnly, of what would be divided.
type SplitStatus struct {
	// Sources are the present datanodes.
	// +listType=map
	// +listMapKey=name
	// +optional
	Sources []SplitSource `json:"sources,omitempty"`
	// Tables that are divided, in all databases.
	Tables int32 `json:"tables"`
	// LongestPauseMillis is the longest time for which the statements of the cluster were held back so far.
	// +optional
	LongestPauseMillis int64 `json:"longestPauseMillis,omitempty"`
	// Retries counts tries that gave way to transactions of applications.
	// +optional
	Retries int32 `json:"retries,omitempty"`
}

// SplitSource is a datanode that is divided.
type SplitSource struct {
	Name string `json:"name"`
	// Into are the new datanodes that become copies of it.
	// +listType=atomic
	// +optional
	Into []string `json:"into,omitempty"`
	// Bytes that it holds in all databases: each copy takes as much.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`
}

// MoveStatus tells of the move of rows between datanodes, or, with spec.planOnly, of what would be moved.
type MoveStatus struct {
	// TablesTotal and TablesDone count tables in all databases that must change their datanodes.
	TablesTotal int32 `json:"tablesTotal"`
	TablesDone  int32 `json:"tablesDone"`
	// RowsTotal and RowsDone are estimates from the server's statistics; BytesTotal and BytesDone are sizes on disk.
	RowsTotal  int64 `json:"rowsTotal"`
	RowsDone   int64 `json:"rowsDone"`
	BytesTotal int64 `json:"bytesTotal"`
	BytesDone  int64 `json:"bytesDone"`
	// SecondsLeft is how long it will take at the speed so far; of a plan, at a speed that is assumed.
	// +optional
	SecondsLeft int64 `json:"secondsLeft,omitempty"`
	// LongestPauseMillis is the longest time for which the statements of the cluster were held back so far; of a plan,
	// what is expected for the biggest table.
	// +optional
	LongestPauseMillis int64 `json:"longestPauseMillis,omitempty"`
	// Retries counts moves of tables that gave way to transactions of applications.
	// +optional
	Retries int32 `json:"retries,omitempty"`
	// Pinned names tables that a user put on certain datanodes and that stay there.
	// +listType=atomic
	// +optional
	Pinned []string `json:"pinned,omitempty"`
	// Tables are the biggest ones, at most 50; the totals count all.
	// +listType=atomic
	// +optional
	Tables []TableMove `json:"tables,omitempty"`
}

// TableMove is one table that must change its datanodes.
type TableMove struct {
	// Database and Table (schema.name) say which.
	Database string `json:"database"`
	Table    string `json:"table"`
	// Rows is an estimate; Bytes is the size on disk, over all datanodes.
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
	// State is Waiting, Running, Done or Failed.
	State StepState `json:"state"`
	// Message tells why it was put off or failed.
	// +optional
	Message string `json:"message,omitempty"`
}
