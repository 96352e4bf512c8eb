// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// verb is how an error names a statement.
func verb(st dialect.Step) string {
	w := strings.Fields(strings.ToUpper(st.Text) + " ")
	switch {
	case st.Tag != "":
		return st.Tag
	case len(w) > 1:
		return w[0] + " " + w[1]
	}
	return "this statement"
}

// nodeStatement runs CREATE, ALTER or DROP NODE here, or on the nodes of its ON clause.
func (s *session) nodeStatement(ctx context.Context, st dialect.Step) error {
	if len(st.On) == 0 {
		r, err := s.exec(st.Text)
		r.tag = st.Tag
		return s.answer(r, err)
	}
	return s.inBlock(ctx, func() (string, *wire.Error, error) {
		for _, name := range st.On {
			if name == s.srv.Name() {
				if r, err := s.exec(st.Text); err != nil || r.err != nil {
					return "", r.err, err
				}
				continue
			}
			b, failed, err := s.named(ctx, name)
			if failed != nil || err != nil {
				return "", failed, err
			}
			if failed := s.begin(b); failed != nil {
				return "", failed, nil
			}
			if r := b.query(st.Text); r.err != nil {
				return "", r.err, nil
			}
		}
		return st.Tag, nil, nil
	})
}

// named is the branch to a node that a statement names.
func (s *session) named(ctx context.Context, name string) (*branch, *wire.Error, error) {
	r, err := s.exec(nodeColumns)
	if err != nil || r.err != nil {
		return nil, r.err, err
	}
	nodes := nodesOf(r.rows)
	i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return nil, wire.Errorf("42704", "PGXC Node %s: object not defined", name), nil
	}
	b, failed := s.branch(ctx, nodes[i])
	return b, failed, nil
}

