// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// states sets the states of nodes, for instance "gc Running, dn1 Initializing", and the message of the condition Ready.
func states(text, message string) func(*v1alpha1.AntDBCluster) {
	return func(c *v1alpha1.AntDBCluster) {
		c.Status.Phase, c.Status.ObservedGeneration = "Creating", c.Generation
		for pair := range strings.SplitSeq(text, ", ") {
			name, state, _ := strings.Cut(pair, " ")
			i := 0
			for ; i < len(c.Status.Nodes) && c.Status.Nodes[i].Name != name; i++ {
			}
			if i == len(c.Status.Nodes) {
				join(c, name)
			}
			instance := &c.Status.Nodes[i].Instances[0]
			instance.State, instance.Serving, instance.Ready = state, state == "Serving", state == "Serving"
		}
		c.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: "False", Reason: v1alpha1.ReasonCreating, Message: message, LastTransitionTime: *ago(0),
		}}
	}
}

func ready(c *v1alpha1.AntDBCluster) {
	c.Status = demo().Status
	c.Status.ObservedGeneration = c.Generation
}

// creating is an operator that makes a cluster.
func creating(t *testing.T) *desk {
	t.Helper()
	d := sit(t)
	const quick, slow = time.Second, 3 * time.Second
	step := func(after time.Duration, how func(*v1alpha1.AntDBCluster)) func() {
		return func() { d.pass(after); d.report(how) }
	}
	d.unfold(1, 2,
		step(quick, states("gc Initializing, cn1 Pending, cn2 Pending, dn1 Initializing, dn2 Initializing, dn3 Pending", "")),
		step(slow, states("gc Starting, cn1 Initializing, cn2 Initializing, dn1 Starting, dn2 Starting, dn3 Initializing", "")),
		step(slow, states("gc Running, cn1 Starting, cn2 Starting, dn1 Serving, dn2 Serving, dn3 Serving", "")),
		step(quick, func(c *v1alpha1.AntDBCluster) {
			states("gc Serving, cn1 Running, cn2 Running", "")(c)
			c.Status.Topology.SyncedOn = []string{"gc", "cn1"}
		}),
		step(quick, func(c *v1alpha1.AntDBCluster) { states("cn1 Serving, cn2 Serving", "")(c) }),
		step(quick, ready),
	)
	return d
}

// creatingSeen is the same on a terminal, in the middle of it, left after a picture.
func creatingSeen(t *testing.T) *desk {
	t.Helper()
	d := sit(t)
	d.env.Terminal = true
	d.watched = func(int) {
		d.pass(5 * time.Second)
		d.report(func(c *v1alpha1.AntDBCluster) {
			states("gc Running, cn1 Starting, cn2 Initializing, dn1 Serving, dn2 Serving, dn3 Pending", "cn1, cn2, dn3 do not serve yet")(c)
			c.Status.Topology.SyncedOn = []string{"gc"}
			c.Status.Nodes[5].Instances[0].Message = "its image is being pulled"
		})
	}
	d.once = func(text string) bool { return strings.Contains(text, "being pulled") }
	return d
}

func TestCreateMakesTheClusterThatTheFlagsDescribe(t *testing.T) {
	d := sit(t)
	d.want(0, []string{"cluster demo in namespace prod is being created", "kubectl antdb status demo -w"}, "create", "demo", "--image", "x/antdb:5",
		"--coordinators", "3", "--datanodes", "4", "--gtm-storage", "1Gi", "--datanode-storage", "50Gi", "--datanode-wal-storage", "5Gi",
		"--storage-class", "fast", "--parameter", "work_mem=64MB", "--parameter", "search_path=a, b", "--hba", "host all all 10.0.0.0/8 md5",
		"--owner", "shop", "--superuser-access", "--image-pull-secret", "registry")
	c := &v1alpha1.AntDBCluster{}
	if err := d.world.Get(t.Context(), client.ObjectKey{Namespace: "prod", Name: "demo"}, c); err != nil {
		t.Fatal(err)
	}
	s := &c.Spec
	for what, ok := range map[string]bool{
		"image":      s.Image == "x/antdb:5" && s.ImagePullSecrets[0].Name == "registry",
		"counts":     s.Coordinators.Count == 3 && s.Datanodes.Count == 4,
		"sizes":      s.GTM.Storage.Size == "1Gi" && s.Coordinators.Storage.Size == "2Gi" && s.Datanodes.Storage.Size == "50Gi" && s.Datanodes.WALStorage.Size == "5Gi",
		"classes":    *s.GTM.Storage.StorageClassName == "fast" && *s.Datanodes.WALStorage.StorageClassName == "fast",
		"parameters": s.Parameters["work_mem"] == "64MB" && s.Parameters["search_path"] == "a, b",
		"access":     s.HBA[0] == "host all all 10.0.0.0/8 md5" && s.EnableSuperuserAccess,
		"bootstrap":  s.Bootstrap.Database == "app" && s.Bootstrap.Owner == "shop",
	} {
		if !ok {
			t.Errorf("%s: %+v", what, s)
		}
	}
	d.want(1, []string{"has a cluster demo already: kubectl antdb status demo"}, "create", "demo", "--image", "x")
}

