// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// probed lets the instances of a cluster answer probes: all is well, as far as how does not change it.
func probed(d *desk, c *v1alpha1.AntDBCluster, how map[string]func(*instanceapi.Probe)) *desk {
	all := spec.Resolve(c)
	rows, _ := all.Topology(nil)
	for i, n := range all.Nodes {
		p := instanceapi.Probe{
			Node: n.Name, Role: n.Role, LSN: "0/16B3748", WALBytes: 48 << 20,
			SQL:              instanceapi.Attempt{Micros: int64(310 + 40*i)},
			CertificateUntil: now.Add(300 * 24 * time.Hour).Format(time.RFC3339),
			Volumes:          map[string]instanceapi.Volume{"data": {Capacity: 10 << 30, Free: 7 << 30}},
			Addresses:        map[string]instanceapi.Attempt{},
		}
		if n.Role.HoldsCatalog() {
			p.Catalog, p.SchemaDigest, p.Datanodes = append(p.Catalog, rows.Nodes...), "abc", map[string]instanceapi.Attempt{}
			for j, other := range all.Nodes {
				if other.Role == antdb.RoleDatanode {
					p.Datanodes[other.Name] = instanceapi.Attempt{Micros: int64(800 + 130*j)}
				}
			}
		}
		if change := how[n.Name]; change != nil {
			change(&p)
		}
		d.answers[naming.Instance(c.Name, n.Name, 1)] = func(args []string) (string, error) {
			for k, a := range args[1:] {
				if _, told := p.Addresses[a]; !told && strings.Contains(a, ":") {
					p.Addresses[a] = instanceapi.Attempt{Micros: int64(600 + 20*k)}
				}
			}
			text, err := json.Marshal(p)
			return string(text), err
		}
	}
	return d
}

// pod is the pod of a node.
func pod(c *v1alpha1.AntDBCluster, node string, how func(*corev1.Pod)) *corev1.Pod {
	name := naming.Instance(c.Name, node, 1)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name, Labels: map[string]string{naming.LabelCluster: c.Name}}}
	p.Spec.NodeName, p.Status.Phase = "worker-1", corev1.PodRunning
	if how != nil {
		how(p)
	}
	return p
}

// lose makes a node not serve.
func lose(c *v1alpha1.AntDBCluster, node, state, message string) {
	for i := range c.Status.Nodes {
		if n := &c.Status.Nodes[i]; n.Name == node {
			n.Instances[0].Serving, n.Instances[0].Ready, n.Instances[0].State, n.Instances[0].Message = false, false, state, message
		}
	}
	c.Status.Phase = "Degraded"
	for i := range c.Status.Conditions {
		if d := &c.Status.Conditions[i]; d.Type == v1alpha1.ConditionReady {
			d.Status, d.Reason, d.Message = "False", v1alpha1.ReasonNodesNotServing, node+": "+message
		}
	}
}

// sound is a cluster whose instances answer.
func sound(t *testing.T) *desk {
	t.Helper()
	c := demo()
	objects := sit(t, c)
	for _, n := range c.Status.Nodes {
		objects.make(pod(c, n.Name, nil))
	}
	return probed(objects, c, nil)
}

// gcGone is a cluster whose gc no host takes.
func gcGone(t *testing.T) *desk {
	t.Helper()
	c := demo()
	for _, n := range []string{"cn1", "cn2", "dn1", "dn2", "dn3"} {
		lose(c, n, "Waiting", "statements do not come back: the server waits for a snapshot from gc")
	}
	lose(c, "gc", "Pending", "unschedulable: 0/2 nodes are available: 2 node(s) were unschedulable")
	hangs := func(p *instanceapi.Probe) {
		*p = instanceapi.Probe{Node: p.Node, Role: p.Role, Volumes: p.Volumes, SQL: instanceapi.Attempt{Error: "connect to database postgres: context deadline exceeded"}}
	}
	d := probed(sit(t, c), c, map[string]func(*instanceapi.Probe){"cn1": hangs, "cn2": hangs, "dn1": hangs, "dn2": hangs, "dn3": hangs})
	for _, n := range c.Status.Nodes {
		d.make(pod(c, n.Name, func(p *corev1.Pod) {
			if n.Name == "gc" {
				p.Spec.NodeName, p.Status.Phase = "", corev1.PodPending
				p.Status.Conditions = []corev1.PodCondition{{
					Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable",
					Message: "0/2 nodes are available: 2 node(s) were unschedulable",
				}}
			}
		}))
	}
	d.answers["demo-gc-1"] = func([]string) (string, error) { return "", errors.New("pod demo-gc-1 does not have a host assigned") }
	return d
}

