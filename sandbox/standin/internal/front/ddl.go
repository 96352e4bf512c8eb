// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// scope says how far a statement about relations reaches.
type scope int

const (
	everywhere scope = iota
	coordinators
	here
)

// told stands for an error that the client has got already.
var told = wire.Errorf("XX000", "already reported")

// scopeOf looks the named relations up: temporary ones are the session's own, views and sequences the coordinators'.
func (s *session) scopeOf(tables []string) (scope, *wire.Error, error) {
	if len(tables) == 0 || s.srv.Role == Datanode {
		return everywhere, nil, nil
	}
	quoted := make([]string, len(tables))
	for i, t := range tables {
		quoted[i] = dialect.Literal(t)
	}
	r, err := s.exec("SELECT c.relpersistence, c.relkind FROM pg_catalog.unnest(ARRAY[" + strings.Join(quoted, ", ") +
		"]) n JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(n)")
	if err != nil || r.err != nil {
		return here, r.err, err
	}
	reach := everywhere
	for _, row := range r.rows {
		if row[0] == "t" {
			return here, nil, nil
		}
		if row[1] != "p" {
			reach = coordinators
		}
	}
	return reach, nil, nil
}

// inBlock runs the front's own work in a transaction, the client's or one of its own, and answers the client.
func (s *session) inBlock(ctx context.Context, work func() (tag string, _ *wire.Error, _ error)) error {
	opened := s.status == 'I'
	if opened {
		if _, err := s.exec("BEGIN"); err != nil {
			return err
		}
	}
	tag, failed, err := work()
	if err != nil {
		return err
	}
	if opened {
		end := s.commit
		if failed != nil {
			end = s.rollback
		}
		r, err := end(ctx, map[bool]string{true: "COMMIT", false: "ROLLBACK"}[failed == nil])
		if err != nil {
			return err
		}
		if failed == nil {
			failed = r.err
		}
	}
	s.held = nil
	switch failed {
	case nil:
		return s.toClient(wire.Complete(tag))
	case told:
		s.sawError = true
		return nil
	}
	return s.fail(failed)
}

// spread carries a DDL statement to all nodes it concerns.
func (s *session) spread(ctx context.Context, st dialect.Step) error {
	reach, failed, err := s.scopeOf(st.Forms.Tables)
	if err != nil {
		return err
	}
	if failed != nil {
		return s.fail(failed)
	}
	if reach == here {
		if failed, err = s.checkGuard(ctx, st); err != nil {
			return err
		}
		if failed != nil {
			return s.fail(failed)
		}
		return s.step(ctx, dialect.Step{Text: st.Text})
	}
	if plain, err := s.restoresDatanode(); plain || err != nil {
		return s.plainly(ctx, st, err)
	}
	if st.Forms.Alone {
		return s.alone(ctx, st)
	}
	return s.inBlock(ctx, func() (string, *wire.Error, error) { return s.spreadForms(ctx, st, reach) })
}

// restoresDatanode tells a datanode in restoremode from a coordinator: neither command line nor data directory may say
// which it is, but only coordinators know datanodes. A datanode takes DDL as a dump has it.
func (s *session) restoresDatanode() (bool, error) {
	if !s.srv.Restore {
		return false, nil
	}
	r, err := s.exec("SELECT 1 FROM pg_catalog.pgxc_node WHERE node_type = 'D' AND pg_catalog.current_setting('antdb.adb_node_type') <> 'datanode'")
	return r.err == nil && len(r.rows) == 0, err
}

func (s *session) plainly(ctx context.Context, st dialect.Step, err error) error {
	if err != nil {
		return err
	}
	return s.step(ctx, dialect.Step{Text: st.Text})
}

