// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

var update = flag.Bool("update", false, "write what is printed into testdata")

// chinese is a name of four characters that take two cells each.
const chinese = "\u6bcf\u65e5\u7edf\u8ba1"

var now = time.Date(2026, 3, 1, 10, 5, 0, 0, time.UTC)

func style() view.Style { return view.Style{Now: now} }

// ago is a time before now.
func ago(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(-d)} }

var escape = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// golden compares a drawing with the file of its name, and checks what is true of every drawing.
func golden(t *testing.T, name string, draw func(view.Style) string) {
	t.Helper()
	got := draw(style())
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > view.DefaultWidth {
			t.Errorf("%s: a line has %d cells: %s", name, n, line)
		}
		if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
			t.Errorf("%s: a line ends with spaces: %q", name, line)
		}
	}
	colours := style()
	colours.Colour = true
	if d := cmp.Diff(got, escape.ReplaceAllString(draw(colours), "")); d != "" {
		t.Errorf("%s says something else in colours (-plain +colours):\n%s", name, d)
	}
	same(t, name, got)
}

// same compares a text with the file of its name.
func same(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

func operation(name string, kind v1alpha1.OperationType, phase v1alpha1.OperationPhase, nodes ...string) v1alpha1.AntDBOperation {
	return v1alpha1.AntDBOperation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: name, CreationTimestamp: *ago(5 * time.Minute)},
		Spec:       v1alpha1.AntDBOperationSpec{Cluster: "demo", Type: kind, Nodes: nodes},
		Status:     v1alpha1.AntDBOperationStatus{Phase: phase},
	}
}

// growing is a datanode that gets its share of the rows.
func growing() v1alpha1.AntDBOperation {
	o := operation("demo-add-x7k2p", v1alpha1.OperationAddNodes, v1alpha1.OperationRunning, "dn4")
	o.Status.StartedAt = ago(3*time.Minute + 12*time.Second)
	o.Status.Message = "moving app public.orders onto dn4"
	step := func(name string, state v1alpha1.StepState, from, to time.Duration, message string) {
		s := v1alpha1.OperationStep{Name: name, State: state, Message: message}
		if state != v1alpha1.StepWaiting {
			s.StartedAt = ago(from)
		}
		if state == v1alpha1.StepDone {
			s.EndedAt = ago(to)
		}
		o.Status.Steps = append(o.Status.Steps, s)
	}
	step("LockDDL", v1alpha1.StepDone, 192*time.Second, 191*time.Second, "gc holds the lock")
	step("MakeInstances", v1alpha1.StepDone, 191*time.Second, 164*time.Second, "demo-dn4-1 runs")
	step("LoadSchema", v1alpha1.StepDone, 164*time.Second, 158*time.Second, "roles, 2 databases and 7 tables from dn1")
	step("Register", v1alpha1.StepDone, 158*time.Second, 157*time.Second, "dn4 is known to gc, cn1, cn2")
	step("MoveRows", v1alpha1.StepRunning, 157*time.Second, 0, "app public.orders")
	step("UnlockDDL", v1alpha1.StepWaiting, 0, 0, "")
	o.Status.Move = &v1alpha1.MoveStatus{
		TablesTotal: 7, TablesDone: 3, RowsTotal: 6_204_000, RowsDone: 3_810_000, BytesTotal: 2 << 30, BytesDone: 1288490188,
		SecondsLeft: 96, LongestPauseMillis: 840, Retries: 2, Pinned: []string{"app.public.archive"},
		Tables: []v1alpha1.TableMove{
			{Database: "app", Table: "public.customers", Rows: 1_200_000, Bytes: 420 << 20, State: v1alpha1.StepDone},
			{Database: "app", Table: "public.orders", Rows: 4_000_000, Bytes: 1200 << 20, State: v1alpha1.StepRunning},
			{Database: "app", Table: "public.order_lines", Rows: 990_000, Bytes: 310 << 20, State: v1alpha1.StepWaiting, Message: "gave way to a transaction on cn2 that has run for 40 s and holds the table"},
			{Database: "reports", Table: "public." + chinese, Rows: 14_000, Bytes: 9 << 20, State: v1alpha1.StepWaiting},
		},
	}
	return o
}

