// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// distribution is what DISTRIBUTE BY and TO NODE said.
type distribution struct {
	kind   string // of pgxc_class: H, M, N, R; empty when not given
	column string
	nodes  []string
	clause string
}

// cutDistribution takes AntDB's clauses out of CREATE TABLE, which leaves PostgreSQL's grammar.
func cutDistribution(src string, toks []token) (distribution, string, *wire.Error) {
	var d distribution
	if !words(toks, "create") || !has(toks[:min(4, len(toks))], "table") {
		return d, src, nil
	}
	var edits []edit
	base, depth := toks[0].start, 0
	for i := 0; i < len(toks); i++ {
		switch toks[i].word {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth > 0 {
			continue
		}
		p := &parser{toks: toks, at: i}
		switch {
		case words(toks[i:], "distribute", "by"):
			p.at += 2
			d.readKind(p)
		case words(toks[i:], "to", "node"):
			p.at += 2
			d.nodes = p.list()
		case words(toks[i:], "to", "group"):
			return d, "", wire.Unsupported("TO GROUP")
		default:
			continue
		}
		if p.err != nil {
			return d, "", p.err
		}
		d.clause += " " + src[toks[i].start-base:toks[p.at-1].end-base]
		edits = append(edits, edit{toks[i].start - base, toks[p.at-1].end - base, ""})
		i = p.at - 1
	}
	return d, splice(src, 0, len(src), edits), nil
}

func (d *distribution) readKind(p *parser) {
	kind := p.name()
	switch kind {
	case "hash", "modulo":
		d.kind = map[string]string{"hash": "H", "modulo": "M"}[kind]
		p.want("(")
		d.column = p.name()
		p.want(")")
	case "replication":
		d.kind = "R"
	case "random", "roundrobin":
		d.kind = "N"
		if p.take("(") {
			p.want(")")
		}
	case "hashmap":
		if p.err == nil {
			p.err = wire.Errorf("XX000", "load adb_slot failed")
		}
	default:
		p.at--
		p.fail()
	}
}

// unhashable are the types that PostgreSQL cannot partition by.
var unhashable = []string{"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "tsvector", "tsquery"}

var serials = map[string]string{
	"serial": "int4", "serial4": "int4", "bigserial": "int8", "serial8": "int8", "smallserial": "int2", "serial2": "int2",
}

func createTable(n *pg.CreateStmt, d distribution) Step {
	if n.Relation.Relpersistence == "t" {
		return Step{} // the session's own
	}
	if n.Partbound != nil {
		return createPartition(n, d)
	}
	if len(n.InhRelations) > 0 || n.OfTypename != nil {
		return refuse("inherited and typed tables")
	}
	t := &table{rel: n.Relation, coord: proto.Clone(n).(*pg.CreateStmt), data: proto.Clone(n).(*pg.CreateStmt)}
	if err := t.build(d); err != nil {
		return Step{Kind: Refuse, Err: err}
	}
	c, err := deparse(&pg.Node{Node: &pg.Node_CreateStmt{CreateStmt: t.coord}})
	if err != nil {
		return Step{Kind: Refuse, Err: err}
	}
	dn, err := deparse(&pg.Node{Node: &pg.Node_CreateStmt{CreateStmt: t.data}})
	if err != nil {
		return Step{Kind: Refuse, Err: err}
	}
	f := &Forms{Datanode: []string{dn}}
	if t.kind != "R" {
		f.Datanode = append(f.Datanode, fmt.Sprintf("CREATE OR REPLACE TRIGGER standin_fixed BEFORE UPDATE OF %[1]s ON %[2]s FOR EACH ROW "+
			"WHEN (OLD.%[1]s IS DISTINCT FROM NEW.%[1]s) EXECUTE FUNCTION pg_catalog.standin_fixed()", Ident(t.distributed), relation(n.Relation)))
	}
	exists := ""
	if n.IfNotExists {
		exists = "IF NOT EXISTS "
	}
	for _, s := range t.sequences {
		f.Coordinator = append(f.Coordinator, fmt.Sprintf("CREATE SEQUENCE %s%s AS %s", exists, s.name, s.kind))
	}
	f.Main = len(f.Coordinator)
	f.Coordinator = append(f.Coordinator, c)
	for _, s := range t.sequences {
		f.Coordinator = append(f.Coordinator, fmt.Sprintf("ALTER SEQUENCE %s OWNED BY %s.%s", s.name, relation(n.Relation), Ident(s.column)))
	}
	divided := ""
	if n.Partspec != nil {
		divided = ", " + Literal(t.distributed)
	}
	f.Coordinator = append(f.Coordinator, fmt.Sprintf("CALL pg_catalog.standin_spread(%s, %s, %s%s)",
		Literal(relation(n.Relation)), Literal(t.kind), Array(d.nodes), divided))
	f.Here = t.foreign
	return Step{Kind: Spread, Forms: f}
}

// createPartition creates a partition of a table that the user partitioned. It is distributed as its parent, which
// only the catalog knows.
func createPartition(n *pg.CreateStmt, d distribution) Step {
	if len(n.TableElts) > 0 || d.clause != "" {
		return refuse("constraints, options of columns and distribution clauses of a single partition")
	}
	dn, err := deparse(&pg.Node{Node: &pg.Node_CreateStmt{CreateStmt: n}})
	if err != nil {
		return Step{Kind: Refuse, Err: err}
	}
	c := proto.Clone(n).(*pg.CreateStmt)
	c.Options, c.Tablespacename = nil, ""
	text, err := deparse(&pg.Node{Node: &pg.Node_CreateStmt{CreateStmt: c}})
	if err != nil {
		return Step{Kind: Refuse, Err: err}
	}
	return Step{Kind: Spread, Tag: "CREATE TABLE", Forms: &Forms{Main: -1, Datanode: []string{dn}, Coordinator: []string{
		fmt.Sprintf("CALL pg_catalog.standin_partition(%s, %s, %s, %t)", Literal(text), Literal(relation(n.Relation)),
			Literal(relation(n.InhRelations[0].GetRangeVar())), n.Partspec != nil),
	}}}
}

// table is a CREATE TABLE on its way to two forms.
type table struct {
	rel         *pg.RangeVar
	coord, data *pg.CreateStmt
	kind        string
	distributed string // the column
	sequences   []sequence
	keys        [][]string
	hashable    []string
	foreign     []string // calls that check its foreign keys
}

type sequence struct{ name, kind, column string }

func (t *table) build(d distribution) *wire.Error {
	var elts []*pg.Node
	for i, e := range t.coord.TableElts {
		switch {
		case e.GetColumnDef() != nil:
			if err := t.column(e.GetColumnDef(), t.data.TableElts[i].GetColumnDef()); err != nil {
				return err
			}
		case e.GetConstraint() != nil:
			keep, err := t.constraint(e.GetConstraint(), "")
			if err != nil {
				return err
			}
			if !keep {
				continue
			}
		}
		elts = append(elts, e)
	}
	t.coord.TableElts = elts
	t.coord.Options, t.coord.Tablespacename = nil, ""
	t.coord.Relation.Relpersistence = "p"
	column := d.column
	if t.kind = d.kind; t.kind == "" {
		t.kind = "H"
	}
	if column == "" && len(t.keys) > 0 {
		column = t.keys[0][0]
	}
	if column == "" && len(t.hashable) > 0 {
		column = t.hashable[0]
	}
	if column == "" {
		return wire.Unsupported("a table without a column to distribute by: name one with DISTRIBUTE BY HASH (column)")
	}
	for _, k := range t.keys {
		if t.kind != "R" && !slices.Contains(k, column) {
			return wire.Errorf("42P16", "Unique index of partitioned table must contain the hash distribution column.")
		}
	}
	t.distributed = column
	if t.coord.Partspec != nil { // the user's own; its partitions are distributed
		return nil
	}
	t.coord.Partspec = &pg.PartitionSpec{Strategy: pg.PartitionStrategy_PARTITION_STRATEGY_HASH, PartParams: []*pg.Node{
		{Node: &pg.Node_PartitionElem{PartitionElem: &pg.PartitionElem{Name: column}}},
	}}
	return nil
}

// column fits one column to a coordinator (c) and to a datanode (dn).
func (t *table) column(c, dn *pg.ColumnDef) *wire.Error {
	names := c.TypeName.Names
	typ := names[len(names)-1].GetString_().GetSval()
	if !slices.Contains(unhashable, typ) || len(c.TypeName.ArrayBounds) > 0 {
		t.hashable = append(t.hashable, c.Colname)
	}
	serial := serials[typ]
	var keepC, keepD []*pg.Node
	for i, n := range c.Constraints {
		k := n.GetConstraint()
		if k.Contype == pg.ConstrType_CONSTR_IDENTITY {
			if serial = typ; len(names) > 2 {
				return wire.Unsupported("an identity column of this type")
			}
			continue
		}
		keep, err := t.constraint(k, c.Colname)
		if err != nil {
			return err
		}
		if keep {
			keepC = append(keepC, n)
		}
		if k.Contype != pg.ConstrType_CONSTR_DEFAULT || !usesSequence(k.RawExpr) {
			keepD = append(keepD, dn.Constraints[i])
		}
	}
	c.Constraints, dn.Constraints = keepC, keepD
	if serial == "" {
		return nil
	}
	s := sequence{name: t.rel.Relname + "_" + c.Colname + "_seq", kind: serial, column: c.Colname}
	s.name = Ident(s.name)
	if t.rel.Schemaname != "" {
		s.name = Ident(t.rel.Schemaname) + "." + s.name
	}
	t.sequences = append(t.sequences, s)
	typeName := &pg.TypeName{Names: []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode(serial)}, Typemod: -1}
	c.TypeName, dn.TypeName = typeName, typeName
	notNull := &pg.Node{Node: &pg.Node_Constraint{Constraint: &pg.Constraint{Contype: pg.ConstrType_CONSTR_NOTNULL}}}
	call := &pg.FuncCall{
		Funcname: []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode("adb_nextval")}, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL,
		Args: []*pg.Node{pg.MakeAConstStrNode(s.name, -1)},
	}
	c.Constraints = append(c.Constraints, notNull, &pg.Node{Node: &pg.Node_Constraint{Constraint: &pg.Constraint{
		Contype: pg.ConstrType_CONSTR_DEFAULT, RawExpr: &pg.Node{Node: &pg.Node_FuncCall{FuncCall: call}},
	}}})
	dn.Constraints = append(dn.Constraints, notNull)
	return nil
}