// direct runs EXECUTE DIRECT. The formats, in the extended protocol, are those that the client asked for.
func (s *session) direct(ctx context.Context, st dialect.Step, formats []int16) error {
	self := st.On[0] == s.srv.Name()
	if self && formats == nil {
		return s.step(ctx, dialect.Step{Text: st.Text})
	}
	if self {
		return s.fail(wire.Unsupported("EXECUTE DIRECT on the own node in the extended protocol"))
	}
	b, failed, err := s.named(ctx, st.On[0])
	if err != nil {
		return err
	}
	if failed != nil {
		return s.fail(failed)
	}
	restore, failed, err := s.lendPath(b)
	if err != nil {
		return err
	}
	if failed != nil {
		return s.fail(failed)
	}
	defer restore()
	send := []wire.Msg{wire.Query(st.Text)}
	if formats != nil {
		send = []wire.Msg{
			wire.Encode(&pgproto3.Parse{Query: st.Text}), wire.Encode(&pgproto3.Bind{ResultFormatCodes: formats}),
			wire.Encode(&pgproto3.Execute{}), wire.Encode(&pgproto3.Sync{}),
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.send(send...); err != nil {
		return s.fail(b.lost(err).err)
	}
	var e *wire.Error
	for {
		m, err := b.read()
		if err != nil {
			return s.fail(b.lost(err).err)
		}
		switch m.Type {
		case 'E':
			e = wire.DecodeError(m.Body)
		case 'Z':
			if e != nil {
				e.Severity, e.SeverityUnlocalized = "ERROR", "ERROR"
				return s.fail(e)
			}
			return nil
		case 'T', 'D', 'C':
			if err := s.toClient(m); err != nil {
				return err
			}
		}
	}
}

// lendPath gives a branch the session's search path for one statement of the client's own.
func (s *session) lendPath(b *branch) (restore func(), _ *wire.Error, _ error) {
	as, failed, err := s.identity()
	if failed != nil || err != nil {
		return nil, failed, err
	}
	set := func(path string) result {
		return b.query("SELECT pg_catalog.set_config('search_path', " + dialect.Literal(path) + ", false)")
	}
	return func() { set("pg_catalog") }, set(as.path).err, nil
}

// describeDirect asks the node for the columns that an EXECUTE DIRECT will return.
func (s *session) describeDirect(ctx context.Context, st dialect.Step) (wire.Msg, *wire.Error, error) {
	m := wire.Msg{Type: 'n'}
	b, failed, err := s.named(ctx, st.On[0])
	if failed != nil || err != nil {
		return m, failed, err
	}
	restore, failed, err := s.lendPath(b)
	if failed != nil || err != nil {
		return m, failed, err
	}
	defer restore()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.send(wire.Encode(&pgproto3.Parse{Query: st.Text}), wire.Encode(&pgproto3.Describe{ObjectType: 'S'}),
		wire.Encode(&pgproto3.Sync{})); err != nil {
		return m, b.lost(err).err, nil
	}
	for {
		got, err := b.read()
		if err != nil {
			return m, b.lost(err).err, nil
		}
		switch got.Type {
		case 'T':
			m = got
		case 'E':
			failed = wire.DecodeError(got.Body)
		case 'Z':
			return m, failed, nil
		}
	}
}

// copyStep stages what a client copies in and spreads it from there: row by row over the links it would take minutes.
func (s *session) copyStep(ctx context.Context, st dialect.Step) error {
	reach, failed, err := s.scopeOf(st.Forms.Tables)
	if err != nil {
		return err
	}
	if failed != nil {
		return s.fail(failed)
	}
	if reach != everywhere || s.srv.Role == Datanode {
		return s.step(ctx, dialect.Step{Text: st.Text})
	}
	return s.inBlock(ctx, func() (string, *wire.Error, error) {
		if r, err := s.exec(st.Forms.Stage); err != nil || r.err != nil {
			return "", r.err, err
		}
		if err := s.pass(st.Forms.Coordinator[0], ""); err != nil {
			return "", nil, err
		}
		tag := s.lastTag
		if s.sawError {
			return "", told, nil
		}
		for _, sql := range []string{st.Forms.Copy, "DROP TABLE " + dialect.StageTable} {
			if r, err := s.exec(sql); err != nil || r.err != nil {
				return "", r.err, err
			}
		}
		return tag, nil, nil
	})
}

// tableAs creates a table with the columns of a query and fills it.
func (s *session) tableAs(ctx context.Context, st dialect.Step) error {
	i := st.Forms.Into
	return s.inBlock(ctx, func() (string, *wire.Error, error) {
		r, err := s.exec("SELECT 1 WHERE pg_catalog.to_regclass(" + dialect.Literal(i.Table) + ") IS NOT NULL")
		if err != nil || r.err != nil {
			return "", r.err, err
		}
		if len(r.rows) > 0 && i.IfNotExists {
			return "CREATE TABLE AS", nil, nil
		}
		create, failed, err := s.shape(i)
		if failed != nil || err != nil {
			return "", failed, err
		}
		table := dialect.Parse(create).Steps[0]
		if table.Kind == dialect.Refuse {
			return "", table.Err, nil
		}
		table.Guard = st.Guard
		if _, failed, err := s.spreadForms(ctx, table, everywhere); failed != nil || err != nil {
			return "", failed, err
		}
		if i.NoData {
			return "CREATE TABLE AS", nil, nil
		}
		r, err = s.exec("INSERT INTO " + i.Table + " " + i.Query)
		return strings.Replace(r.tag, "INSERT 0", "SELECT", 1), r.err, err
	})
}

// shape writes the CREATE TABLE for the columns of a query.
func (s *session) shape(i *dialect.Into) (string, *wire.Error, error) {
	columns := ""
	if len(i.Columns) > 0 {
		quoted := make([]string, len(i.Columns))
		for n, c := range i.Columns {
			quoted[n] = dialect.Ident(c)
		}
		columns = "(" + strings.Join(quoted, ", ") + ")"
	}
	var r result
	for _, sql := range []string{
		fmt.Sprintf("CREATE TEMP TABLE standin_shape %s AS %s WITH NO DATA", columns, i.Query),
		`SELECT pg_catalog.quote_ident(attname), pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
			WHERE attrelid = 'pg_temp.standin_shape'::pg_catalog.regclass AND attnum > 0 ORDER BY attnum`,
		"DROP TABLE pg_temp.standin_shape",
	} {
		got, err := s.exec(sql)
		if err != nil || got.err != nil {
			return "", got.err, err
		}
		if len(got.rows) > 0 {
			r = got
		}
	}
	var cols []string
	for _, c := range r.rows {
		cols = append(cols, c[0]+" "+c[1])
	}
	return fmt.Sprintf("CREATE TABLE %s (%s) %s", i.Table, strings.Join(cols, ", "), i.Clause), nil, nil
}

// vacuum runs on the datanodes one after the other, in no transaction.
func (s *session) vacuum(ctx context.Context, st dialect.Step) error {
	reach, failed, err := s.scopeOf(st.Forms.Tables)
	if err != nil {
		return err
	}
	if failed != nil {
		return s.fail(failed)
	}
	if reach != everywhere || s.status != 'I' || s.srv.Role == Datanode || s.srv.Restore {
		return s.step(ctx, dialect.Step{Text: st.Text})
	}
	for _, sql := range st.Forms.Coordinator {
		if r, err := s.exec(sql); err != nil || r.err != nil {
			return s.answer(r, err)
		}
	}
	r, err := s.exec(nodeColumns)
	if err != nil || r.err != nil {
		return s.answer(r, err)
	}
	for _, n := range nodesOf(r.rows) {
		if n.Type != "D" {
			continue
		}
		b, failed := s.branch(ctx, n)
		if failed != nil {
			return s.fail(failed)
		}
		restore, failed, err := s.lendPath(b)
		if err != nil {
			return err
		}
		if failed == nil {
			failed = b.query(st.Forms.Datanode[0]).err
			restore()
		}
		if failed != nil {
			return s.fail(failed)
		}
	}
	return s.toClient(wire.Complete(st.Tag))
}