func some() []v1alpha1.AntDBOperation {
	waiting := operation("demo-remove-9fhd2", v1alpha1.OperationRemoveNodes, v1alpha1.OperationPending, "cn1")
	waiting.CreationTimestamp = *ago(time.Minute)
	waiting.Status.Message = "it waits for operation demo-add-x7k2p, since one topology operation runs on a cluster at a time"
	done := operation("demo-rebalance-q8x4m", v1alpha1.OperationRebalance, v1alpha1.OperationCompleted)
	done.CreationTimestamp, done.Status.StartedAt, done.Status.EndedAt = *ago(26 * time.Hour), ago(26*time.Hour), ago(25*time.Hour+20*time.Minute)
	failed := operation("demo-add-m2k4s", v1alpha1.OperationAddNodes, v1alpha1.OperationFailed, "cn3", "cn4", "cn5", "cn6", "cn7")
	failed.CreationTimestamp, failed.Status.StartedAt, failed.Status.EndedAt = *ago(50 * time.Hour), ago(50*time.Hour), ago(50*time.Hour-30*time.Second)
	failed.Status.Message = "cn3: the lock that keeps DDL out was lost three times: gc was restarted"
	return []v1alpha1.AntDBOperation{failed, growing(), done, waiting, {ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "demo-drain-new", CreationTimestamp: metav1.Time{Time: now}}, Spec: v1alpha1.AntDBOperationSpec{Cluster: "demo", Type: v1alpha1.OperationDrainNodes, Nodes: []string{"dn2"}}}}
}

func TestOperationsAreAListWithBars(t *testing.T) {
	golden(t, "operations", func(s view.Style) string { return view.Operations(s, some(), view.OperationsOptions{}) })
	golden(t, "operations-all-namespaces", func(s view.Style) string {
		return view.Operations(s, some(), view.OperationsOptions{Namespaces: true})
	})
}

func TestAWideListHoldsTheMessages(t *testing.T) {
	wide := view.Operations(style(), some(), view.OperationsOptions{Wide: true})
	if !strings.Contains(wide, "MESSAGE") || !strings.Contains(wide, "  moving app public.orders onto dn4\n") {
		t.Errorf("no messages:\n%s", wide)
	}
}

func TestAnOperationShowsStepsTablesAndTimeLeft(t *testing.T) {
	o := growing()
	golden(t, "operation", func(s view.Style) string { return view.Operation(s, &o, view.AllTables) })
	golden(t, "operation-few-tables", func(s view.Style) string { return view.Operation(s, &o, 2) })
	o.Spec.Cancel, o.Status.Attempt, o.Status.PointOfNoReturn, o.Status.Move = true, 2, true, nil
	o.Status.Phase = v1alpha1.OperationUndoing
	o.Status.Steps[3].State, o.Status.Steps[4].State = v1alpha1.StepUndone, v1alpha1.StepFailed
	golden(t, "operation-undone", func(s view.Style) string { return view.Operation(s, &o, 2) })
}

func TestAPlanTellsTablesTimeAndPauses(t *testing.T) {
	o := operation("demo-rebalance-p", v1alpha1.OperationRebalance, v1alpha1.OperationCompleted)
	golden(t, "plan-nothing", func(s view.Style) string { return view.Plan(s, &o) })
	o.Status.Move = growing().Status.Move
	o.Status.Move.TablesDone, o.Status.Move.RowsDone, o.Status.Move.BytesDone, o.Status.Move.LongestPauseMillis = 0, 0, 0, 1900
	for i := range o.Status.Move.Tables {
		o.Status.Move.Tables[i].State, o.Status.Move.Tables[i].Message = v1alpha1.StepWaiting, ""
	}
	golden(t, "plan", func(s view.Style) string { return view.Plan(s, &o) })
}