// constraint says whether a constraint stays on coordinators, and notes keys.
func (t *table) constraint(k *pg.Constraint, column string) (bool, *wire.Error) {
	switch k.Contype {
	case pg.ConstrType_CONSTR_PRIMARY, pg.ConstrType_CONSTR_UNIQUE:
		cols := stringsOf(k.Keys)
		if column != "" {
			cols = []string{column}
		}
		if k.Contype == pg.ConstrType_CONSTR_PRIMARY { // the primary key's first column is the default distribution
			t.keys = slices.Insert(t.keys, 0, cols)
		} else {
			t.keys = append(t.keys, cols)
		}
		return false, nil
	case pg.ConstrType_CONSTR_FOREIGN:
		t.foreignKey(k, column)
		return false, nil
	case pg.ConstrType_CONSTR_EXCLUSION:
		return false, wire.Unsupported("exclusion constraints")
	case pg.ConstrType_CONSTR_DEFAULT:
		usesSequence(k.RawExpr)
	}
	return true, nil
}

// foreignKey notes the check of a foreign key, which exists on datanodes only.
func (t *table) foreignKey(k *pg.Constraint, column string) {
	cols := stringsOf(k.FkAttrs)
	if column != "" {
		cols = []string{column}
	}
	name := k.Conname
	if name == "" {
		name = t.rel.Relname + "_" + strings.Join(cols, "_") + "_fkey"
	}
	sets := strings.ContainsAny(k.FkUpdAction+k.FkDelAction, "nd") // SET NULL, SET DEFAULT
	t.foreign = append(t.foreign, fmt.Sprintf("CALL pg_catalog.standin_check_fk(%s, %s, %s, %s, %s, %t)", Literal(name),
		Literal(relation(t.rel)), Array(cols), Literal(relation(k.Pktable)), Array(stringsOf(k.PkAttrs)), sets))
}

