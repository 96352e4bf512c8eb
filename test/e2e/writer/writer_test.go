// SPDX-License-Identifier: Apache-2.0

package writer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/antdb-operator/antdb-operator/test/e2e/writer"
)

// whole are all rows of batches.
func whole(batches ...int64) []writer.Row {
	var rows []writer.Row
	for _, b := range batches {
		for i := range int64(4) {
			rows = append(rows, writer.Row{ID: 4*b + i, Batch: b})
		}
	}
	return rows
}

func TestAuditFindsWhatIsLostDoubledOrHalf(t *testing.T) {
	cases := []struct {
		name         string
		acknowledged []int64
		rows         []writer.Row
		want         []string
	}{
		{"everything that was acknowledged is there", []int64{0, 1}, whole(0, 1), nil},
		{"a batch of unknown outcome may be there", []int64{0}, whole(0, 1), nil},
		{"a batch of unknown outcome may be missing", []int64{0, 2}, whole(0, 2), nil},
		{"an acknowledged batch is lost", []int64{0, 1}, whole(1), []string{"batch 0 was acknowledged and is not there"}},
		{"an acknowledged batch is there by half", []int64{0}, whole(0)[:3], []string{"batch 0 is there by half: 3 of 4 rows"}},
		{"a batch of unknown outcome is there by half", nil, whole(7)[1:], []string{"batch 7 is there by half: 3 of 4 rows"}},
		{"a row is there twice", []int64{0}, append(whole(0), whole(0)[2]), []string{"row 2 is there 2 times"}},
		{"a row is in a batch that is not its own", nil, []writer.Row{{ID: 1, Batch: 3}},
			[]string{"row 1 says that it is of batch 3", "batch 3 is there by half: 1 of 4 rows"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, writer.Audit(c.acknowledged, c.rows)); diff != "" {
				t.Errorf("findings differ (-want +have):\n%s", diff)
			}
		})
	}
}

func TestAuditStaysShort(t *testing.T) {
	acknowledged := make([]int64, 500)
	for i := range acknowledged {
		acknowledged[i] = int64(i)
	}
	found := writer.Audit(acknowledged, nil)
	if len(found) != 11 || found[10] != "and 490 findings more" {
		t.Errorf("%d findings, the last is %q", len(found), found[len(found)-1])
	}
}

func TestStartTellsWhyThereIsNoTable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := writer.Start(ctx, writer.Options{
		Table:   "t",
		Connect: func(context.Context) (*pgx.Conn, error) { return nil, errors.New("nobody is there") },
	})
	if err == nil || !strings.Contains(err.Error(), "make table t: nobody is there") {
		t.Errorf("error is %v", err)
	}
}

func TestReportQuotesTheMostFrequentFailures(t *testing.T) {
	r := writer.Report{Batches: 7, Unknown: 1, Longest: 1234 * time.Millisecond, Failures: map[string]int{
		"a": 1, "b": 9, "c": 1, "d": 1, "e": 1, "f": 2, "g": 1, "h": 1,
	}}
	want := "7 batches acknowledged, 1 unknown, 17 failures, longest gap 1.23s\n" +
		"  9 times: b\n  2 times: f\n  1 times: a\n  1 times: c\n  1 times: d\n  1 times: e"
	if diff := cmp.Diff(want, r.String()); diff != "" {
		t.Errorf("report differs (-want +have):\n%s", diff)
	}
}