func TestChangesAreLinesThatTellEachThingOnce(t *testing.T) {
	o := growing()
	same(t, "changes-first", strings.Join(view.Changes(style(), nil, &o), "\n")+"\n")
	if lines := view.Changes(style(), &o, &o); len(lines) > 0 {
		t.Errorf("nothing changed, and this is told: %q", lines)
	}
	next := *o.DeepCopy()
	next.Status.Move.TablesDone, next.Status.Move.BytesDone = 7, next.Status.Move.BytesTotal
	next.Status.Move.Tables[1].State = v1alpha1.StepDone
	next.Status.Steps[4].State, next.Status.Steps[4].EndedAt = v1alpha1.StepDone, &metav1.Time{Time: now}
	next.Status.Phase, next.Status.Message = v1alpha1.OperationCompleted, "dn4 holds its share"
	same(t, "changes-next", strings.Join(view.Changes(style(), &o, &next), "\n")+"\n")
}

func holdings() []view.Holding {
	return []view.Holding{
		{Node: "dn1", Database: "app", Table: "public.orders", Rows: 1_334_210, Bytes: 411 << 20},
		{Node: "dn2", Database: "app", Table: "public.orders", Rows: 1_332_900, Bytes: 410 << 20},
		{Node: "dn10", Database: "app", Table: "public.orders", Rows: 1_332_890, Bytes: 410 << 20},
		{Node: "dn1", Database: "app", Table: "public.events", Rows: 2_000_000, Bytes: 900 << 20},
		{Node: "dn2", Database: "app", Table: "public.events", Rows: 120_000, Bytes: 52 << 20},
		{Node: "dn1", Database: "reports", Table: "public.empty"},
		{Node: "dn2", Database: "reports", Table: "public.empty"},
		{Node: "dn10", Database: "reports", Table: "public.empty"},
	}
}

func TestSkewIsABarForEachDatanode(t *testing.T) {
	nodes := []string{"dn1", "dn10", "dn2"}
	golden(t, "skew", func(s view.Style) string { return view.Skew(s, "demo", nodes, holdings(), 10) })
	golden(t, "skew-limit", func(s view.Style) string { return view.Skew(s, "demo", nodes, holdings(), 1) })
	golden(t, "skew-empty", func(s view.Style) string { return view.Skew(s, "demo", nodes, nil, 1) })
}

func TestANarrowTerminalCutsLines(t *testing.T) {
	o, s := growing(), style()
	s.Width = 40
	for line := range strings.Lines(view.Operation(s, &o, 10)) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 40 {
			t.Errorf("%d cells: %s", n, line)
		}
	}
}

func TestClipCountsChineseTwiceAndEscapesNot(t *testing.T) {
	for text, want := range map[string]string{
		"abcdef":                   "abcdef",
		"abcdefg":                  "abcde…",
		chinese:                    chinese[:6] + "…",
		"\x1b[31mabcdef\x1b[0m":    "\x1b[31mabcdef\x1b[0m",
		"\x1b[31mabcdefghi\x1b[0m": "\x1b[31mabcde…\x1b[0m",
	} {
		if got := view.Clip(text, 6); got != want {
			t.Errorf("%q becomes %q, not %q", text, got, want)
		}
	}
}

func TestUnitsAreWhatPeopleRead(t *testing.T) {
	for got, want := range map[string]string{
		view.Count(0): "0", view.Count(999): "999", view.Count(1_000): "1,000", view.Count(-12_345_678): "-12,345,678",
		view.Bytes(1023): "1023 B", view.Bytes(1536): "1.5 KiB", view.Bytes(64 << 20): "64 MiB", view.Bytes(3 << 40): "3.0 TiB",
		view.Span(120 * time.Millisecond): "120ms", view.Span(61 * time.Second): "1m01s", view.Span(49 * time.Hour): "2d01h",
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestALogLineIsReadableAndLosesNothing(t *testing.T) {
	for text, want := range map[string]string{
		`{"time":"2026-03-01T10:04:59.123Z","level":"ERROR","msg":"relation \"x\" does not exist","logger":"postgres","pid":71}`: `10:04:59.123 dn1  postgres ERROR relation "x" does not exist  pid=71`,
		`{"time":"2026-03-01T10:04:59.1Z","level":"INFO","msg":"started","logger":"manager","took":{"s":2}}`:                     `10:04:59.100 dn1  -        INFO  started  took={"s":2}`,
		"plain\ttext": `             dn1  -              plain text`,
	} {
		if got := view.ParseLogLine("dn1", text).Text(style()); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
