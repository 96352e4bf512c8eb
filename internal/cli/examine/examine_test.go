// SPDX-License-Identifier: Apache-2.0

package examine_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

var now = time.Date(2026, 3, 1, 10, 5, 0, 0, time.UTC)

// sound are the facts of a cluster 1+2+3 that is fine.
func sound() *examine.Facts {
	c := &v1alpha1.AntDBCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "demo", Generation: 2}}
	c.Spec.Coordinators.Count, c.Spec.Datanodes.Count = 2, 3
	c.Status.ObservedGeneration = 2
	f := &examine.Facts{Now: now, Cluster: c, Pods: map[string]*corev1.Pod{}, Hosts: map[string]*corev1.Node{}, Probes: map[string]examine.Probed{}}
	for _, name := range []string{"gc", "cn1", "cn2", "dn1", "dn2", "dn3"} {
		role, _, _ := antdb.ParseNodeName(name)
		instance := naming.Instance("demo", name, 1)
		c.Status.Nodes = append(c.Status.Nodes, v1alpha1.NodeStatus{
			Name: name, Role: string(role), Primary: instance,
			Instances: []v1alpha1.InstanceStatus{{Name: instance, Role: "primary", Ready: true, Serving: true, State: "Running", Host: "worker-1"}},
		})
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: instance}, Spec: corev1.PodSpec{NodeName: "worker-1"}}
		pod.Status.Phase = corev1.PodRunning
		f.Pods[instance] = pod
	}
	for kind, reason := range map[string]string{
		v1alpha1.ConditionReady: v1alpha1.ReasonAllNodesServe, v1alpha1.ConditionGTMAvailable: v1alpha1.ReasonGTMServes,
		v1alpha1.ConditionTopologySynced: v1alpha1.ReasonCatalogsEqual,
	} {
		c.Status.Conditions = append(c.Status.Conditions, metav1.Condition{Type: kind, Status: "True", Reason: reason})
	}
	all := spec.Resolve(c)
	rows, _ := all.Topology(nil)
	c.Status.Topology.Hash = rows.Hash()
	for _, n := range all.Nodes {
		p := instanceapi.Probe{
			Node: n.Name, Role: n.Role, SQL: instanceapi.Attempt{Micros: 400}, CertificateUntil: now.Add(300 * 24 * time.Hour).Format(time.RFC3339),
			Volumes: map[string]instanceapi.Volume{"data": {Capacity: 10 << 30, Free: 7 << 30}},
		}
		if n.Role.HoldsCatalog() {
			p.Catalog, p.SchemaDigest, p.Datanodes = append(p.Catalog, rows.Nodes...), "abc", map[string]instanceapi.Attempt{"dn1": {Micros: 900}, "dn2": {Micros: 950}, "dn3": {Micros: 1100}}
		}
		f.Probes[n.Name] = examine.Probed{Probe: p}
	}
	return f
}

// lost is a node that does not serve.
func lost(f *examine.Facts, node, state, message string) *corev1.Pod {
	for i := range f.Cluster.Status.Nodes {
		if n := &f.Cluster.Status.Nodes[i]; n.Name == node {
			n.Instances[0].Serving, n.Instances[0].Ready, n.Instances[0].State, n.Instances[0].Message = false, false, state, message
		}
	}
	bad(f, v1alpha1.ConditionReady, v1alpha1.ReasonNodesNotServing, node+": "+message)
	p := f.Probes[node]
	p.Probe, p.Err = instanceapi.Probe{}, "pod demo-"+node+"-1 does not answer"
	f.Probes[node] = p
	return f.Pods["demo-"+node+"-1"]
}

// bad sets a condition that is not true.
func bad(f *examine.Facts, kind, reason, message string) {
	for i := range f.Cluster.Status.Conditions {
		if c := &f.Cluster.Status.Conditions[i]; c.Type == kind {
			c.Status, c.Reason, c.Message = "False", reason, message
			return
		}
	}
	f.Cluster.Status.Conditions = append(f.Cluster.Status.Conditions, metav1.Condition{Type: kind, Status: "False", Reason: reason, Message: message})
}

// change changes a probe.
func change(f *examine.Facts, node string, how func(*examine.Probed)) {
	p := f.Probes[node]
	how(&p)
	f.Probes[node] = p
}