// usesSequence tells whether a default draws from a sequence, and leads it to the one that gc serves.
func usesSequence(expr *pg.Node) bool {
	call := expr.GetFuncCall()
	if call == nil {
		return false
	}
	last := call.Funcname[len(call.Funcname)-1].GetString_()
	if last.GetSval() == "nextval" || last.GetSval() == "adb_nextval" {
		last.Sval = "adb_nextval"
		return true
	}
	return false
}

func stringsOf(nodes []*pg.Node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.GetString_().GetSval())
	}
	return out
}

func createTableAs(n *pg.CreateTableAsStmt, src string, d distribution) Step {
	if n.Objtype != pg.ObjectType_OBJECT_TABLE {
		return refuse("materialized views")
	}
	if n.Into.Rel.Relpersistence == "t" {
		return Step{Text: src}
	}
	query, err := deparse(n.Query)
	if err != nil {
		return Step{Kind: Refuse, Err: err}
	}
	return Step{Kind: TableAs, Forms: &Forms{Into: &Into{
		Table: relation(n.Into.Rel), Query: query, Clause: strings.TrimSpace(d.clause), Columns: stringsOf(n.Into.ColNames),
		IfNotExists: n.IfNotExists, NoData: n.Into.SkipData,
	}}}
}

func selectInto(n *pg.SelectStmt) Step {
	into := n.IntoClause
	c := proto.Clone(n).(*pg.SelectStmt)
	c.IntoClause = nil
	query, err := deparse(&pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: c}})
	if err != nil {
		return Step{Kind: Refuse, Err: err}
	}
	if into.Rel.Relpersistence == "t" {
		return Step{Text: fmt.Sprintf("CREATE TEMP TABLE %s AS %s", relation(into.Rel), query)}
	}
	return Step{Kind: TableAs, Forms: &Forms{Into: &Into{Table: relation(into.Rel), Query: query}}}
}
