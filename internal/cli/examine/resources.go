// SPDX-License-Identifier: Apache-2.0

package examine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Thresholds of the doctor.
const (
	// fillingWarning and fillingProblem are shares of a volume, in percent.
	fillingWarning, fillingProblem = 80, 95
	// unsettled is how long a two-phase transaction may be open: the engine settles those that are left within seconds.
	unsettled = time.Minute
	// certificateEnd is what must be left of a certificate: the operator renews it long before.
	certificateEnd = 60 * 24 * time.Hour
)

// inDoubt finds two-phase transactions that nobody settles.
func (d *doctor) inDoubt() {
	where, oldest, database := map[string][]string{}, map[string]int64{}, map[string]string{}
	for _, node := range d.nodes() {
		for _, p := range d.Probes[node].Prepared {
			if time.Duration(p.Seconds)*time.Second >= unsettled {
				where[p.GID] = append(where[p.GID], node)
				oldest[p.GID], database[p.GID] = max(oldest[p.GID], p.Seconds), p.Database
			}
		}
	}
	if len(where) == 0 {
		return
	}
	const most = 5
	gids := slices.SortedFunc(maps.Keys(where), func(a, b string) int { return int(oldest[b] - oldest[a]) })
	var list []string
	for _, gid := range gids[:min(len(gids), most)] {
		list = append(list, fmt.Sprintf("%s in database %s, prepared on %s for %s", gid, database[gid], strings.Join(where[gid], ", "), time.Duration(oldest[gid])*time.Second))
	}
	why := strings.Join(list, "; ") + ". The rows they touch stay locked. "
	var run []string
	if gone := d.awayOf(antdb.RoleCoordinator, antdb.RoleGTM); len(gone) > 0 {
		why += "The coordinator that began them decides, and settles them within seconds after it is back: bring back " + strings.Join(gone, ", ") +
			", and do not remove it or its volume before"
	} else {
		why += "Every coordinator is there, so none of them knows these transactions, or one does not reach a node"
		run = append(run, fmt.Sprintf("kubectl antdb psql %s cn1 -- -c 'select * from rxact_get_running()'   # on each coordinator", d.Cluster.Name))
	}
	run = append(run, fmt.Sprintf("kubectl antdb psql %s %s -- -c 'select * from pg_prepared_xacts'", d.Cluster.Name, where[gids[0]][0]))
	what := fmt.Sprintf("%d transactions are in doubt", len(gids))
	if len(gids) == 1 {
		what = "a transaction is in doubt"
	}
	d.add(Problem, what, why, run...)
}

// awayOf are the nodes of some roles that are away.
func (d *doctor) awayOf(roles ...antdb.Role) []string {
	var out []string
	for _, node := range d.away {
		if role, _, err := antdb.ParseNodeName(node); err == nil && slices.Contains(roles, role) {
			out = append(out, node)
		}
	}
	return out
}

// volumes finds volumes that are nearly full, and claims that cannot grow.
func (d *doctor) volumes() {
	for _, node := range d.nodes() {
		for _, kind := range []string{naming.VolumeData, naming.VolumeWAL} {
			v, ok := d.Probes[node].Volumes[kind]
			if !ok || v.Capacity == 0 {
				continue
			}
			used := int((v.Capacity - v.Free) * 100 / v.Capacity)
			weight := Warning
			switch {
			case used < fillingWarning:
				continue
			case used >= fillingProblem:
				weight = Problem
			}
			d.add(weight, fmt.Sprintf("the %s volume of %s is %d%% full", kind, node, used),
				"A server whose volume is full stops. Old write-ahead log stays as long as a prepared transaction or a replication slot needs it.",
				"kubectl antdb df "+d.Cluster.Name, "kubectl edit antdbcluster "+d.Cluster.Name+"   # storage.size; the class must let volumes grow", "kubectl antdb skew "+d.Cluster.Name+"   # are rows spread evenly?")
		}
	}
	if reason, message, bad := d.condition(v1alpha1.ConditionVolumesHealthy); bad && reason == v1alpha1.ReasonResizeRefused {
		d.explain(v1alpha1.ConditionVolumesHealthy)
		d.add(Problem, "a volume does not get its size", message, "kubectl edit antdbcluster "+d.Cluster.Name+"   # set the size back, or use a class that lets volumes grow")
	}
}

