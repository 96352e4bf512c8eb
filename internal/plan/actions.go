// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
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

// ForgetRequest removes an annotation with which the user asked for something that is done.
type ForgetRequest struct {
	Annotation string
}

// EscapeGTMWait makes gc forget coordinators that it waits for.
type EscapeGTMWait struct {
	Instance string
	Escape   instanceapi.Escape
}

func (a DeletePod) String() string { return "delete pod " + a.Pod + ": " + a.Why }
func (a NudgePod) String() string  { return "bring changed Secrets into pod " + a.Pod }
func (a PutTopology) String() string {
	return "hand topology " + a.Topology.Hash() + " to " + a.Instance
}
func (a PutConfig) String() string {
	return "hand configuration " + a.Config.Hash() + " to " + a.Instance
}
func (a RestartServer) String() string  { return "restart " + a.Instance + ": " + a.Restart.Reason }
func (a StartBootstrap) String() string { return "bootstrap through " + a.Instance }
func (a ApplyCredentials) String() string {
	return "apply changed passwords of " + strings.Join(a.Roles, ", ") + " through " + a.Instance
}
func (a ForgetRequest) String() string {
	return "remove the annotation " + a.Annotation + ": it is done"
}
func (a EscapeGTMWait) String() string {
	return "make gc forget " + strings.Join(a.Escape.Drop, ", ") + " through " + a.Instance
}

func (DeletePod) sealed()        {}
func (NudgePod) sealed()         {}
func (PutTopology) sealed()      {}
func (PutConfig) sealed()        {}
func (RestartServer) sealed()    {}
func (StartBootstrap) sealed()   {}
func (ApplyCredentials) sealed() {}
func (ForgetRequest) sealed()    {}
func (EscapeGTMWait) sealed()    {}