// waiting puts a container of a pod into the state of waiting.
func waiting(p *corev1.Pod, reason, message string) {
	p.Status.Phase = corev1.PodPending
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "antdb", Image: "x/antdb:6", RestartCount: 4, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}},
	}}
}

// pending is a pod whose containers are not made yet.
func pending(p *corev1.Pod, uid types.UID) {
	p.UID, p.Status.Phase, p.Status.ContainerStatuses = uid, corev1.PodPending, nil
}

// pull is what a kubelet said of a pod, that many seconds after something.
func pull(pod types.UID, second int64, reason, message string) corev1.Event {
	return corev1.Event{InvolvedObject: corev1.ObjectReference{UID: pod}, LastTimestamp: metav1.Unix(second, 0), Reason: reason, Message: message}
}

func unscheduled(p *corev1.Pod, message string) {
	p.Status.Phase, p.Spec.NodeName = corev1.PodPending, ""
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message}}
}

func TestTheDoctorNamesTheCauseAndNotWhatFollowsFromIt(t *testing.T) {
	for name, c := range map[string]struct {
		how func(*examine.Facts)
		// words of each finding, separated by |
		want []string
	}{
		"a cluster that is fine": {how: func(*examine.Facts) {}},
		"gc deleted and unschedulable": {
			how: func(f *examine.Facts) {
				unscheduled(lost(f, "gc", "Pending", "unschedulable: 0/2 nodes are available"), "0/2 nodes are available: 2 node(s) were unschedulable")
				bad(f, v1alpha1.ConditionGTMAvailable, v1alpha1.ReasonGTMDown, "gc does not run")
				for _, n := range []string{"cn1", "cn2", "dn1", "dn2", "dn3"} {
					lost(f, n, "Waiting", "statements do not come back: the server waits for a snapshot from gc")
					change(f, n, func(p *examine.Probed) { p.Err, p.SQL.Error = "", "canceling statement due to statement timeout" })
				}
			},
			want: []string{"problem|gc is away: no host takes its pod|0/2 nodes are available: 2 node(s) were unschedulable|Without gc no statement runs anywhere|kubectl get nodes"},
		},
		"gc has no pod": {
			how: func(f *examine.Facts) {
				lost(f, "gc", "Pending", "its pod does not exist yet")
				delete(f.Pods, "demo-gc-1")
				f.Events = []corev1.Event{{InvolvedObject: corev1.ObjectReference{Name: "demo-gc-1"}, Type: "Warning", Reason: "FailedCreate", Message: "exceeded quota"}}
			},
			want: []string{"problem|gc is away: it has no pod|FailedCreate: exceeded quota"},
		},
		"gc waits for a coordinator whose image is missing": {
			how: func(f *examine.Facts) {
				waiting(lost(f, "cn2", "Pending", "ErrImagePull"), "ImagePullBackOff", "x/antdb:6 not found")
				bad(f, v1alpha1.ConditionGTMAvailable, v1alpha1.ReasonGTMWaitsForNodes, "gc was started without cn2 and hands out no snapshots")
				change(f, "cn1", func(p *examine.Probed) { p.SQL.Error = "timeout" })
				change(f, "gc", func(p *examine.Probed) {
					p.SQL = instanceapi.Attempt{Left: true}
					p.Catalog, p.SchemaDigest, p.Datanodes = nil, "", nil
				})
			},
			want: []string{
				"problem|cn2 is away: its image cannot be pulled|Image x/antdb:6: ImagePullBackOff: x/antdb:6 not found|every DDL fails until cn2 is back",
				"problem|gc waits for nodes|gc was started without cn2|bring cn2 back",
			},
		},
		"the image of gc could not be pulled, and its pod does not say so yet": {
			how: func(f *examine.Facts) {
				pending(lost(f, "gc", "Pending", "its pod is pending"), "gc-now")
				f.Events = []corev1.Event{
					pull("gc-before", 9, "Failed", `Failed to pull image "x/antdb:4": gone`),
					pull("gc-now", 1, "Pulled", "Successfully pulled image x/operator:1"),
					pull("gc-now", 2, "Failed", `Failed to pull image "x/antdb:6": not found`),
					pull("gc-now", 2, "Failed", "Error: ErrImagePull"),
				}
			},
			want: []string{`problem|gc is away: its image cannot be pulled|Failed to pull image "x/antdb:6": not found.|kubectl edit antdbcluster demo`},
		},
		"an image that could not be pulled at first": {
			how: func(f *examine.Facts) {
				pending(lost(f, "gc", "Pending", "its pod is pending"), "gc-now")
				f.Events = []corev1.Event{
					pull("gc-now", 2, "Pulled", "Successfully pulled image x/antdb:6"),
					pull("gc-now", 1, "Failed", `Failed to pull image "x/antdb:6": not found`),
				}
			},
			want: []string{"problem|gc is away: its pod does not run yet"},
		},
		"a coordinator that the network cut off": {
			how: func(f *examine.Facts) {
				lost(f, "cn2", "Pending", "no answer from its instance manager: i/o timeout")
				change(f, "cn2", func(p *examine.Probed) { p.Err, p.SQL.Error = "", "canceling statement due to statement timeout" })
			},
			want: []string{"problem|cn2 is cut off from gc|while gc answers others: canceling statement|kubectl get networkpolicy|kubectl describe node worker-1"},
		},
		"a coordinator that only the operator does not reach": {
			how: func(f *examine.Facts) {
				p := f.Probes["cn2"]
				lost(f, "cn2", "Pending", "no answer from its instance manager: i/o timeout")
				f.Probes["cn2"] = p
			},
			want: []string{"problem|the operator does not reach cn2|i/o timeout"},
		},
		"a host that is down": {
			how: func(f *examine.Facts) {
				lost(f, "dn1", "Running", "its pod is not ready")
				host := &corev1.Node{}
				host.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status."}}
				f.Hosts["worker-1"] = host
			},
			want: []string{"problem|dn1 is away: its host worker-1 is down|Kubelet stopped posting|Statements that need rows on dn1 fail|kubectl describe node worker-1"},
		},
		"a pod that does not answer": {
			how:  func(f *examine.Facts) { lost(f, "dn1", "Running", "not published") },
			want: []string{"problem|dn1 is away: it does not answer"},
		},
		"a server that crashes": {
			how:  func(f *examine.Facts) { lost(f, "dn3", "Stopped", "the server ended by itself: exit status 1") },
			want: []string{"problem|dn3 is away: its server does not run|the server ended by itself|started again after a pause|kubectl antdb logs dn3"},
		},
		"a container that crashes": {
			how:  func(f *examine.Facts) { waiting(lost(f, "dn3", "Pending", ""), "CrashLoopBackOff", "back-off") },
			want: []string{"problem|dn3 is away: its container antdb crashes again and again|it ended 4 times, the last time with OOMKilled (exit code 137)|--previous"},
		},
		"a Secret that cannot be mounted": {
			how: func(f *examine.Facts) {
				waiting(lost(f, "dn3", "Pending", ""), "CreateContainerConfigError", `secret "x" not found`)
			},
			want: []string{`problem|dn3 is away: its container antdb cannot be made|CreateContainerConfigError: secret "x" not found`},
		},
		"a claim without a volume": {
			how: func(f *examine.Facts) {
				p := lost(f, "dn2", "Pending", "unschedulable")
				unscheduled(p, "pod has unbound immediate PersistentVolumeClaims")
				p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "demo-dn2-1"}}}}
				class := "fast"
				claim := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "demo-dn2-1"}, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class}}
				claim.Status.Phase = corev1.ClaimPending
				f.Claims = append(f.Claims, claim)
				f.Events = []corev1.Event{{InvolvedObject: corev1.ObjectReference{Name: "demo-dn2-1"}, Type: "Warning", Reason: "ProvisioningFailed", Message: `storageclass "fast" not found`}}
			},
			want: []string{`problem|dn2 is away: its volume is not made|Claim demo-dn2-1 of class fast is pending|ProvisioningFailed: storageclass "fast" not found|kubectl get storageclass`},
		},
		"a volume that is somebody else's": {
			how:  func(f *examine.Facts) { lost(f, "dn2", "Refused", "the data belongs to cluster other") },
			want: []string{"problem|dn2 is away: its volume is refused|the data belongs to cluster other"},
		},
		"a datanode that one coordinator does not reach": {
			how: func(f *examine.Facts) {
				change(f, "cn2", func(p *examine.Probed) { p.Datanodes["dn2"] = instanceapi.Attempt{Error: "reconnect three times"} })
				bad(f, v1alpha1.ConditionReady, v1alpha1.ReasonDatanodesUnreachable, "dn2 is not reached")
			},
			want: []string{"problem|dn2 is not reached from cn2|reconnect three times. Its server runs"},
		},
		"a node catalog that somebody changed": {
			how: func(f *examine.Facts) {
				change(f, "cn1", func(p *examine.Probed) {
					p.Catalog = append(p.Catalog[:3:3], p.Catalog[4:]...)
					p.Catalog[2].Host = "10.0.0.1"
				})
				bad(f, v1alpha1.ConditionTopologySynced, v1alpha1.ReasonCatalogDiffers, "pgxc_node is being made equal on cn1")
				f.Cluster.Status.Nodes[1].Instances[0].Drifts = 3
			},
			want: []string{
				"problem|the node catalog of cn1 differs|has cn2 C 10.0.0.1:5432 in place of cn2 C demo-cn2-h.prod.svc:5432|misses dn1 D demo-dn1-h.prod.svc:5432 primary|kubectl antdb topology demo",
				"note|somebody else changed pgxc_node on cn1 3 times",
			},
		},
		"a coordinator that holds other objects": {
			how:  func(f *examine.Facts) { change(f, "cn2", func(p *examine.Probed) { p.SchemaDigest = "xyz" }) },
			want: []string{"problem|objects or roles on cn2 differ from those on gc, cn1|DDL ran while a coordinator was away|diff cn2.txt gc.txt"},
		},
		"a coordinator that gc was told to forget": {
			how: func(f *examine.Facts) {
				f.Cluster.Status.Topology.Deregistered = []string{"cn2"}
				change(f, "gc", func(p *examine.Probed) { p.Catalog = append(p.Catalog[:2:2], p.Catalog[3:]...) })
			},
			want: []string{"warning|cn2 is left out of gc's catalog on request"},
		},
		"a transaction in doubt while its coordinator is away": {
			how: func(f *examine.Facts) {
				lost(f, "cn1", "Stopped", "the server ended by itself")
				for _, n := range []string{"dn1", "dn2"} {
					change(f, n, func(p *examine.Probed) {
						p.Prepared = []instanceapi.Prepared{{GID: "T77", Database: "app", Owner: "app", Seconds: 120}, {GID: "T80", Seconds: 2}}
					})
				}
			},
			want: []string{"problem|cn1 is away", "problem|a transaction is in doubt|T77 in database app, prepared on dn1, dn2 for 2m0s|bring back cn1, and do not remove it"},
		},
		"transactions in doubt that nobody knows": {
			how: func(f *examine.Facts) {
				change(f, "dn1", func(p *examine.Probed) {
					p.Prepared = []instanceapi.Prepared{{GID: "a", Seconds: 100}, {GID: "b", Seconds: 300}}
				})
			},
			want: []string{"problem|2 transactions are in doubt|b in database|Every coordinator is there|rxact_get_running"},
		},
		"volumes that fill": {
			how: func(f *examine.Facts) {
				change(f, "dn1", func(p *examine.Probed) { p.Volumes["data"] = instanceapi.Volume{Capacity: 100, Free: 4} })
				change(f, "dn2", func(p *examine.Probed) { p.Volumes["wal"] = instanceapi.Volume{Capacity: 100, Free: 15} })
			},
			want: []string{"problem|the data volume of dn1 is 96% full|kubectl antdb df demo", "warning|the wal volume of dn2 is 85% full"},
		},
		"certificates near their end": {
			how: func(f *examine.Facts) {
				change(f, "dn1", func(p *examine.Probed) { p.CertificateUntil = now.Add(10 * 24 * time.Hour).Format(time.RFC3339) })
				change(f, "dn2", func(p *examine.Probed) { p.CertificateUntil = now.Add(-time.Hour).Format(time.RFC3339) })
			},
			want: []string{"problem|the certificate of dn2 ended on 2026-03-01", "warning|the certificate of dn1 ends in 10 days"},
		},
		"a parameter that a server refuses": {
			how: func(f *examine.Facts) {
				bad(f, v1alpha1.ConditionConfigurationApplied, v1alpha1.ReasonParameterRejected, `cn1: work_mem = "lots": invalid value`)
			},
			want: []string{`problem|a server refuses a parameter|work_mem = "lots"|It runs on with its old configuration`},
		},
		"a role that cannot be made": {
			how: func(f *examine.Facts) {
				bad(f, v1alpha1.ConditionRolesReconciled, v1alpha1.ReasonRoleFailed, `anna: role "nobody" does not exist`)
			},
			want: []string{`warning|a role of spec.managed.roles cannot be made as it is described|anna: role "nobody" does not exist|kubectl antdb user list demo`},
		},
		"roles that are being made": {
			how: func(f *examine.Facts) {
				bad(f, v1alpha1.ConditionRolesReconciled, v1alpha1.ReasonRolesPending, "anna: being made as described")
			},
		},
		"parameters and passwords that wait": {
			how: func(f *examine.Facts) {
				f.Cluster.Status.Nodes[1].Instances[0].PendingRestart = []string{"max_connections"}
				f.Cluster.Status.Nodes[2].Instances[0].PendingRestart = []string{"max_connections"}
				f.Cluster.Status.Nodes[1].Instances[0].StaleCredentials = []string{"app"}
			},
			want: []string{"warning|parameters wait for a restart|max_connections on cn1, cn2", "warning|passwords are not in place|The password of app"},
		},
		"a container that was killed lately": {
			how: func(f *examine.Facts) {
				f.Pods["demo-dn1-1"].Status.ContainerStatuses = []corev1.ContainerStatus{{
					Name: "antdb", RestartCount: 1, LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
						Reason: "OOMKilled", ExitCode: 137, FinishedAt: metav1.Time{Time: now.Add(-10 * time.Minute)},
					}},
				}}
			},
			want: []string{"warning|the container of dn1 was started again|OOMKilled|resources.limits.memory"},
		},
		"a spec that cannot be carried out": {
			how:  func(f *examine.Facts) { bad(f, v1alpha1.ConditionReady, v1alpha1.ReasonInvalidSpec, "spec.x: y") },
			want: []string{"problem|the spec cannot be carried out|spec.x: y|kubectl edit antdbcluster demo"},
		},
		"a Secret that is missing": {
			how:  func(f *examine.Facts) { bad(f, v1alpha1.ConditionReady, v1alpha1.ReasonSecretMissing, "Secret x") },
			want: []string{"problem|a Secret is missing|Secret x"},
		},
		"a bootstrap that failed": {
			how: func(f *examine.Facts) {
				bad(f, v1alpha1.ConditionBootstrapped, v1alpha1.ReasonBootstrapFailed, `"create x"`)
			},
			want: []string{`problem|a statement of spec.bootstrap was refused|"create x"`},
		},
		"an operator that does not look": {
			how:  func(f *examine.Facts) { f.Cluster.Generation = 3 },
			want: []string{"problem|the operator has not looked at the latest spec|antdb-system"},
		},
		"an operation that failed": {
			how: func(f *examine.Facts) {
				f.Cluster.Status.Conditions = append(f.Cluster.Status.Conditions,
					metav1.Condition{Type: v1alpha1.ConditionProgressing, Status: "False", Reason: v1alpha1.ReasonOperationFailed, Message: "dn4 could not be added"})
			},
			want: []string{"problem|the cluster does not have the nodes that its spec wants|dn4 could not be added|kubectl antdb operations demo"},
		},
		"a condition that nothing explains": {
			how: func(f *examine.Facts) {
				bad(f, v1alpha1.ConditionReady, v1alpha1.ReasonDatanodesUnreachable, "dn2: strange")
			},
			want: []string{"problem|Ready is not true: DatanodesUnreachable|dn2: strange"},
		},
		"pods that may not be read": {
			how: func(f *examine.Facts) {
				lost(f, "dn1", "Pending", "unschedulable: no room")
				f.Pods, f.Unknown = nil, []string{"pods (your account may not list them)"}
			},
			want: []string{"problem|dn1 is away: it does not serve|unschedulable: no room."},
		},
		"a node that joins": {
			how: func(f *examine.Facts) {
				lost(f, "dn3", "Initializing", "")
				f.Cluster.Status.Members = []v1alpha1.MemberStatus{{Name: "cn1", State: v1alpha1.MemberActive}, {Name: "cn2", State: v1alpha1.MemberActive},
					{Name: "dn1", State: v1alpha1.MemberActive}, {Name: "dn2", State: v1alpha1.MemberActive}, {Name: "dn3", State: v1alpha1.MemberJoining}}
				for i := range f.Cluster.Status.Conditions {
					f.Cluster.Status.Conditions[i].Status = "True"
				}
				for _, h := range []string{"gc", "cn1", "cn2"} {
					change(f, h, func(p *examine.Probed) { p.Catalog = p.Catalog[:5:5]; delete(p.Datanodes, "dn3") })
				}
				f.Cluster.Status.Topology.Hash = ""
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := sound()
			c.how(f)
			got := examine.Diagnose(f)
			if len(got) != len(c.want) {
				t.Errorf("%d findings, not %d", len(got), len(c.want))
			}
			for i, g := range got {
				text := strings.Join(append([]string{string(g.Weight), g.What, g.Why}, g.Run...), "\n")
				if i >= len(c.want) {
					t.Errorf("too much: %s", text)
					continue
				}
				for word := range strings.SplitSeq(c.want[i], "|") {
					if !strings.Contains(text, word) {
						t.Errorf("finding %d does not say %q:\n%s", i, word, text)
					}
				}
			}
		})
	}
}

