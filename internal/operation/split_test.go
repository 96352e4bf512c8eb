// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// dividing is an operation that makes dn3 and dn4 of dn1 and dn2, and whose journal says that a step runs.
func dividing(step string) *v1alpha1.AntDBOperation {
	op := at(v1alpha1.OperationAddNodes, "CreateInstances", "dn3", "dn4")
	op.Spec.Strategy = v1alpha1.StrategySplit
	op.Status, _ = operation.Start(op, now)
	for i := range op.Status.Steps {
		e := &op.Status.Steps[i]
		if e.StartedAt = &now; e.Name == step {
			e.State = v1alpha1.StepRunning
			for j := range op.Status.Steps[i+1:] {
				op.Status.Steps[i+1+j].State = v1alpha1.StepWaiting
			}
			return op
		}
		e.State = v1alpha1.StepDone
	}
	panic("no step " + step)
}

// copies are the facts while dn3 and dn4 are copies in that phase, members in that state.
func copies(phase instanceapi.JoinPhase, state v1alpha1.MemberState, change ...func(*operation.Facts)) *operation.Facts {
	more := map[string]*instanceapi.Status{}
	for _, name := range []string{"dn3", "dn4"} {
		more[name] = &instanceapi.Status{
			State: instanceapi.StateRunning, LSN: "0/10", Join: &instanceapi.JoinStatus{Token: "u/1", Phase: phase},
			Volume: &instanceapi.Volume{Capacity: 1 << 30, Free: 1 << 30},
		}
	}
	f := facts("", more)
	c := &v1alpha1.AntDBCluster{}
	c.Name, c.Namespace, c.Spec.Datanodes.Storage.Size = "demo", "ns", "1Gi"
	want := spec.Resolve(c)
	f.Cluster = &want
	for name, n := range f.Nodes {
		n.Host = name + ".host"
		if strings.HasPrefix(name, "dn") {
			n.Status.LSN = "0/10"
		}
		f.Nodes[name] = n
	}
	for _, name := range []string{"dn3", "dn4"} {
		f.Members = append(f.Members, v1alpha1.MemberStatus{Name: name, State: state, Joined: true})
	}
	f.Nodes["dn1"].Status.Slots = []string{"antdb_split_dn3_4f435f2f"}
	f.Nodes["dn2"].Status.Slots = []string{"antdb_split_dn4_4f435f2f"}
	for _, c := range change {
		c(f)
	}
	return f
}

func gcSays(s instanceapi.SplitStatus) func(*operation.Facts) {
	return func(f *operation.Facts) { f.Nodes["gc"].Status.Split = &s }
}

func says(phase instanceapi.SplitPhase) func(*operation.Facts) {
	return gcSays(instanceapi.SplitStatus{Token: "u/1", Phase: phase, Message: "so it is"})
}

func planned(bytes int64, refusals ...string) func(*operation.Facts) {
	return gcSays(instanceapi.SplitStatus{
		Token: "u/1/plan", Phase: instanceapi.SplitPlanned, Bytes: map[string]int64{"dn1": bytes, "dn2": bytes}, Refusals: refusals,
	})
}

func following(f *operation.Facts) {
	for _, name := range []string{"dn3", "dn4"} {
		f.Nodes[name].Status.Primary = false
	}
}

func promoted(f *operation.Facts) { f.Nodes["dn3"].Status.Primary = true }

func unfed(f *operation.Facts) { f.Nodes["dn1"].Status.Slots, f.Nodes["dn2"].Status.Slots = nil, nil }

// lower gives dn1 more connections than its copy will have.
func lower(f *operation.Facts) {
	for _, name := range []string{"dn1", "dn3"} {
		n := spec.Node{Name: name, Role: antdb.RoleDatanode}
		if name == "dn1" {
			n.Config.Parameters = map[string]string{"max_connections": "1000"}
		}
		f.Cluster.Nodes = append(f.Cluster.Nodes, n)
	}
}

func unsynced(f *operation.Facts) { f.Unsynced = []string{"cn2 (it is told)"} }

