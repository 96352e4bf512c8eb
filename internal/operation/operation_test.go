// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/operation"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

var now = metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))

// at is an operation whose journal says that a step runs.
func at(kind v1alpha1.OperationType, step string, nodes ...string) *v1alpha1.AntDBOperation {
	op := &v1alpha1.AntDBOperation{
		ObjectMeta: metav1.ObjectMeta{Name: "op", UID: "u"},
		Spec:       v1alpha1.AntDBOperationSpec{Cluster: "demo", Type: kind, Nodes: nodes},
	}
	op.Status, _ = operation.Start(op, now)
	for i := range op.Status.Steps {
		e := &op.Status.Steps[i]
		e.State, e.StartedAt = v1alpha1.StepDone, &now
		if e.Name == step {
			e.State = v1alpha1.StepRunning
			for j := range op.Status.Steps[i+1:] {
				op.Status.Steps[i+1+j].State = v1alpha1.StepWaiting
			}
			return op
		}
	}
	panic("no step " + step)
}

// facts of a cluster 1+2+2 that serves, with more nodes.
func facts(lock instanceapi.LockState, more map[string]*instanceapi.Status) *operation.Facts {
	f := &operation.Facts{Cluster: &spec.Cluster{Name: "demo", Namespace: "ns"}, Nodes: map[string]operation.Node{}, Now: now}
	for _, name := range []string{"gc", "cn1", "cn2", "dn1", "dn2"} {
		s := &instanceapi.Status{State: instanceapi.StateRunning, Accepting: true, Serving: true}
		f.Nodes[name] = operation.Node{Host: name + ".host", Exists: true, Volumes: true, Status: s, Serving: true}
		if name != antdb.GTMNode {
			f.Members = append(f.Members, v1alpha1.MemberStatus{Name: name, State: v1alpha1.MemberActive})
		}
	}
	if lock != instanceapi.LockNone {
		f.Nodes["gc"].Status.Lock = &instanceapi.LockStatus{Token: "u/1", State: lock}
	}
	for name, s := range more {
		f.Nodes[name] = operation.Node{Exists: true, Volumes: true, Status: s}
	}
	return f
}

func joined(phase instanceapi.JoinPhase) map[string]*instanceapi.Status {
	return map[string]*instanceapi.Status{"cn3": {
		State: instanceapi.StateRunning, Join: &instanceapi.JoinStatus{Token: "u/1", Phase: phase},
	}}
}

// tell puts a decision into words.
func tell(d *operation.Decision) string {
	var out []string
	for _, e := range d.Status.Steps {
		if e.State == v1alpha1.StepRunning {
			out = append(out, e.Name)
		}
	}
	if d.Status.Phase != v1alpha1.OperationRunning {
		out = append(out, string(d.Status.Phase))
	}
	if d.Status.Attempt != 1 {
		out = append(out, "again")
	}
	if d.Status.PointOfNoReturn {
		out = append(out, "no way back")
	}
	for _, o := range d.Orders {
		out = append(out, o.To()+": "+o.String())
	}
	return strings.Join(out, "; ")
}