// spreadForms runs a statement's forms inside the open transaction.
func (s *session) spreadForms(ctx context.Context, st dialect.Step, reach scope) (string, *wire.Error, error) {
	f := st.Forms
	as, failed, err := s.identity()
	if failed != nil || err != nil {
		return "", failed, err
	}
	return s.interruptible(ctx, as.limit, func() (string, *wire.Error, error) {
		var p peers
		if !s.srv.Restore {
			if p, failed, err = s.gather(ctx, st.Guard, as); failed != nil || err != nil {
				return "", failed, err
			}
		}
		tag := st.Tag
		for i, sql := range slices.Concat(f.Coordinator, f.Here) {
			r, err := s.exec(sql)
			if err != nil || r.err != nil {
				return "", r.err, err
			}
			if i == f.Main {
				tag = r.tag
			}
		}
		if failed := each(p.coordinators, as.runner(f.Coordinator)); failed != nil || reach != everywhere {
			return tag, failed, nil
		}
		return tag, each(p.datanodes, as.runner(f.Datanode)), nil
	})
}

// identity is who a statement runs as, on every node alike, and how long it may take.
type identity struct {
	role, path, lockTimeout string
	limit                   time.Duration // statement_timeout
}

func (s *session) identity() (identity, *wire.Error, error) {
	r, err := s.exec("SELECT current_user, pg_catalog.current_setting('search_path'), pg_catalog.current_setting('lock_timeout'), " +
		"(extract(epoch FROM pg_catalog.current_setting('statement_timeout')::interval) * 1000)::int8")
	if err != nil || r.err != nil {
		return identity{}, r.err, err
	}
	ms, _ := strconv.ParseInt(r.rows[0][3], 10, 64)
	return identity{r.rows[0][0], r.rows[0][1], r.rows[0][2], time.Duration(ms) * time.Millisecond}, nil, nil
}

// beginAs opens a transaction on a branch that waits for locks no longer than the client wants.
func (s *session) beginAs(as identity) func(*branch) *wire.Error {
	return func(b *branch) *wire.Error {
		if failed := s.begin(b); failed != nil {
			return failed
		}
		return b.query("SET LOCAL lock_timeout = " + dialect.Literal(as.lockTimeout)).err
	}
}

// runner runs statements on a branch under the identity and gives the branch back as postgres_fdw wants it.
func (i identity) runner(sqls []string) func(*branch) *wire.Error {
	before := fmt.Sprintf("SELECT pg_catalog.set_config('search_path', %s, true); SET LOCAL ROLE %s",
		dialect.Literal(i.path), dialect.Ident(i.role))
	const after = "SET LOCAL ROLE NONE; SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)"
	return func(b *branch) *wire.Error {
		if len(sqls) == 0 {
			return nil
		}
		for _, sql := range slices.Concat([]string{before}, sqls, []string{after}) {
			if r := b.query(sql); r.err != nil {
				return r.err
			}
		}
		return nil
	}
}

// peers are the branches to all other nodes.
type peers struct{ coordinators, datanodes []*branch }

// gather opens a transaction on every other node: on gc first, under the lock that puts all DDL in one line. A guard is
// the tag of what must not run in a locked cluster; without one only the datanodes are gathered.
func (s *session) gather(ctx context.Context, guard string, as identity) (peers, *wire.Error, error) {
	lock := guard != ""
	var p peers
	r, err := s.exec(nodeColumns)
	if err != nil || r.err != nil {
		return p, r.err, err
	}
	nodes := nodesOf(r.rows)
	if datanodes(nodes) == "" {
		return p, noDatanode(s.srv.Name()), nil
	}
	opened := make([]*branch, len(nodes))
	var others []*branch
	for i := range nodes { // each fills its own place
		others = append(others, &branch{node: nodes[i], pid: uint32(i)})
	}
	if failed := each(others, func(o *branch) *wire.Error {
		if o.node.Name == s.srv.Name() || o.node.Type == "E" || (!lock && o.node.Type != "D") {
			return nil
		}
		b, err := s.branch(ctx, o.node)
		opened[o.pid] = b
		return err
	}); failed != nil {
		return p, failed, nil
	}
	if failed, err := s.queue(nodes, opened, lock, as); failed != nil || err != nil {
		return p, failed, err
	}
	for i, b := range opened {
		switch {
		case b == nil:
		case nodes[i].Type == "D":
			p.datanodes = append(p.datanodes, b)
		default:
			p.coordinators = append(p.coordinators, b)
		}
	}
	if failed := each(slices.Concat(p.datanodes, p.coordinators), s.beginAs(as)); failed != nil {
		return p, failed, nil
	}
	if lock {
		if failed, err := s.checkLocked(guard, p.coordinators); failed != nil || err != nil {
			return p, failed, err
		}
	}
	return p, each(p.coordinators, func(b *branch) *wire.Error {
		r := b.query(nodeColumns)
		if r.err == nil && datanodes(nodesOf(r.rows)) != datanodes(nodes) {
			return noDatanode(b.node.Name)
		}
		return r.err
	}), nil
}

