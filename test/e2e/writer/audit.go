// SPDX-License-Identifier: Apache-2.0

package writer

import (
	"fmt"
	"maps"
	"slices"
)

// Row is one row of the table.
type Row struct{ ID, Batch int64 }

// mostFindings bounds what an audit tells; more of the same helps nobody.
const mostFindings = 10

// Audit compares the rows of a table with the batches that were acknowledged. A batch that was not acknowledged may be
// there or not, but never by half.
func Audit(acknowledged []int64, rows []Row) []string {
	var out []string
	find := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	times := map[int64]int{}
	inBatch := map[int64]int{}
	for _, r := range rows {
		times[r.ID]++
		if times[r.ID] == 1 {
			inBatch[r.Batch]++
		}
		if r.ID/rowsPerBatch != r.Batch {
			find("row %d says that it is of batch %d", r.ID, r.Batch)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(times)) {
		if times[id] > 1 {
			find("row %d is there %d times", id, times[id])
		}
	}
	for _, batch := range acknowledged {
		if inBatch[batch] == 0 {
			find("batch %d was acknowledged and is not there", batch)
		}
	}
	for _, batch := range slices.Sorted(maps.Keys(inBatch)) {
		if n := inBatch[batch]; n != rowsPerBatch {
			find("batch %d is there by half: %d of %d rows", batch, n, rowsPerBatch)
		}
	}
	if len(out) > mostFindings {
		out = append(out[:mostFindings], fmt.Sprintf("and %d findings more", len(out)-mostFindings))
	}
	return out
}
