// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// alterTable splits the commands of one ALTER TABLE between coordinators and datanodes.
func alterTable(n *pg.AlterTableStmt, src string) Step {
	switch n.Objtype {
	case pg.ObjectType_OBJECT_TABLE:
	case pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_VIEW:
		return Step{Kind: Spread, Forms: &Forms{Coordinator: []string{src}}}
	case pg.ObjectType_OBJECT_TYPE:
		return Step{Kind: Spread, Forms: both(src)}
	default:
		return refuse("this kind of ALTER")
	}
	a := &alteration{rel: n.Relation}
	for _, c := range n.Cmds {
		if err := a.command(c); err != nil {
			return Step{Kind: Refuse, Err: err}
		}
	}
	f := &Forms{Tables: []string{relation(n.Relation)}, Coordinator: a.before, Here: a.here}
	for i, cmds := range [][]*pg.Node{a.coord, a.data} {
		if len(cmds) == 0 {
			continue
		}
		s := proto.Clone(n).(*pg.AlterTableStmt)
		s.Cmds = cmds
		text, err := deparse(&pg.Node{Node: &pg.Node_AlterTableStmt{AlterTableStmt: s}})
		if err != nil {
			return Step{Kind: Refuse, Err: err}
		}
		if i == 0 {
			f.Main = len(f.Coordinator)
			f.Coordinator = append(f.Coordinator, text)
		} else {
			f.Datanode = []string{text}
		}
	}
	f.Coordinator = append(f.Coordinator, a.after...)
	if len(a.coord) == 0 {
		f.Main = -1
	}
	f.Coordinator = append(f.Coordinator, followCall)
	return Step{Kind: Spread, Tag: "ALTER TABLE", Forms: f}
}

// alteration collects the two forms, and what coordinators run before and after.
type alteration struct {
	rel           *pg.RangeVar
	coord, data   []*pg.Node
	before, after []string
	here          []string
}

func (a *alteration) command(n *pg.Node) *wire.Error {
	c := n.GetAlterTableCmd()
	switch c.Subtype {
	case pg.AlterTableType_AT_AddConstraint:
		return a.addConstraint(n, c.Def.GetConstraint())
	case pg.AlterTableType_AT_DropConstraint:
		m := proto.Clone(n).(*pg.Node)
		m.GetAlterTableCmd().MissingOk = true
		a.coord, a.data = append(a.coord, m), append(a.data, n)
	case pg.AlterTableType_AT_AddColumn:
		return a.addColumn(n)
	case pg.AlterTableType_AT_ColumnDefault:
		a.coord = append(a.coord, n)
		if c.Def == nil || !usesSequence(c.Def) {
			a.data = append(a.data, n)
		}
	case pg.AlterTableType_AT_SetRelOptions, pg.AlterTableType_AT_ResetRelOptions, pg.AlterTableType_AT_SetStatistics:
		a.data = append(a.data, n)
	case pg.AlterTableType_AT_DropColumn, pg.AlterTableType_AT_AlterColumnType, pg.AlterTableType_AT_SetNotNull,
		pg.AlterTableType_AT_DropNotNull, pg.AlterTableType_AT_ChangeOwner, pg.AlterTableType_AT_ValidateConstraint,
		pg.AlterTableType_AT_SetStorage, pg.AlterTableType_AT_SetCompression, pg.AlterTableType_AT_DropExpression:
		a.coord, a.data = append(a.coord, n), append(a.data, n)
	default:
		return wire.Unsupported("ALTER TABLE with " + strings.TrimPrefix(c.Subtype.String(), "AT_"))
	}
	return nil
}

func (a *alteration) addConstraint(n *pg.Node, k *pg.Constraint) *wire.Error {
	t := &table{rel: a.rel}
	keep, err := t.constraint(k, "")
	if err != nil {
		return err
	}
	if len(t.keys) > 0 {
		a.before = append(a.before, checkKey(a.rel, t.keys[0]))
	}
	if k.Contype == pg.ConstrType_CONSTR_PRIMARY {
		for _, col := range t.keys[0] {
			a.after = append(a.after, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", relation(a.rel), Ident(col)))
		}
	}
	if keep {
		a.coord = append(a.coord, n)
	}
	a.here = append(a.here, t.foreign...)
	a.data = append(a.data, n)
	return nil
}

func (a *alteration) addColumn(n *pg.Node) *wire.Error {
	c, d := proto.Clone(n).(*pg.Node), proto.Clone(n).(*pg.Node)
	t := &table{rel: a.rel}
	if err := t.column(c.GetAlterTableCmd().Def.GetColumnDef(), d.GetAlterTableCmd().Def.GetColumnDef()); err != nil {
		return err
	}
	for _, k := range t.keys {
		a.before = append(a.before, checkKey(a.rel, k))
	}
	a.here = append(a.here, t.foreign...)
	if len(t.sequences) > 0 {
		return wire.Unsupported("ALTER TABLE … ADD COLUMN with a sequence")
	}
	a.coord, a.data = append(a.coord, c), append(a.data, d)
	return nil
}

// copyFrom recognises COPY … FROM STDIN, which is staged and then spread.
func copyFrom(text string, toks []token) Step {
	src := text[toks[0].start:toks[len(toks)-1].end]
	if !has(toks, "from") || !has(toks, "stdin") {
		return Step{Text: rewrite(text, toks)}
	}
	tree, err := pg.Parse(src)
	if err != nil || len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetCopyStmt() == nil {
		return Step{Text: src}
	}
	n := tree.Stmts[0].Stmt.GetCopyStmt()
	if !n.IsFrom || n.Filename != "" || n.Relation == nil {
		return Step{Text: src}
	}
	cols := "*"
	into := relation(n.Relation)
	if names := stringsOf(n.Attlist); len(names) > 0 {
		for i := range names {
			names[i] = Ident(names[i])
		}
		cols = strings.Join(names, ", ")
		into += " (" + cols + ")"
	}
	f := &Forms{Tables: []string{relation(n.Relation)}}
	f.Stage = fmt.Sprintf("CREATE TEMP TABLE standin_stage ON COMMIT DROP AS SELECT %s FROM %s WITH NO DATA", cols, relation(n.Relation))
	f.Copy = fmt.Sprintf("INSERT INTO %s SELECT * FROM %s", into, StageTable)
	n.Relation.Schemaname, n.Relation.Relname = "pg_temp", "standin_stage"
	staged, werr := deparse(tree.Stmts[0].Stmt)
	if werr != nil {
		return Step{Kind: Refuse, Err: werr}
	}
	f.Coordinator = []string{staged}
	return Step{Kind: Copy, Text: src, Forms: f}
}

// vacuum takes place on the datanodes; a coordinator has nothing but statistics.
func vacuum(n *pg.VacuumStmt, src string) Step {
	var tables []string
	for _, r := range n.Rels {
		tables = append(tables, relation(r.GetVacuumRelation().GetRelation()))
	}
	f := &Forms{Tables: tables, Datanode: []string{src}}
	if len(tables) == 0 {
		return Step{Text: src}
	}
	for _, o := range n.Options {
		if o.GetDefElem().GetDefname() == "analyze" {
			f.Coordinator = []string{"ANALYZE " + strings.Join(tables, ", ")}
		}
	}
	return Step{Kind: Vacuum, Text: src, Tag: "VACUUM", Forms: f}
}