func TestOneDecisionOfEachStepOfASplit(t *testing.T) {
	const (
		feed   = "; dn1: keep the log of dn1 for antdb_split_dn3_DIGEST; dn2: keep the log of dn2 for antdb_split_dn4_DIGEST"
		unfeed = "; dn1: let the log of dn1 go; dn2: let the log of dn2 go"
		split  = "; gc: divide dn1 with dn3, dn2 with dn4 (u/1)"
	)
	joining, active := v1alpha1.MemberJoining, v1alpha1.MemberActive
	for name, c := range map[string]struct {
		op      *v1alpha1.AntDBOperation
		facts   *operation.Facts
		want    string
		members string // of the new nodes
	}{
		"gc is asked first": {dividing("Check"), copies("", joining, unfed), "Check; gc: plan: divide dn1 with dn3, dn2 with dn4 (u/1/plan)", "Joining"},
		"what gc finds against it refuses it": {
			dividing("Check"), copies("", joining, unfed, planned(1, "so and so")), "Refused", "Joining",
		},
		"or gives it up, when something was begun": {
			started(dividing("Check"), "CreateInstances"), copies("", joining, unfed, planned(1, "so and so")), "Undo; Undoing", "Joining",
		},
		"what does not fit is refused": {
			dividing("Check"), copies("", joining, unfed, planned(1<<30)), "Refused", "Joining",
		},
		"the log is kept before anything is copied": {dividing("Clone"), copies("Waiting", joining, unfed), "Clone" + feed, "Joining"},
		"then the copies are made": {
			dividing("Clone"), copies("Waiting", joining),
			"Clone; dn3: fill dn3 from dn1.host (Clone); dn4: fill dn4 from dn2.host (Clone)" + feed, "Joining",
		},
		"a copy must be allowed what its source is":             {dividing("Clone"), copies("Waiting", joining, lower), "Undo; Undoing" + unfeed, "Joining"},
		"a copy that broke off is begun anew, with other slots": {dividing("Clone"), copies("Failed", joining), "Clone; again" + unfeed, "Joining"},
		"copies that follow are waited for no longer":           {dividing("CatchUp"), copies("Made", joining, following), "Split" + feed, "Joining"},
		"one that is a primary already is of no use":            {dividing("CatchUp"), copies("Made", joining, promoted), "Clone; again" + unfeed, "Joining"},
		"the new ones are members before anything is divided":   {dividing("Split"), copies("Made", joining), "Split" + feed, "Active"},
		"that there may be no way back is written down":         {dividing("Split"), copies("Made", active), "Split; no way back" + feed, "Active"},
		"every catalog must know what may come":                 {final(dividing("Split")), copies("Made", active, unsynced), "Split; no way back" + feed, "Active"},
		"then it is ordered":                                    {final(dividing("Split")), copies("Made", active), "Split; no way back" + split + feed, "Active"},
		"and waited for":                                        {final(dividing("Split")), copies("Made", active, says("Running")), "Split; no way back" + feed, "Active"},
		"who cancels waits for gc's word": {
			cancelled(final(dividing("Split"))), copies("Made", active, says("Running")),
			"Split; no way back; gc: stop before datanodes are divided (u/1)" + feed, "Active",
		},
		"what is cancelled leads back": {cancelled(final(dividing("Split"))), copies("Made", active, says("Cancelled")), "Split" + feed, "Joining"},
		"then it is undone":            {cancelled(dividing("Split")), copies("Made", joining, says("Cancelled")), "Undo; Undoing" + unfeed, "Joining"},
		"what failed begins anew":      {final(dividing("Split")), copies("Made", active, says("Failed")), "Check; again" + unfeed, "Joining"},
		"what is done is registered":   {final(dividing("Split")), copies("Made", active, says("Done")), "Register; no way back" + feed, "Active"},
		"and not cancelled any more": {
			cancelled(final(dividing("Keep"))), copies("Made", active),
			"Keep; no way back; dn3: keep the data of dn3; dn4: keep the data of dn4" + unfeed, "Active",
		},
		"what lies twice is removed": {
			final(dividing("Clean")), copies("Kept", active, unfed), "Clean; no way back; gc: remove the rows that lie twice", "Active",
		},
		"a log that is kept is let go before the end": {final(dividing("Clean")), copies("Kept", active, cleaned), "Clean; no way back" + unfeed, "Active"},
		"then it is complete":                         {final(dividing("Clean")), copies("Kept", active, cleaned, unfed), "Completed", "Active"},
	} {
		t.Run(name, func(t *testing.T) {
			d := operation.Next(c.op, c.facts)
			if diff := cmp.Diff(strings.ReplaceAll(c.want, "DIGEST", "4f435f2f"), tell(&d)); diff != "" {
				t.Errorf("decided (-want +got):\n%s\n%s", diff, d.Status.Message)
			}
			for _, m := range d.Members {
				if (m.Name == "dn3" || m.Name == "dn4") && string(m.State) != c.members {
					t.Errorf("%s is %s, not %s", m.Name, m.State, c.members)
				}
			}
		})
	}
}

// started says that a step was begun in an earlier attempt.
func started(op *v1alpha1.AntDBOperation, step string) *v1alpha1.AntDBOperation {
	for i := range op.Status.Steps {
		if e := &op.Status.Steps[i]; e.Name == step {
			e.StartedAt = &now
		}
	}
	return op
}

func cleaned(f *operation.Facts) {
	f.Nodes["gc"].Status.Clean = &instanceapi.CleanStatus{Token: "u/1", Phase: instanceapi.CleanDone}
}

func TestASplitNeedsAWholeMultiple(t *testing.T) {
	for name, c := range map[string]struct {
		have  int
		nodes []string
		words string
	}{
		"twice":               {3, []string{"dn4", "dn5", "dn6"}, ""},
		"three times":         {2, []string{"dn3", "dn4", "dn5", "dn6"}, ""},
		"one more":            {3, []string{"dn4"}, "3 can become 6 or 9 or 12 or 15, and not 4"},
		"more than there can": {9, []string{"dna"}, "9 would become more than 16"},
		"coordinators":        {2, []string{"cn3"}, "allowed for AddNodes with datanodes"},
	} {
		t.Run(name, func(t *testing.T) {
			var have []v1alpha1.MemberStatus
			for _, n := range many(c.have) {
				have = append(have, v1alpha1.MemberStatus{Name: "dn" + string(n[2]-'a'+'1'), State: v1alpha1.MemberActive})
			}
			got := operation.RefusedSplit(v1alpha1.AntDBOperationSpec{Type: v1alpha1.OperationAddNodes, Strategy: v1alpha1.StrategySplit, Nodes: c.nodes}, have)
			if c.words == "" && got != "" || !strings.Contains(got, c.words) {
				t.Errorf("%q does not say %q", got, c.words)
			}
		})
	}
}
