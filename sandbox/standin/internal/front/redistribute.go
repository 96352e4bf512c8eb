// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// layout is what ALTER TABLE ADD, DELETE or TO NODE makes of a table, as standin_redistribution tells it.
type layout struct {
	Table, Kind string
	Have, Want  []string
	Leaves      []leaf
}

// leaf is a relation that holds rows: the table itself, or a partition of it.
type leaf struct {
	ID                           int64
	Table, Column, Type, Columns string
}

// redistribute carries ALTER TABLE ADD, DELETE and TO NODE out. Locks are taken in AntDB's order: here, on the
// datanodes, and on the other coordinators last, so that writers there can wait for it, and it for them, across nodes.
func (s *session) redistribute(ctx context.Context, st dialect.Step) error {
	reach, failed, err := s.scopeOf(st.Forms.Tables)
	if err != nil {
		return err
	}
	if failed == nil && reach == here {
		failed = wire.Unsupported("ALTER TABLE … NODE for temporary tables")
	}
	if failed != nil {
		return s.fail(failed)
	}
	return s.inBlock(ctx, func() (string, *wire.Error, error) {
		as, failed, err := s.identity()
		if failed != nil || err != nil {
			return "", failed, err
		}
		return s.interruptible(ctx, as.limit, func() (string, *wire.Error, error) {
			failed, err := s.rearrange(ctx, st, as)
			return st.Tag, failed, err
		})
	})
}

// rearrange does it inside the open transaction.
func (s *session) rearrange(ctx context.Context, st dialect.Step, as identity) (failed *wire.Error, err error) {
	var p peers
	if !s.srv.Restore {
		if p, failed, err = s.gather(ctx, st.Guard, as); failed != nil || err != nil {
			return failed, err
		}
	}
	r, err := s.exec(st.Text)
	if err != nil || r.err != nil {
		return r.err, err
	}
	var l layout
	if err := json.Unmarshal([]byte(r.rows[0][0]), &l); err != nil {
		return wire.Errorf("XX000", "read layout of table: %v", err), nil
	}
	if failed := l.move(p.datanodes); failed != nil {
		return failed, nil
	}
	call := fmt.Sprintf("CALL pg_catalog.standin_redistribute(%s, %s)", dialect.Literal(l.Table), dialect.Array(l.Want))
	if r, err = s.exec(call); err != nil || r.err != nil {
		return r.err, err
	}
	return each(p.coordinators, func(b *branch) *wire.Error { return b.query(call).err }), nil
}

// move carries the rows to their new datanodes.
func (l layout) move(datanodes []*branch) *wire.Error {
	at := map[string]*branch{}
	var involved []*branch
	for _, b := range datanodes {
		if at[b.node.Name] = b; slices.Contains(l.Have, b.node.Name) || slices.Contains(l.Want, b.node.Name) {
			involved = append(involved, b)
		}
	}
	if len(involved) == 0 { // restoremode: the catalog only
		return nil
	}
	if failed := each(involved, func(b *branch) *wire.Error {
		for _, f := range l.Leaves {
			if r := b.query("LOCK TABLE ONLY " + f.Table + " IN ACCESS EXCLUSIVE MODE"); r.err != nil {
				return r.err
			}
		}
		// Foreign keys and triggers do not see a row that only changes its place.
		return b.query("SET LOCAL session_replication_role = replica").err
	}); failed != nil {
		return failed
	}
	for _, f := range l.Leaves {
		work := l.spread
		if l.Kind == "R" {
			work = l.replicate
		}
		if failed := work(f, at, involved); failed != nil {
			return failed
		}
	}
	return each(involved, func(b *branch) *wire.Error { return b.query("SET LOCAL session_replication_role = origin").err })
}

// replicate fills a replicated table on the datanodes it gains and empties it where it is lost.
func (l layout) replicate(f leaf, at map[string]*branch, _ []*branch) *wire.Error {
	var todo []transfer
	for _, to := range l.Want {
		if !slices.Contains(l.Have, to) {
			todo = append(todo, transfer{from: at[l.Have[0]], to: at[to], query: "SELECT " + f.Columns + " FROM ONLY " + f.Table, into: f.into()})
		}
	}
	if failed := transferAll(todo); failed != nil {
		return failed
	}
	return l.empty(f, at)
}

// spread sends each row to the datanode that its hash now belongs to. A partitioned table without partitions lends the
// datanodes the hash function of the coordinators' partitions.
func (l layout) spread(f leaf, at map[string]*branch, involved []*branch) *wire.Error {
	route := fmt.Sprintf("pg_standin.route_%d", f.ID)
	belongs := func(i int) string {
		return fmt.Sprintf("pg_catalog.satisfies_hash_partition('%s'::pg_catalog.regclass, %d, %d, %s)", route, len(l.Want), i, f.Column)
	}
	if failed := each(involved, func(b *branch) *wire.Error {
		return b.query(fmt.Sprintf("CREATE TABLE %s (k %s) PARTITION BY HASH (k)", route, f.Type)).err
	}); failed != nil {
		return failed
	}
	var todo []transfer
	for _, from := range l.Have {
		for i, to := range l.Want {
			if from != to {
				todo = append(todo, transfer{from: at[from], to: at[to], into: f.into(),
					query: fmt.Sprintf("SELECT %s FROM ONLY %s WHERE %s", f.Columns, f.Table, belongs(i))})
			}
		}
	}
	if failed := transferAll(todo); failed != nil {
		return failed
	}
	var stay []*branch
	for _, n := range l.Have {
		if slices.Contains(l.Want, n) {
			stay = append(stay, at[n])
		}
	}
	if failed := each(stay, func(b *branch) *wire.Error {
		return b.query(fmt.Sprintf("DELETE FROM ONLY %s WHERE NOT %s", f.Table, belongs(slices.Index(l.Want, b.node.Name)))).err
	}); failed != nil {
		return failed
	}
	if failed := l.empty(f, at); failed != nil {
		return failed
	}
	return each(involved, func(b *branch) *wire.Error { return b.query("DROP TABLE " + route).err })
}

func (f leaf) into() string { return f.Table + " (" + f.Columns + ")" }

// empty leaves no row on the datanodes that the table goes away from. TRUNCATE refuses what a foreign key points to.
func (l layout) empty(f leaf, at map[string]*branch) *wire.Error {
	var gone []*branch
	for _, n := range l.Have {
		if !slices.Contains(l.Want, n) {
			gone = append(gone, at[n])
		}
	}
	return each(gone, func(b *branch) *wire.Error {
		r := b.query(fmt.Sprintf("SELECT 1 FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = %s::pg_catalog.regclass",
			dialect.Literal(f.Table)))
		switch {
		case r.err != nil:
			return r.err
		case len(r.rows) > 0:
			return b.query("DELETE FROM ONLY " + f.Table).err
		}
		return b.query("TRUNCATE ONLY " + f.Table).err
	})
}