func TestAllChecksOfASoundClusterPass(t *testing.T) {
	f := sound()
	change(f, "cn1", func(p *examine.Probed) {
		p.AskedFor = []examine.Address{{Service: "demo", HostPort: "demo.prod.svc:5432"}}
		p.Addresses = map[string]instanceapi.Attempt{"demo.prod.svc:5432": {Micros: 700}}
	})
	r := examine.Test(f)
	if len(r.All()) != 6+1+9+2 || r.Failed() != 0 || r.Catalogs.To != "gc, cn1, cn2" || r.Objects.To != "gc, cn1, cn2" {
		t.Errorf("%d checks, %d failed: %+v", len(r.All()), r.Failed(), r)
	}
}

func TestWhatDoesNotWorkIsDown(t *testing.T) {
	f := sound()
	change(f, "cn1", func(p *examine.Probed) {
		p.AskedFor = []examine.Address{{Service: "demo", HostPort: "demo:1"}, {Service: "demo-gc", HostPort: "gc:1"}}
		p.Addresses = map[string]instanceapi.Attempt{"demo:1": {Error: "refused"}}
		p.Datanodes["dn2"] = instanceapi.Attempt{Error: "no route"}
	})
	change(f, "cn2", func(p *examine.Probed) { *p = examine.Probed{Err: "no pod"} })
	change(f, "gc", func(p *examine.Probed) { p.Probe = instanceapi.Probe{SQL: instanceapi.Attempt{Left: true}} })
	delete(f.Probes, "dn1")
	r := examine.Test(f)
	want := map[string]string{
		"gc": "a session would hang", "cn2": "no pod", "dn1": "it was not asked", "demo": "refused", "demo-gc": "it was not tried", "cn1 dn2": "no route",
		"cn2 dn1": "no statement runs on cn2", "cn2 dn2": "no statement", "cn2 dn3": "no statement", "gc dn1": "no statement", "gc dn2": "no statement", "gc dn3": "no statement",
		"cn1": "cannot be read on gc, cn2", "": "cannot be read everywhere",
	}
	for _, c := range r.All() {
		key := strings.TrimSpace(c.From + " " + c.To)
		if strings.HasPrefix(c.To, "demo") {
			key = c.To
		}
		if word, ok := want[key]; !c.Up && (!ok || !strings.Contains(c.Message, word)) && c.Message != "cannot be read everywhere" {
			t.Errorf("%q is down: %s", key, c.Message)
		}
	}
	if r.Failed() != 14 {
		t.Errorf("%d failed", r.Failed())
	}
}

func TestCatalogsAreComparedWithGCWhileAnOperationChangesThem(t *testing.T) {
	f := sound()
	f.Cluster.Status.Topology.Hash = "another"
	change(f, "cn2", func(p *examine.Probed) { p.Catalog = p.Catalog[:5:5] })
	c := examine.Compare(f)
	if got := c.Differences(); c.Against != examine.AgainstGTM || len(got) != 1 || got[0].Holder != "cn2" || got[0].Node != "dn3" || got[0].Have != "" {
		t.Errorf("%s %+v", c.Against, got)
	}
}