// cutOff is a cluster with a coordinator that reaches nobody, and a catalog that was changed by hand.
func cutOff(t *testing.T) *desk {
	t.Helper()
	c := demo()
	lose(c, "cn2", "Pending", "no answer from its instance manager: dial tcp 10.244.2.14:8443: i/o timeout")
	d := probed(sit(t, c), c, map[string]func(*instanceapi.Probe){
		"cn2": func(p *instanceapi.Probe) {
			*p = instanceapi.Probe{Node: p.Node, Role: p.Role, Volumes: p.Volumes, SQL: instanceapi.Attempt{Error: "canceling statement due to statement timeout (SQLSTATE 57014)"}}
		},
		"cn1": func(p *instanceapi.Probe) {
			p.Catalog = append(p.Catalog[:5:5], p.Catalog[5])
			p.Catalog[5].Host = "10.0.0.9"
			p.Datanodes["dn3"] = instanceapi.Attempt{Error: "reach dn3: error message from poolmgr:reconnect three thimes , could not connect to server (SQLSTATE 08000)"}
			p.Addresses["demo-cn2.prod.svc:5432"] = instanceapi.Attempt{Error: "connect to database postgres: dial tcp 10.96.11.12:5432: connection refused"}
		},
		"dn2": func(p *instanceapi.Probe) { p.Volumes["data"] = instanceapi.Volume{Capacity: 10 << 30, Free: 1 << 30} },
	})
	for _, n := range c.Status.Nodes {
		d.make(pod(c, n.Name, nil))
	}
	return d
}

func TestTestPassesOnlyIfEverythingIsUp(t *testing.T) {
	d := sound(t)
	d.want(0, []string{"demo  30 of 30 checks passed", "demo-gc-h", "Services are tried from cn1", "objects       UP  the same on gc, cn1, cn2"}, "test")
	d.want(0, nil, "test", "-o", "json")
	var r examine.Result
	if err := json.Unmarshal([]byte(d.out.text()), &r); err != nil || len(r.Paths) != 9 || r.Paths[0].Micros == 0 {
		t.Errorf("%v: %s", err, d.out.text())
	}
	cutOff(t).want(1, []string{"DOWN", "cn1 → dn3: reach dn3", "differs on cn1; cannot be read on cn2", "kubectl antdb doctor demo"}, "test", "demo")
	gcGone(t).want(1, []string{"does not have a host assigned"}, "test")
}

func TestAWaitingGCIsNotAskedForSQL(t *testing.T) {
	c := demo()
	lose(c, "gc", "Waiting", "gc waits")
	d := probed(sit(t, c), c, map[string]func(*instanceapi.Probe){"gc": func(p *instanceapi.Probe) { p.SQL, p.Catalog = instanceapi.Attempt{Left: true}, nil }})
	d.want(1, []string{"a session would hang"}, "test")
	for _, ran := range d.ran {
		if strings.HasPrefix(ran, "demo-gc-1: ") != strings.Contains(ran, "-without-sql") || strings.Contains(ran, "demo-gc.prod.svc") {
			t.Errorf("it ran %s", ran)
		}
	}
}

func TestTheDoctorEndsWithOneIfThereIsAProblem(t *testing.T) {
	sound(t).want(0, []string{"demo  nothing is wrong"}, "doctor")
	gcGone(t).want(1, []string{"demo  1 problem\n", "✗ gc is away: no host takes its pod", "Without gc no statement runs anywhere"}, "doctor", "demo")
	gcGone(t).want(1, []string{"→ kubectl -n prod describe pod demo-gc-1\n", "→ kubectl get nodes "}, "doctor", "-n", "prod")
	d := cutOff(t)
	d.want(1, []string{"→ kubectl antdb -n prod logs cn2", "→ kubectl describe node worker-2"}, "doctor", "-n", "prod")
	d.want(1, []string{"2 problems, 1 warning", "✗ cn2 is cut off from gc", "✗ the node catalog of cn1 differs", "! the data volume of dn2 is 90% full"}, "doctor")
	d.want(1, []string{`"weight": "problem"`}, "doctor", "-o", "json")
}

func TestAnOldInstanceManagerIsToldAsSuch(t *testing.T) {
	d := sound(t)
	d.answers["demo-dn1-1"] = func([]string) (string, error) { return "", errors.New("command terminated with exit code 1") }
	d.said = map[string]string{"demo-dn1-1": "usage: …\nantdb-instance: unknown command"}
	d.want(0, []string{"dn1 cannot be asked", "older than this program and cannot probe"}, "doctor")
}

func TestTopologyEndsWithOneOnADifferenceIfThatIsAsked(t *testing.T) {
	sound(t).want(0, []string{"all catalogs are the same", "dn1   D demo-dn1-h.prod.svc:5432 primary  =   =    ="}, "topology", "--diff")
	d := cutOff(t)
	d.want(0, []string{"1 difference", "✗ differs", "cn1 has dn3 D 10.0.0.9:5432, wanted is dn3 D demo-dn3-h.prod.svc:5432", "cn2: canceling statement"}, "topology")
	d.want(1, nil, "topology", "--diff")
	d.want(0, []string{`"against": "the rows that the operator wants"`}, "topology", "-o", "json")
	for _, ran := range d.ran {
		if strings.Contains(ran, "-dn") {
			t.Errorf("a datanode is asked for a catalog: %s", ran)
		}
	}
}