// queue takes the lock of all DDL, which is on gc.
func (s *session) queue(nodes []Node, opened []*branch, lock bool, as identity) (*wire.Error, error) {
	const call = "CALL pg_catalog.standin_ddl_lock()"
	for i, n := range nodes {
		if !lock || !n.GTM {
			continue
		}
		if n.Name == s.srv.Name() {
			r, err := s.exec(call)
			return r.err, err
		}
		if failed := s.beginAs(as)(opened[i]); failed != nil {
			return failed, nil
		}
		return opened[i].query(call).err, nil
	}
	return nil, nil
}

// datanodes is the list of datanodes as one word, to compare.
func datanodes(nodes []Node) string {
	var names []string
	for _, n := range nodes {
		if n.Type == "D" {
			names = append(names, n.Name)
		}
	}
	return strings.Join(names, ",")
}

func noDatanode(node string) *wire.Error {
	return wire.Errorf("42704", "No Datanode defined in cluster").WithDetail("Seen on node %s.", node).
		WithHint("You need to define at least 1 datanode with CREATE NODE, the same on every coordinator.")
}

// truncate empties tables on the datanodes.
func (s *session) truncate(ctx context.Context, st dialect.Step) error {
	reach, failed, err := s.scopeOf(st.Forms.Tables)
	if err != nil {
		return err
	}
	if failed != nil {
		return s.fail(failed)
	}
	if reach != everywhere || s.srv.Restore {
		return s.step(ctx, dialect.Step{Text: st.Text})
	}
	return s.inBlock(ctx, func() (string, *wire.Error, error) {
		as, failed, err := s.identity()
		if failed != nil || err != nil {
			return "", failed, err
		}
		p, failed, err := s.gather(ctx, "", as)
		if failed != nil || err != nil {
			return "", failed, err
		}
		return st.Tag, each(p.datanodes, as.runner(st.Forms.Datanode)), nil
	})
}

// alone runs what no transaction can hold: here first, then node by node; what was done is undone when one fails.
func (s *session) alone(ctx context.Context, st dialect.Step) error {
	if s.status != 'I' || s.srv.Restore {
		return s.step(ctx, dialect.Step{Text: st.Text})
	}
	as, failed, err := s.identity()
	if err != nil {
		return err
	}
	if failed != nil {
		return s.fail(failed)
	}
	p, failed, err := s.gather(ctx, st.Guard, as)
	if err != nil {
		return err
	}
	done, failed2, err := s.oneByOne(ctx, st, slices.Concat(p.coordinators, p.datanodes), as, failed)
	if err != nil {
		return err
	}
	if failed2 == nil {
		return s.toClient(wire.Complete(done.tag))
	}
	return s.fail(failed2)
}

// oneByOne ends the transactions that gather opened to see whether everybody is there, and runs the statement on node
// after node.
func (s *session) oneByOne(ctx context.Context, st dialect.Step, bs []*branch, as identity, failed *wire.Error) (result, *wire.Error, error) {
	if err := s.rollbackPeers(ctx); err != nil || failed != nil {
		return result{}, failed, err
	}
	r, err := s.exec(st.Text)
	if err != nil || r.err != nil {
		return r, r.err, err
	}
	for i, b := range bs {
		for _, sql := range []string{"SET ROLE " + dialect.Ident(as.role), st.Forms.Datanode[0]} {
			if failed == nil {
				failed = b.query(sql).err
			}
		}
		b.query("RESET ROLE")
		if failed == nil {
			continue
		}
		if st.Forms.Undo != "" {
			for _, d := range bs[:i] {
				d.query(st.Forms.Undo)
			}
			if _, err := s.exec(st.Forms.Undo); err != nil {
				return r, nil, err
			}
		}
		return r, failed, nil
	}
	return r, nil, nil
}
