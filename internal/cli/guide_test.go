// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

const (
	guide  = "../../docs/guide/kubectl-antdb.md"
	prompt = "$ kubectl antdb "
)

// example is a block of the guide: the scene it plays in, and commands with what they print.
var example = regexp.MustCompile("(?s)<!-- scene: ([a-z-]+) -->\n```console\n(.*?)```\n")

// scenes are what the examples play in.
var scenes = map[string]func(*testing.T) *desk{
	"rest":     func(t *testing.T) *desk { return sit(t, demo()) },
	"trouble":  trouble,
	"growing":  func(t *testing.T) *desk { return sit(t, demo(), growing(), waiting()) },
	"adding":   adding,
	"watching": watching,
	"removing": func(t *testing.T) *desk { return sit(t, demo()) },
	"planning": planning,
	"skewed":   skewed,
	"logs":     written,
	"former":   former,
	"inside":   inside,
	"reported": reported,
	"sound":    sound, "gc-gone": gcGone, "cut-off": cutOff,
	"falling":  falling,
	"creating": creating,
	"stopping": stopping, "starting": starting,
	"restarting": restarting("dn1", "cn2"), "restarting-seen": restartingSeen,
	"reloading":     reloading(""),
	"comparing":     comparing("missing: dn3 D demo-dn3-h.prod.svc:5432"),
	"deleting":      deleting,
	"pausing":       pausing,
	"stopped":       func(t *testing.T) *desk { return sit(t, stopped()) },
	"creating-seen": creatingSeen,
	"people":        users,
	"policies":      policies,
}

func TestTheGuideShowsWhatCommandsPrint(t *testing.T) {
	guide, err := filepath.Abs(guide) // some scenes play in another folder
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	got := example.ReplaceAllStringFunc(string(text), func(block string) string {
		m := example.FindStringSubmatch(block)
		scene := scenes[m[1]]
		if scene == nil {
			t.Fatalf("the guide names a scene %q that there is not", m[1])
		}
		seen[m[1]] = true
		return "<!-- scene: " + m[1] + " -->\n```console\n" + play(t, scene(t), m[2]) + "```\n"
	})
	for name := range scenes {
		if !seen[name] {
			t.Errorf("no example plays in the scene %q", name)
		}
	}
	if *update {
		if err := os.WriteFile(guide, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(text), got); d != "" {
		t.Errorf("the guide shows what commands do not print; go test ./internal/cli -update writes it (-guide +printed):\n%s", d)
	}
}

// again is how a terminal is told to draw over so many lines.
var again = regexp.MustCompile(`\x1b\[([0-9]+)A\x1b\[J`)

// seen is what stands on a terminal in the end.
func seen(printed string) string {
	for {
		at := again.FindStringSubmatchIndex(printed)
		if at == nil {
			return printed
		}
		height, err := strconv.Atoi(printed[at[2]:at[3]])
		if err != nil {
			panic(err)
		}
		before := strings.SplitAfter(printed[:at[0]], "\n")
		printed = strings.Join(before[:len(before)-1-height], "") + printed[at[1]:]
	}
}

// ending takes the exit code off a command: a comment that ends so.
func ending(command string) (rest string, code int) {
	rest, comment, _ := strings.Cut(command, "#")
	_, words, ok := strings.Cut(comment, "ends with ")
	if !ok {
		return rest, 0
	}
	code, err := strconv.Atoi(strings.TrimSpace(words))
	if err != nil {
		panic(err)
	}
	return rest, code
}

// play gives the commands of an example again.
func play(t *testing.T, d *desk, block string) string {
	t.Helper()
	out := ""
	for line := range strings.Lines(block) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), prompt)
		if !ok {
			continue
		}
		command, code := ending(command)
		if got := d.run(strings.Fields(command)...); got != code {
			t.Errorf("%s ends with %d, not %d", command, got, code)
		}
		printed := seen(d.out.text()) + d.err.String()
		for line := range strings.Lines(printed) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > view.DefaultWidth && d.env.Terminal {
				t.Errorf("%s prints a line of %d cells: %s", command, n, line)
			}
		}
		out += line + printed
	}
	return out
}

func steps(done int, names ...string) []v1alpha1.OperationStep {
	var out []v1alpha1.OperationStep
	const each = 20 * time.Second
	for i, name := range names {
		s := v1alpha1.OperationStep{Name: name, State: v1alpha1.StepWaiting}
		from := time.Duration(done-i)*each + 70*time.Second
		if i <= done {
			s.State, s.StartedAt = v1alpha1.StepRunning, ago(from)
		}
		if i < done {
			s.State, s.EndedAt = v1alpha1.StepDone, ago(from-each)
		}
		out = append(out, s)
	}
	return out
}

// addSteps are what adding a datanode does.
var addSteps = []string{"CreateInstances", "LockDDL", "LoadSchema", "Start", "Register", "Verify", "Keep", "UnlockDDL", "MoveRows"}

// growing is a datanode that gets its share of the rows.
func growing() *v1alpha1.AntDBOperation {
	o := operation("demo-add-dn4", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "dn4")
	o.Status.StartedAt, o.Status.Steps = ago(150*time.Second), steps(8, addSteps...)
	o.Status.Steps[8].Message = "app public.orders"
	o.Status.Move = &v1alpha1.MoveStatus{
		TablesTotal: 4, TablesDone: 2, RowsTotal: 2_204_000, RowsDone: 1_204_000, BytesTotal: 640 << 20, BytesDone: 340 << 20,
		SecondsLeft: 61, LongestPauseMillis: 840, Retries: 1,
		Tables: []v1alpha1.TableMove{
			{Database: "app", Table: "public.customers", Rows: 1_200_000, Bytes: 338 << 20, State: v1alpha1.StepDone},
			{Database: "app", Table: "public.orders", Rows: 990_000, Bytes: 297 << 20, State: v1alpha1.StepRunning},
			{Database: "reports", Table: "public.daily", Rows: 10_000, Bytes: 3 << 20, State: v1alpha1.StepWaiting, Message: "gave way to a transaction on cn2"},
			{Database: "app", Table: "public.countries", Rows: 4_000, Bytes: 2 << 20, State: v1alpha1.StepDone},
		},
	}
	return o
}

