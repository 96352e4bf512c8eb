// SPDX-License-Identifier: Apache-2.0

package examine

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// Weight of a finding.
type Weight string

// The weights: a problem keeps the cluster from working, a warning will, a note is good to know.
const (
	Problem Weight = "problem"
	Warning Weight = "warning"
	Note    Weight = "note"
)

// Finding is one thing that is wrong.
type Finding struct {
	Weight Weight `json:"weight"`
	// What is wrong, in a line; Why, and what follows from it; Run are commands, or what to do in words.
	What string   `json:"what"`
	Why  string   `json:"why"`
	Run  []string `json:"run,omitempty"`
}

// doctor collects findings. A thing that follows from one that was found is not told again.
type doctor struct {
	*Facts

	found []Finding
	// away are nodes that do not serve and why is told; gtmLost says that no statement runs, and why is told.
	away    []string
	gtmLost bool
	// explained are conditions whose cause was found.
	explained []string
}

func (d *doctor) add(w Weight, what, why string, run ...string) {
	d.found = append(d.found, Finding{Weight: w, What: what, Why: why, Run: run})
}

// Diagnose finds what is wrong with a cluster, causes before what follows from them.
func Diagnose(f *Facts) []Finding {
	d := &doctor{Facts: f}
	d.spec()
	if Halted(f.Cluster) != "" {
		d.halted()
		return d.found
	}
	d.pods()
	d.gtm()
	d.cutOff()
	d.catalogs()
	d.paths()
	d.schemas()
	d.inDoubt()
	d.volumes()
	d.certificates()
	d.settings()
	d.rest()
	slices.SortStableFunc(d.found, func(a, b Finding) int { return rank(a.Weight) - rank(b.Weight) })
	return d.found
}

// everywhere are kinds of objects that are in no namespace.
var everywhere = regexp.MustCompile(`^kubectl (get|describe|delete) (nodes?|storageclass)\b`)

// InNamespace makes the commands of findings name a namespace that is not the usual one of whoever reads them.
func InNamespace(found []Finding, namespace string) {
	for i := range found {
		for j, command := range found[i].Run {
			plugin, isPlugin := strings.CutPrefix(command, "kubectl antdb ")
			plain, isPlain := strings.CutPrefix(command, "kubectl ")
			switch {
			case isPlugin:
				found[i].Run[j] = "kubectl antdb -n " + namespace + " " + plugin
			case isPlain && !everywhere.MatchString(command) && !strings.HasPrefix(plain, "-n "):
				found[i].Run[j] = "kubectl -n " + namespace + " " + plain
			}
		}
	}
}

func rank(w Weight) int { return slices.Index([]Weight{Problem, Warning, Note}, w) }

// condition is a condition that is not as it should be; nil if it is, or is not there.
func (d *doctor) condition(kind string) (reason, message string, bad bool) {
	c := meta.FindStatusCondition(d.Cluster.Status.Conditions, kind)
	if c == nil || c.Status != "False" {
		return "", "", false
	}
	return c.Reason, c.Message, true
}

// spec finds what the operator cannot carry out.
func (d *doctor) spec() {
	c := d.Cluster
	if c.Status.ObservedGeneration < c.Generation {
		d.add(Problem, "the operator has not looked at the latest spec", "it does not run, or is busy; nothing of the cluster is changed or repaired before it looks",
			"kubectl -n antdb-system get deployment antdb-operator", "kubectl -n antdb-system logs deployment/antdb-operator --tail=50")
	}
	if c.Spec.Paused {
		d.add(Note, "the operator leaves the cluster alone", "spec.paused is set; nothing of the cluster is changed or repaired meanwhile", "kubectl antdb resume "+c.Name)
	}
	reason, message, bad := d.condition(v1alpha1.ConditionReady)
	edit := "kubectl edit antdbcluster " + c.Name
	switch {
	case !bad:
	case reason == v1alpha1.ReasonInvalidSpec:
		d.explain(v1alpha1.ConditionReady)
		d.add(Problem, "the spec cannot be carried out", message, edit)
	case reason == v1alpha1.ReasonSecretMissing:
		d.explain(v1alpha1.ConditionReady)
		d.add(Problem, "a Secret is missing", message, "kubectl create secret generic NAME --type=kubernetes.io/basic-auth --from-literal=username=… --from-literal=password=…", edit)
	case reason == v1alpha1.ReasonVolumeRefused:
		d.explain(v1alpha1.ConditionReady)
		d.add(Problem, "a volume holds somebody else's data", message, "kubectl get pvc -l antdb.io/cluster="+c.Name)
	}
	if reason, message, bad := d.condition(v1alpha1.ConditionBootstrapped); bad && reason == v1alpha1.ReasonBootstrapFailed {
		d.explain(v1alpha1.ConditionBootstrapped)
		d.add(Problem, "a statement of spec.bootstrap was refused", message, "kubectl antdb psql "+c.Name+"   # repair what the statement needs; it is tried again")
	}
	if reason, message, bad := d.condition(v1alpha1.ConditionRolesReconciled); bad && reason == v1alpha1.ReasonRoleFailed {
		d.explain(v1alpha1.ConditionRolesReconciled)
		d.add(Warning, "a role of spec.managed.roles cannot be made as it is described", message, "kubectl antdb user list "+c.Name, edit)
	}
}

