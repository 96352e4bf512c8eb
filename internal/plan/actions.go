// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/operation"
)

// Action is one thing to do besides applying objects. The set is closed; each action is idempotent and says in a
// sentence what it does.
type Action interface {
	String() string
	sealed()
}

// DeletePod removes a pod, which the next pass makes anew.
type DeletePod struct {
	Pod, UID, Why string
}

// NudgePod makes the kubelet bring changed Secrets into a pod at once, by changing an annotation of it.
type NudgePod struct {
	Pod, UID, Version string
}

// PutTopology hands the wanted node catalog to gc or a coordinator.
type PutTopology struct {
	Instance string
	Topology instanceapi.Topology
}

// PutConfig hands out a configuration.
type PutConfig struct {
	Instance string
	Config   instanceapi.Config
}

// RestartServer restarts the server of one instance; its pod stays.
type RestartServer struct {
	Instance string
	Restart  instanceapi.Restart
}

// ReloadServer makes one server read its files anew, which are written anew.
type ReloadServer struct {
	Instance string
	Reload   instanceapi.Reload
}

// StartBootstrap fills a new cluster through a coordinator.
type StartBootstrap struct {
	Instance  string
	Bootstrap instanceapi.Bootstrap
}

// ApplyCredentials makes the passwords in the database equal to the Secrets, through a coordinator.
type ApplyCredentials struct {
	Instance string
	Roles    []string
}

// PutRoles hands the roles of spec.managed to a coordinator, which makes them; without any it forgets those that it has.
type PutRoles struct {
	Instance string
	Roles    instanceapi.Roles
}

// ForgetRequest removes an annotation with which the user asked for something that is done, or that is not allowed. Where
// Value is told, one that has another by now stays.
type ForgetRequest struct {
	Annotation, Value string
}

// EscapeGTMWait makes gc forget coordinators that it waits for.
type EscapeGTMWait struct {
	Instance string
	Escape   instanceapi.Escape
}

// Instruct gives an instance an order of an operation.
type Instruct struct {
	Instance string
	Order    operation.Order
}

// CreateOperation makes an operation since the counts ask for it.
type CreateOperation struct {
	Operation *v1alpha1.AntDBOperation
}

// CancelOperation asks an operation of the operator's own to stop.
type CancelOperation struct {
	Name string
}

// HoldOperation keeps an operation that begins from being deleted before it is undone; ReleaseOperation lets go one that
// has ended.
type (
	HoldOperation    struct{ Name string }
	ReleaseOperation struct{ Name string }
)

// DeleteOperation removes an operation that ended long ago.
type DeleteOperation struct {
	Name, UID string
}

// DeleteClaim removes a volume claim of a node that is no more.
type DeleteClaim struct {
	Claim, UID, Why string
}

// DeleteService removes a Service of a node that is no more.
type DeleteService struct {
	Service, UID string
}

// MarkClaim writes on a claim until when it is kept.
type MarkClaim struct {
	Claim string
	Until string
}

func (a Instruct) String() string { return a.Instance + ": " + a.Order.String() }
func (a CreateOperation) String() string {
	return "make operation " + a.Operation.Name + ": " + string(a.Operation.Spec.Type) + " " + strings.Join(a.Operation.Spec.Nodes, ", ")
}
func (a CancelOperation) String() string {
	return "cancel operation " + a.Name + ": the counts have changed"
}
func (a HoldOperation) String() string    { return "keep operation " + a.Name + " while it runs" }
func (a ReleaseOperation) String() string { return "let go operation " + a.Name }
func (a DeleteOperation) String() string {
	return "delete operation " + a.Name + ": it has ended, and newer ones are kept"
}
func (a DeleteClaim) String() string   { return "delete volume claim " + a.Claim + ": " + a.Why }
func (a DeleteService) String() string { return "delete Service " + a.Service }
func (a MarkClaim) String() string     { return "keep volume claim " + a.Claim + " until " + a.Until }

func (a DeletePod) String() string { return "delete pod " + a.Pod + ": " + a.Why }
func (a NudgePod) String() string  { return "bring changed Secrets into pod " + a.Pod }
func (a PutTopology) String() string {
	return "hand topology " + a.Topology.Hash() + " to " + a.Instance
}
func (a PutConfig) String() string {
	return "hand configuration " + a.Config.Hash() + " to " + a.Instance
}
func (a RestartServer) String() string  { return "restart " + a.Instance + ": " + a.Restart.Reason }
func (a ReloadServer) String() string   { return "reload " + a.Instance + ", as asked" }
func (a StartBootstrap) String() string { return "bootstrap through " + a.Instance }
func (a ApplyCredentials) String() string {
	return "apply changed passwords of " + strings.Join(a.Roles, ", ") + " through " + a.Instance
}
func (a PutRoles) String() string {
	if len(a.Roles.Roles) == 0 {
		return "make " + a.Instance + " forget managed roles"
	}
	return "make managed roles " + a.Roles.Hash() + " through " + a.Instance
}
func (a ForgetRequest) String() string {
	return "remove the annotation " + a.Annotation + ", which has been answered"
}
func (a EscapeGTMWait) String() string {
	return "make gc forget " + strings.Join(a.Escape.Drop, ", ") + " through " + a.Instance
}

func (DeletePod) sealed()        {}
func (NudgePod) sealed()         {}
func (PutTopology) sealed()      {}
func (PutConfig) sealed()        {}
func (RestartServer) sealed()    {}
func (ReloadServer) sealed()     {}
func (StartBootstrap) sealed()   {}
func (ApplyCredentials) sealed() {}
func (PutRoles) sealed()         {}
func (ForgetRequest) sealed()    {}
func (EscapeGTMWait) sealed()    {}
func (Instruct) sealed()         {}
func (CreateOperation) sealed()  {}
func (CancelOperation) sealed()  {}
func (HoldOperation) sealed()    {}
func (ReleaseOperation) sealed() {}
func (DeleteOperation) sealed()  {}
func (DeleteClaim) sealed()      {}
func (DeleteService) sealed()    {}
func (MarkClaim) sealed()        {}