func waiting() *v1alpha1.AntDBOperation {
	o := operation("demo-remove-x7k2p", v1alpha1.OperationRemoveNodes, v1alpha1.OperationPending, "cn1")
	o.CreationTimestamp = metav1.Time{Time: now}
	o.Status.Message = "waits for operation demo-add-dn4: one operation runs on a cluster at a time"
	return o
}

// adding is an operator that makes an operation and carries it out.
func adding(t *testing.T) *desk {
	t.Helper()
	d := sit(t, demo())
	d.watched = func(n int) {
		if n != 2 { // operations and clusters
			return
		}
		o := growing()
		o.Status = v1alpha1.AntDBOperationStatus{Phase: v1alpha1.OperationRunning, StartedAt: ago(0), Steps: steps(0, addSteps...)}
		d.make(o)
		d.change(o.Name, func(o *v1alpha1.AntDBOperation) { o.Status = growing().Status })
		d.change(o.Name, func(o *v1alpha1.AntDBOperation) {
			o.Status.Steps = steps(len(addSteps), addSteps...)
			o.Status.Move.TablesDone, o.Status.Move.BytesDone, o.Status.Move.SecondsLeft = 4, o.Status.Move.BytesTotal, 0
			for i := range o.Status.Move.Tables {
				o.Status.Move.Tables[i].State, o.Status.Move.Tables[i].Message = v1alpha1.StepDone, ""
			}
			o.Status.Phase, o.Status.Message = v1alpha1.OperationCompleted, "dn4 is part of the cluster and holds its share"
		})
	}
	return d
}

// watching is the same on a terminal, in the middle of it, left after the first picture.
func watching(t *testing.T) *desk {
	t.Helper()
	d := sit(t, demo(), growing())
	d.env.Terminal = true
	d.once = func(text string) bool { return strings.Contains(text, "MoveRows") }
	return d
}

func planning(t *testing.T) *desk {
	t.Helper()
	d := sit(t, demo())
	d.watched = func(int) {
		d.change("demo-rebalance-00001", func(o *v1alpha1.AntDBOperation) {
			m := growing().Status.Move
			m.SecondsLeft, m.LongestPauseMillis = 84, 1900
			for i := range m.Tables {
				m.Tables[i].State, m.Tables[i].Message = v1alpha1.StepWaiting, ""
			}
			o.Status.Phase, o.Status.Move = v1alpha1.OperationCompleted, m
		})
	}
	return d
}

func skewed(t *testing.T) *desk {
	t.Helper()
	d := sit(t, demo())
	for pod, text := range map[string]string{
		"demo-dn1-1": `[{"database":"app","table":"public.orders","rows":334210,"bytes":107741184},{"database":"app","table":"public.events","rows":812000,"bytes":251658240}]`,
		"demo-dn2-1": `[{"database":"app","table":"public.orders","rows":332900,"bytes":107479040},{"database":"app","table":"public.events","rows":120000,"bytes":37748736}]`,
		"demo-dn3-1": `[{"database":"app","table":"public.orders","rows":332890,"bytes":107479040},{"database":"app","table":"public.events","rows":68000,"bytes":20971520}]`,
	} {
		d.tables[pod] = text
	}
	return d
}

func written(t *testing.T) *desk {
	t.Helper()
	restarted, ready := event("a", "AntDBCluster", "demo", "NodeRestarted", time.Minute), event("b", "AntDBCluster", "demo", "Ready", 30*time.Second)
	restarted.Message, ready.Message = "dn1 serves again, address 10.244.1.9", "all 6 nodes serve"
	d := sit(t, demo(), restarted, ready)
	d.logs["demo-gc-1"] = `{"time":"2026-03-01T10:04:01.204Z","level":"INFO","msg":"checkpoint starting: time","logger":"postgres"}` + "\n"
	d.logs["demo-dn1-1"] = `{"time":"2026-03-01T10:03:58.118Z","level":"INFO","msg":"the server was started","logger":"manager","pid":71}` + "\n" +
		`{"time":"2026-03-01T10:04:02.950Z","level":"ERROR","msg":"relation \"orderz\" does not exist","logger":"postgres"}` + "\n"
	return d
}

func trouble(t *testing.T) *desk {
	t.Helper()
	c := demo()
	c.Status.Phase, c.Status.ReadyNodes = "Degraded", "5/6"
	c.Status.Nodes[4].Instances[0] = v1alpha1.InstanceStatus{
		Name: "demo-dn2-1", Role: "primary", State: "Pending", Message: "its pod cannot be scheduled: 0/3 nodes are available: 3 Insufficient memory",
	}
	c.Status.Members = append(c.Status.Members, v1alpha1.MemberStatus{Name: "cn3", State: v1alpha1.MemberRetained, RetainUntil: ago(-23 * time.Hour)})
	c.Status.Conditions[0] = metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: "False", Reason: v1alpha1.ReasonNodesNotServing, Message: "dn2: its pod cannot be scheduled",
		LastTransitionTime: *ago(90 * time.Second),
	}
	return sit(t, c)
}