// halted tells that nothing runs that could be wrong.
func (d *doctor) halted() {
	_, message, _ := d.condition(v1alpha1.ConditionReady)
	if Halted(d.Cluster) == v1alpha1.ReasonStopping {
		d.add(Note, "the cluster is being stopped", message, "kubectl antdb status "+d.Cluster.Name+" -w")
		return
	}
	d.add(Note, "the cluster is stopped", message, "kubectl antdb start "+d.Cluster.Name)
}

func (d *doctor) explain(kind string) { d.explained = append(d.explained, kind) }

// gtm finds a gc that runs and hands out nothing.
func (d *doctor) gtm() {
	reason, message, bad := d.condition(v1alpha1.ConditionGTMAvailable)
	if !bad || reason != v1alpha1.ReasonGTMWaitsForNodes {
		return
	}
	d.explain(v1alpha1.ConditionGTMAvailable)
	d.gtmLost = true
	var run []string
	for _, node := range d.away {
		if node != antdb.GTMNode {
			run = append(run, "bring "+node+" back: see there")
		}
	}
	run = append(run, "kubectl antdb status "+d.Cluster.Name+" -w")
	d.add(Problem, "gc waits for nodes and hands out no snapshots", message, run...)
}

// cutOff finds nodes whose server runs, and on which no statement comes back though gc is fine.
func (d *doctor) cutOff() {
	if d.gtmLost {
		return
	}
	for _, node := range d.nodes() {
		p, asked := d.Probes[node]
		if slices.Contains(d.away, node) || !asked || p.SQL.Left {
			continue
		}
		d.server(node, p)
		if d.gtmLost {
			return
		}
	}
}

// server judges a server by what its own instance says.
func (d *doctor) server(node string, p Probed) {
	logs := "kubectl antdb logs " + node + " --cluster " + d.Cluster.Name
	i := d.instance(node)
	serves := i != nil && i.Serving
	switch {
	case p.Err != "" && serves:
		d.add(Warning, node+" cannot be asked", said(p.Err), logs)
	case p.Err != "":
		d.lose(node, node+" is away: it does not answer", p.Err, logs)
	case p.SQL.Error != "" && node == antdb.GTMNode:
		d.lose(node, "gc answers no statement", p.SQL.Error, logs)
	case p.SQL.Error != "":
		d.lose(node, node+" is cut off from gc", "no statement comes back on it, while gc answers others: "+p.SQL.Error, d.network(node)...)
	case !serves && i != nil && i.State == "Pending":
		d.away = append(d.away, node)
		d.explain(v1alpha1.ConditionReady)
		d.add(Problem, "the operator does not reach "+node, said(i.Message)+" Statements come back on it; the operator can neither look at it nor repair it.", d.network(node)...)
	}
}

// lose notes a node that is away, whose pod does not tell why.
func (d *doctor) lose(node, what, why string, run ...string) {
	d.away = append(d.away, node)
	d.gtmLost = d.gtmLost || node == antdb.GTMNode
	d.explain(v1alpha1.ConditionReady)
	d.explain(v1alpha1.ConditionTopologySynced)
	d.add(Problem, what, said(why)+" "+consequence(node), run...)
}