func TestCreateDryRunPrintsAManifestAndCreatesNothing(t *testing.T) {
	d := sit(t)
	d.want(0, nil, "create", "demo", "--image", "x", "--dry-run", "--parameter", "work_mem=64MB")
	c := &v1alpha1.AntDBCluster{}
	if err := yaml.UnmarshalStrict([]byte(d.out.text()), c); err != nil || c.Spec.Parameters["work_mem"] != "64MB" || c.Kind != "AntDBCluster" {
		t.Errorf("%v: %s", err, d.out.text())
	}
	for _, word := range []string{"status", "null", "{}", "namespace", "creationTimestamp"} {
		if strings.Contains(d.out.text(), word) {
			t.Errorf("the manifest says %q:\n%s", word, d.out.text())
		}
	}
	d.want(0, []string{`"namespace": "test"`, `"kind": "AntDBCluster"`}, "create", "demo", "--image", "x", "--dry-run", "-o", "json", "-n", "test")
	if err := d.world.Get(t.Context(), client.ObjectKey{Namespace: "prod", Name: "demo"}, c); err == nil {
		t.Error("a cluster was created")
	}
}

func TestCreateWaitsUntilTheClusterIsReadyAndTellsOfEachNode(t *testing.T) {
	d := creating(t)
	d.want(0, []string{"    0s  dn3   pending", "    1s  gc    initdb", "    8s  cn1   synced", "cluster demo is Ready after 10s", "Secret demo-app"},
		"create", "demo", "--image", "x", "--wait")
}

func TestCreateTellsWhyAClusterDoesNotBecomeReady(t *testing.T) {
	fails := func(kind, reason, message string) *desk {
		d := sit(t)
		d.watched = func(int) {
			d.report(func(c *v1alpha1.AntDBCluster) {
				states("gc Pending", "gc: unschedulable: 0/2 nodes are available")(c)
				if reason != "" {
					c.Status.Conditions = append(c.Status.Conditions, metav1.Condition{Type: kind, Status: "False", Reason: reason, Message: message, LastTransitionTime: *ago(0)})
				}
			})
		}
		return d
	}
	fails(v1alpha1.ConditionBootstrapped, v1alpha1.ReasonBootstrapFailed, `"create rubbish" was refused`).
		want(1, []string{`error: cluster demo: BootstrapFailed: "create rubbish" was refused`}, "create", "demo", "--image", "x", "--wait")
	fails("", "", "").want(1, []string{"not Ready after 300ms: gc: unschedulable: 0/2 nodes", "kubectl antdb doctor demo"},
		"create", "demo", "--image", "x", "--wait", "--timeout", "300ms")
	d := sit(t)
	d.want(1, []string{"the operator has not looked at it yet"}, "create", "demo", "--image", "x", "--wait", "--timeout", "100ms")
	d = creatingSeen(t)
	d.want(130, []string{"interrupted", "kubectl antdb status demo -w"}, "create", "demo", "--image", "x", "--wait")
	d = sit(t)
	d.watched = func(int) {
		if err := d.world.Delete(t.Context(), demo()); err != nil {
			t.Error(err)
		}
	}
	d.want(1, []string{"the cluster was deleted"}, "create", "demo", "--image", "x", "--wait")
}

func TestCreateIsRefusedBeforeKubernetesIsAsked(t *testing.T) {
	d := sit(t)
	for want, args := range map[string]string{
		"say how the cluster shall be called":         "--image x",
		"--image is needed":                           "demo",
		"--parameter \"a\": allowed is NAME=VALUE":    "demo --image x --parameter a",
		"--parameter a is given twice":                "demo --image x --parameter a=1 --parameter a=2",
		`"port" cannot be set: the operator keeps it`: "demo --image x --parameter port=1",
		"storage of gc: size: allowed is a quantity":  "demo --image x --gtm-storage much",
		"--timeout 0s: allowed is more than 0":        "demo --image x --wait --timeout 0",
		"leave out --wait":                            "demo --image x --wait --dry-run",
		"shorten the name or the namespace":           "a-name-of-many-many-many-letters --image x -n a-namespace-of-many-many-letters",
		`"more" is one argument too many`:             "demo more --image x",
	} {
		d.want(1, []string{want}, append([]string{"create"}, strings.Fields(args)...)...)
	}
}
