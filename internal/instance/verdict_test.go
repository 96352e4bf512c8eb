// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"strings"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/check"
	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// running are the facts of an instance with which everything is well.
func running(role antdb.Role, change func(*facts)) facts {
	f := facts{
		role: role, configured: true, server: supervise.Snapshot{Phase: supervise.Accepting, Mode: supervise.Normal},
		check: check.Report{State: check.Good}, given: true, equal: true,
	}
	if change != nil {
		change(&f)
	}
	return f
}

func TestAnInstanceServesOnlyWhenNothingSpeaksAgainstIt(t *testing.T) {
	const cn, dn, gc = antdb.RoleCoordinator, antdb.RoleDatanode, antdb.RoleGTM
	for name, c := range map[string]struct {
		facts   facts
		state   instanceapi.State
		reason  string
		message string
	}{
		"all is well":             {running(cn, nil), instanceapi.StateRunning, ReasonServing, ""},
		"a datanode has no rows":  {running(dn, func(f *facts) { f.given, f.equal = false, false }), instanceapi.StateRunning, ReasonServing, ""},
		"no topology":             {running(gc, func(f *facts) { f.given, f.equal = false, false }), instanceapi.StateRunning, ReasonNoTopology, "topology"},
		"the catalog differs":     {running(cn, func(f *facts) { f.equal, f.catalogError = false, "CREATE NODE failed" }), instanceapi.StateRunning, ReasonCatalogDiffers, "CREATE NODE failed"},
		"the catalog is not read": {running(cn, func(f *facts) { f.equal = false }), instanceapi.StateRunning, ReasonCatalogDiffers, "not yet known"},
		"no statement came back":  {running(dn, func(f *facts) { f.check = check.Report{} }), instanceapi.StateStarting, ReasonStarting, "not come up"},
		"gc waits": {
			running(gc, func(f *facts) { f.check = check.Report{State: check.Late} }),
			instanceapi.StateWaiting, ReasonNoAnswer, "every registered node",
		},
		"a node waits for gc": {
			running(cn, func(f *facts) { f.check = check.Report{State: check.Late} }),
			instanceapi.StateWaiting, ReasonNoAnswer, "waits for a snapshot from gc",
		},
		"a node was refused a snapshot": {
			running(dn, func(f *facts) { f.check = check.Report{State: check.Failed, Error: "wait stream timeout"} }),
			instanceapi.StateWaiting, ReasonNoAnswer, "wait stream timeout",
		},
		"the server is down": {
			running(dn, func(f *facts) { f.server = supervise.Snapshot{Phase: supervise.Stopped, LastExit: "signal: killed"} }),
			instanceapi.StateStopped, ReasonServerStopped, "signal: killed",
		},
		"the server starts": {
			running(dn, func(f *facts) { f.server = supervise.Snapshot{Phase: supervise.Starting} }),
			instanceapi.StateStarting, ReasonStarting, "not come up",
		},
		"a new node that is not kept yet": {running(cn, func(f *facts) { f.joining = true }), instanceapi.StateRunning, ReasonJoining, "being added"},
		"applications shall leave":        {running(cn, func(f *facts) { f.draining = true }), instanceapi.StateRunning, ReasonDraining, "sessions"},
		"it is restarted":                 {running(dn, func(f *facts) { f.restarting = "because" }), instanceapi.StateRestarting, ReasonRestarting, "because"},
		"nothing to go by":                {running(dn, func(f *facts) { f.configured = false }), instanceapi.StateStopped, ReasonNoConfiguration, "configuration"},
		"it is made":                      {running(dn, func(f *facts) { f.preparing = "initdb" }), instanceapi.StateInitializing, ReasonInitializing, "initdb"},
		"the volume is wrong":             {running(dn, func(f *facts) { f.refused, f.preparing = "of another", "x" }), instanceapi.StateRefused, ReasonVolumeRefused, "of another"},
		"the pod ends":                    {running(dn, func(f *facts) { f.shuttingDown = true }), instanceapi.StateStopped, ReasonShuttingDown, "ending"},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(c.facts)
			if got.state != c.state || got.reason != c.reason || got.serving != (c.reason == ReasonServing) || !strings.Contains(got.message, c.message) {
				t.Errorf("got %+v, want state %s, reason %s, a message with %q", got, c.state, c.reason, c.message)
			}
			if !got.serving && got.message == "" {
				t.Error("it does not serve and does not say why")
			}
		})
	}
}

func TestTheReportChangesWithWhatMattersOnly(t *testing.T) {
	s := instanceapi.Status{Node: "dn1", Serving: true}
	same := s
	same.LSN, same.SchemaDigest = "0/1", "abc"
	same.StalePrepared, same.Volume = []string{"T1"}, &instanceapi.Volume{Capacity: 2, Free: 1}
	if report(s) != report(same) {
		t.Error("what moves by itself wakes the operator")
	}
	s.Drain = &instanceapi.DrainStatus{Token: "t", Sessions: 2, Undecided: []string{"T2"}}
	fewer := s
	fewer.Drain = &instanceapi.DrainStatus{Token: "t", Sessions: 1}
	if report(s) != report(fewer) {
		t.Error("a session that ends wakes the operator")
	}
	done := s
	done.Drain = &instanceapi.DrainStatus{Token: "t", Done: true}
	if report(s) == report(done) {
		t.Error("the end of a drain does not wake the operator")
	}
	other := s
	other.Starts = 2
	if report(s) == report(other) {
		t.Error("a restarted server does not wake the operator")
	}
}