// network are the commands for a node that others do not reach.
func (d *doctor) network(node string) []string {
	run := []string{"kubectl get networkpolicy   # does one keep the pods of the cluster from each other?"}
	if i := d.instance(node); i != nil && i.Host != "" {
		run = append(run, "kubectl describe node "+i.Host+"   # are its network pods fine?")
	}
	return append(run, "kubectl antdb logs "+node+" --cluster "+d.Cluster.Name)
}

// paths finds datanodes that are up and not reached by some coordinators, whose catalogs are not the cause.
func (d *doctor) paths() {
	type failure struct {
		from    []string
		message string
	}
	failed := map[string]*failure{}
	wrong := map[[2]string]bool{}
	all := Compare(d.Facts)
	for _, x := range all.Differences() {
		wrong[[2]string{x.Holder, x.Node}] = true
	}
	for _, from := range d.holders() {
		for to, a := range d.Probes[from].Datanodes {
			if a.Error == "" || wrong[[2]string{from, to}] || slices.Contains(d.away, to) || !slices.Contains(d.nodes(antdb.RoleDatanode), to) {
				continue
			}
			if failed[to] == nil {
				failed[to] = &failure{message: a.Error}
			}
			failed[to].from = append(failed[to].from, from)
		}
	}
	for _, to := range d.nodes(antdb.RoleDatanode) {
		if f := failed[to]; f != nil {
			d.explain(v1alpha1.ConditionReady)
			d.add(Problem, fmt.Sprintf("%s is not reached from %s", to, strings.Join(f.from, ", ")),
				f.message+". Its server runs; statements through "+strings.Join(f.from, ", ")+" that need its rows fail", d.network(to)...)
		}
	}
}

// catalogs finds differences of pgxc_node.
func (d *doctor) catalogs() {
	c := Compare(d.Facts)
	byHolder := map[string][]string{}
	for _, x := range c.Differences() {
		switch {
		case x.Have == "":
			byHolder[x.Holder] = append(byHolder[x.Holder], "misses "+x.Want)
		case x.Want == "":
			byHolder[x.Holder] = append(byHolder[x.Holder], "names "+x.Have+", which nobody wants")
		default:
			byHolder[x.Holder] = append(byHolder[x.Holder], "has "+x.Have+" in place of "+x.Want)
		}
	}
	for _, holder := range c.Holders {
		if said := byHolder[holder]; len(said) > 0 {
			d.explain(v1alpha1.ConditionTopologySynced)
			d.add(Problem, "the node catalog of "+holder+" differs", "pgxc_node on "+holder+" "+strings.Join(said, "; ")+
				". The operator repairs it within a minute; if it stays, a statement on pgxc_node fails there",
				"kubectl antdb topology "+d.Cluster.Name, "kubectl antdb logs "+holder+" --cluster "+d.Cluster.Name)
		}
	}
	if len(c.Left) > 0 {
		d.explain(v1alpha1.ConditionTopologySynced)
		d.add(Warning, strings.Join(c.Left, ", ")+" is left out of gc's catalog on request", "gc was told to forget it so that it could start; it is registered again when it is back with the same schema",
			"kubectl antdb status "+d.Cluster.Name)
	}
}

// schemas finds coordinators that hold other objects than the rest.
func (d *doctor) schemas() {
	groups := Schemas(d.Facts)
	if len(groups) < 2 {
		return
	}
	most, others := strings.Join(groups[0], ", "), strings.Join(slices.Concat(groups[1:]...), ", ")
	odd, right := groups[1][0], groups[0][0]
	dump := func(node string) string {
		return fmt.Sprintf("kubectl antdb psql %s %s -- app -Atc \"select relname, relkind from pg_class where relnamespace = 'public'::regnamespace order by 1\" >%s.txt", d.Cluster.Name, node, node)
	}
	d.add(Problem, "objects or roles on "+others+" differ from those on "+most,
		"DDL ran while a coordinator was away or not registered. Statements that name what differs fail with \"already exists\" or \"does not exist\" on a remote node",
		dump(odd), dump(right), fmt.Sprintf("diff %s.txt %s.txt", odd, right))
}