func TestOneDecisionOfEachStep(t *testing.T) {
	renew := "gc: hold the lock that keeps DDL out (u/1)"
	release := "gc: give up the lock that keeps DDL out (u/1)"
	for name, c := range map[string]struct {
		op    *v1alpha1.AntDBOperation
		facts *operation.Facts
		want  string
	}{
		"the lock is asked for": {at(v1alpha1.OperationAddNodes, "LockDDL", "cn3"), facts("", joined("Waiting")), "LockDDL; " + renew},
		"a held lock lets the copy begin": {
			at(v1alpha1.OperationAddNodes, "LockDDL", "cn3"), facts("Held", joined("Waiting")), "Copy; " + renew,
		},
		"the copy is ordered from a coordinator that serves": {
			at(v1alpha1.OperationAddNodes, "Copy", "cn3"), facts("Held", map[string]*instanceapi.Status{"cn3": {Join: &instanceapi.JoinStatus{Phase: "Waiting"}}}),
			"Copy; cn3: fill cn3 from cn1.host (Copy); " + renew,
		},
		"a copy that broke off is begun anew": {
			at(v1alpha1.OperationAddNodes, "Copy", "cn3"), facts("Held", joined("Failed")), "LockDDL; again; " + release,
		},
		"a lock lost while copying is noticed": {
			at(v1alpha1.OperationAddNodes, "Copy", "cn3"), facts("Lost", joined("Made")), "LockDDL; again",
		},
		"a gc that does not know the lock has lost it": {
			at(v1alpha1.OperationAddNodes, "Register", "cn3"), facts("", joined("Made")), "LockDDL; again",
		},
		"a lock lost after registration is noticed before anything is kept": {
			at(v1alpha1.OperationAddNodes, "Verify", "cn3"), facts("Lost", joined("Made")), "LockDDL; again",
		},
		"a lock held after registration is the proof": {
			at(v1alpha1.OperationAddNodes, "Verify", "cn3"), facts("Held", joined("Made")), "Keep; no way back; " + renew,
		},
		"a new node is told that it is kept": {
			at(v1alpha1.OperationAddNodes, "Keep", "cn3"), facts("Held", joined("Made")), "Keep; cn3: keep the data of cn3; " + renew,
		},
		"a lock lost after the proof does not matter": {
			at(v1alpha1.OperationAddNodes, "Keep", "cn3"), facts("Lost", joined("Made")), "Keep; cn3: keep the data of cn3",
		},
		"nothing is taken out of a catalog without the lock": {
			at(v1alpha1.OperationRemoveNodes, "Deregister", "dn2"), facts("Lost", nil), "LockDDL; again",
		},
		"the point of no return is written down first": {
			at(v1alpha1.OperationRemoveNodes, "Deregister", "dn2"), facts("Held", nil), "Deregister; no way back; " + renew,
		},
		"rows are moved off": {
			at(v1alpha1.OperationRemoveNodes, "MoveRows", "dn2"), facts("", nil), "MoveRows; gc: move all rows off dn2",
		},
		"an empty datanode is proved by gc's answer": {
			at(v1alpha1.OperationRemoveNodes, "ProveEmpty", "dn2"), empty(facts("Held", nil)), "Deregister; " + renew,
		},
		"without gc's answer it is not": {
			at(v1alpha1.OperationRemoveNodes, "ProveEmpty", "dn2"), facts("Held", nil), "ProveEmpty; " + renew,
		},
		"a table that was made meanwhile is moved too, with DDL let in": {
			at(v1alpha1.OperationRemoveNodes, "ProveEmpty", "dn2"), empty(facts("Held", nil), "app.public.new"), "MoveRows; again; " + release,
		},
		"a leaving datanode that gives no answer is waited for": {
			at(v1alpha1.OperationRemoveNodes, "ProveEmpty", "dn2"), empty(silent(facts("Held", nil), "dn2", 0)), "ProveEmpty; " + renew,
		},
		"but not without end, since DDL is kept out": {
			at(v1alpha1.OperationRemoveNodes, "ProveEmpty", "dn2"), empty(silent(facts("Held", nil), "dn2", 61*time.Second)), "Undo; Undoing; " + release,
		},
		"what is cancelled lets DDL in": {
			cancelled(at(v1alpha1.OperationRemoveNodes, "ProveEmpty", "dn2")), empty(facts("Held", nil)), "Undo; Undoing; " + release,
		},
		"what is past the point of no return is not cancelled": {
			final(cancelled(at(v1alpha1.OperationRemoveNodes, "Deregister", "dn2"))), facts("Held", nil), "Stop; no way back; " + renew,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := operation.Next(c.op, c.facts)
			if diff := cmp.Diff(c.want, tell(&d)); diff != "" {
				t.Errorf("decided (-want +got):\n%s\n%s", diff, d.Status.Message)
			}
		})
	}
}

func empty(f *operation.Facts, tables ...string) *operation.Facts {
	f.Empty = map[string]instanceapi.Emptiness{"dn2": {Tables: tables}}
	return f
}

// silent are the facts of a cluster with a node that gives no answer, some time later.
func silent(f *operation.Facts, node string, later time.Duration) *operation.Facts {
	f.Nodes[node] = operation.Node{Exists: true, Volumes: true, Down: true, Why: node + ": its pod does not exist yet"}
	f.Now = metav1.NewTime(f.Now.Add(later))
	return f
}