// certificates finds certificates of the instance API that are near their end. All instances share one.
func (d *doctor) certificates() {
	for _, node := range d.nodes() {
		text := d.Probes[node].CertificateUntil
		until, err := time.Parse(time.RFC3339, text)
		left := until.Sub(d.Now)
		if text == "" || err != nil || left > certificateEnd {
			continue
		}
		weight, what := Warning, fmt.Sprintf("the certificate of %s ends in %d days", node, int(left.Hours()/24))
		if left <= 0 {
			weight, what = Problem, "the certificate of "+node+" ended on "+until.Format(time.DateOnly)
		}
		secret := naming.InstancesTLSSecret(d.Cluster.Name)
		d.add(weight, what, "The operator renews it when a third of its life is left, and mounts of Secrets follow within two minutes: it does not run, or may not write the Secret. "+
			"After its end the operator cannot speak to instances any more.",
			"kubectl -n antdb-system logs deployment/antdb-operator --tail=50", "kubectl get secret "+secret)
	}
}

// settings finds parameters that were refused or wait, and passwords that are not in place.
func (d *doctor) settings() {
	reason, message, bad := d.condition(v1alpha1.ConditionConfigurationApplied)
	if bad && reason == v1alpha1.ReasonParameterRejected {
		d.explain(v1alpha1.ConditionConfigurationApplied)
		d.add(Problem, "a server refuses a parameter", said(message)+" It runs on with its old configuration.",
			"kubectl edit antdbcluster "+d.Cluster.Name+"   # parameters", "kubectl antdb config --cluster "+d.Cluster.Name)
	}
	waits := map[string][]string{}
	stale := map[string]bool{}
	for _, node := range d.nodes() {
		i := d.instance(node)
		if i == nil {
			continue
		}
		for _, name := range i.PendingRestart {
			waits[name] = append(waits[name], node)
		}
		for _, name := range i.StaleCredentials {
			stale[name] = true
		}
	}
	if len(waits) > 0 {
		var list []string
		for _, name := range slices.Sorted(maps.Keys(waits)) {
			list = append(list, name+" on "+strings.Join(waits[name], ", "))
		}
		d.add(Warning, "parameters wait for a restart", strings.Join(list, "; ")+". The operator restarts one node at a time, as long as all others serve.", "kubectl antdb status "+d.Cluster.Name+" -w")
	}
	if len(stale) > 0 {
		d.add(Warning, "passwords are not in place", "The password of "+strings.Join(slices.Sorted(maps.Keys(stale)), ", ")+" in the database is not yet the one in its Secret.",
			"kubectl antdb logs --cluster "+d.Cluster.Name)
	}
}

// rest tells of conditions that nothing explained, and of catalogs that somebody else changes.
func (d *doctor) rest() {
	for _, c := range d.Cluster.Status.Conditions {
		failed := c.Type == v1alpha1.ConditionProgressing && c.Reason == v1alpha1.ReasonOperationFailed
		if failed {
			d.add(Problem, "the cluster does not have the nodes that its spec wants", c.Message, "kubectl antdb operations "+d.Cluster.Name)
		}
		quiet := c.Type == v1alpha1.ConditionProgressing || c.Status != "False" || slices.Contains(d.explained, c.Type) ||
			c.Reason == v1alpha1.ReasonBootstrapPending || c.Reason == v1alpha1.ReasonApplying || c.Reason == v1alpha1.ReasonResizing || c.Reason == v1alpha1.ReasonRolesPending
		if follows := d.gtmLost || len(d.away) > 0; !quiet && !follows {
			d.add(Problem, c.Type+" is not true: "+c.Reason, c.Message, "kubectl antdb status "+d.Cluster.Name, "kubectl antdb logs --cluster "+d.Cluster.Name)
		}
	}
	for _, node := range d.nodes() {
		if i := d.instance(node); i != nil && i.Drifts > 0 {
			d.add(Note, fmt.Sprintf("somebody else changed pgxc_node on %s %d times", node, i.Drifts), "It was repaired each time. Nodes are added and removed by the counts of the spec, not by CREATE NODE.",
				"kubectl antdb events "+d.Cluster.Name)
		}
	}
}