func cancelled(op *v1alpha1.AntDBOperation) *v1alpha1.AntDBOperation {
	op.Spec.Cancel = true
	return op
}

func final(op *v1alpha1.AntDBOperation) *v1alpha1.AntDBOperation {
	op.Status.PointOfNoReturn = true
	return op
}

func TestCountsAskForTheLowestFreeNamesAndTakeTheHighestOnes(t *testing.T) {
	for name, c := range map[string]struct {
		coordinators, datanodes int
		members, taken          []string
		want                    string
	}{
		"nothing":                   {2, 2, []string{"cn1", "cn2", "dn1", "dn2"}, nil, " "},
		"a coordinator more":        {3, 2, []string{"cn1", "cn2", "dn1", "dn2"}, nil, "AddNodes cn3"},
		"a gap is filled":           {3, 1, []string{"cn1", "cn3", "dn1"}, nil, "AddNodes cn2"},
		"not with a name in use":    {2, 1, []string{"cn1", "cn2 Retained", "dn1"}, nil, "AddNodes cn3"},
		"nor one with a volume":     {1, 2, []string{"cn1", "dn1"}, []string{"dn2", "dn3"}, "AddNodes dn4"},
		"coordinators come first":   {2, 3, []string{"cn1", "dn1", "dn2"}, nil, "AddNodes cn2"},
		"the highest numbers leave": {1, 2, []string{"cn1", "dn2", "dn9", "dn10", "dn11"}, nil, "RemoveNodes dn10,dn11"},
	} {
		t.Run(name, func(t *testing.T) {
			want := &spec.Cluster{Name: "demo", Wanted: map[antdb.Role]int{antdb.RoleCoordinator: c.coordinators, antdb.RoleDatanode: c.datanodes}}
			got := operation.Wanted(want, members(c.members), c.taken)
			if text := string(got.Type) + " " + strings.Join(got.Nodes, ","); text != c.want {
				t.Errorf("%q, not %q", text, c.want)
			}
		})
	}
}

func members(names []string) []v1alpha1.MemberStatus {
	var out []v1alpha1.MemberStatus
	for _, n := range names {
		name, state, said := strings.Cut(n, " ")
		if !said {
			state = string(v1alpha1.MemberActive)
		}
		out = append(out, v1alpha1.MemberStatus{Name: name, State: v1alpha1.MemberState(state)})
	}
	return out
}

func TestWhatIsNotAllowedIsToldWithItsReason(t *testing.T) {
	all := members([]string{"cn1", "cn2", "cn3 Retained", "dn1", "dn2 Leaving"})
	for name, c := range map[string]struct {
		kind  v1alpha1.OperationType
		nodes []string
		words string
	}{
		"a kept name":              {v1alpha1.OperationAddNodes, []string{"cn3"}, "volumes of the node that had this name are kept"},
		"a node that left":         {v1alpha1.OperationRemoveNodes, []string{"cn3"}, "is not a node of the cluster: it has cn1, cn2"},
		"one that leaves already":  {v1alpha1.OperationDrainNodes, []string{"dn2"}, `"dn2" is leaving`},
		"the last datanode":        {v1alpha1.OperationRemoveNodes, []string{"dn1"}, "no datanode: at least one must stay"},
		"more than the engine can": {v1alpha1.OperationAddNodes, many(16), "allowed are 16"},
		"a long name":              {v1alpha1.OperationAddNodes, []string{"dn10"}, "AntDB allows 63"},
		"a coordinator less":       {v1alpha1.OperationRemoveNodes, []string{"cn1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			op := &v1alpha1.AntDBOperation{Spec: v1alpha1.AntDBOperationSpec{Type: c.kind, Nodes: c.nodes}}
			want := &spec.Cluster{Name: strings.Repeat("x", 40), Namespace: "a-namespaces"}
			got := operation.Refusal(op, want, all)
			if c.words == "" && got != "" || !strings.Contains(got, c.words) {
				t.Errorf("%q does not say %q", got, c.words)
			}
		})
	}
}

// many are n names of datanodes that are short.
func many(n int) []string {
	var out []string
	for i := range n {
		out = append(out, "dn"+string(rune('a'+i)))
	}
	return slices.Clone(out)
}
