// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"fmt"
	"reflect"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// Forms are the statements that one DDL statement becomes on the nodes of a cluster.
type Forms struct {
	Coordinator []string // on gc and every coordinator, in this order
	Main        int      // the one of them whose command tag the client gets
	Here        []string // on the client's coordinator alone, after these: checks that ask datanodes
	Datanode    []string // on every datanode
	// Tables are the relations it names: if one is temporary the statement stays local, and if one is not a
	// distributed table the datanodes are left out.
	Tables []string
	// Alone marks what cannot run inside a transaction; Undo takes it back where it succeeded.
	Alone bool
	Undo  string
	// Copy is the INSERT that follows a COPY into the staging table; Stage makes that table.
	Stage, Copy string
	// Into is the query of CREATE TABLE AS, Clause its distribution.
	Into *Into
}

// Into is CREATE TABLE AS taken apart.
type Into struct {
	Table, Query, Clause string
	Columns              []string
	IfNotExists, NoData  bool
}

// StageTable is where a COPY from a client is staged before it is spread.
const StageTable = "pg_temp.standin_stage"

// ddl turns a parsed statement into a step.
func ddl(node *pg.Node, src string, d distribution) Step {
	switch n := node.Node.(type) {
	case *pg.Node_CreateStmt:
		return createTable(n.CreateStmt, d)
	case *pg.Node_CreateTableAsStmt:
		return createTableAs(n.CreateTableAsStmt, src, d)
	case *pg.Node_SelectStmt:
		if n.SelectStmt.IntoClause == nil {
			return Step{Text: src}
		}
		return selectInto(n.SelectStmt)
	case *pg.Node_AlterTableStmt:
		return alterTable(n.AlterTableStmt, src)
	case *pg.Node_IndexStmt:
		return createIndex(n.IndexStmt, src)
	case *pg.Node_DropStmt:
		return drop(n.DropStmt, src)
	case *pg.Node_TruncateStmt:
		return Step{Kind: Truncate, Text: src, Tag: "TRUNCATE TABLE", Forms: &Forms{Datanode: []string{src}, Tables: relations(n.TruncateStmt.Relations)}}
	case *pg.Node_VacuumStmt:
		return vacuum(n.VacuumStmt, src)
	case *pg.Node_RenameStmt:
		return rename(n.RenameStmt, src)
	case *pg.Node_AlterObjectSchemaStmt:
		return follow(src, n.AlterObjectSchemaStmt.Relation)
	case *pg.Node_GrantStmt:
		return grant(n.GrantStmt, src)
	case *pg.Node_ViewStmt:
		if n.ViewStmt.View.Relpersistence == "t" {
			return Step{Text: src}
		}
		return Step{Kind: Spread, Forms: &Forms{Coordinator: []string{src}}}
	case *pg.Node_CreateSeqStmt:
		if n.CreateSeqStmt.Sequence.Relpersistence == "t" {
			return Step{Text: src}
		}
		return Step{Kind: Spread, Forms: &Forms{Coordinator: []string{src}}}
	case *pg.Node_CreateSchemaStmt:
		if len(n.CreateSchemaStmt.SchemaElts) > 0 {
			return refuse("CREATE SCHEMA with elements")
		}
	}
	return byType(node, src)
}

// coordinatorOnly, everywhere and alone list, by the parser's names, the statements that need no other form.
var (
	coordinatorOnly = []string{"AlterSeqStmt", "CommentStmt", "CreateStatsStmt", "AlterStatsStmt"}
	everywhere      = []string{
		"CreateSchemaStmt", "CreateRoleStmt", "AlterRoleStmt", "AlterRoleSetStmt", "DropRoleStmt", "GrantRoleStmt",
		"AlterDefaultPrivilegesStmt", "CreateExtensionStmt", "AlterExtensionStmt", "CreateFunctionStmt", "AlterFunctionStmt",
		"DefineStmt", "CompositeTypeStmt", "CreateEnumStmt", "CreateRangeStmt", "CreateDomainStmt", "AlterDomainStmt",
		"AlterEnumStmt", "AlterTypeStmt", "AlterOwnerStmt", "ReassignOwnedStmt", "DropOwnedStmt", "AlterDatabaseStmt",
		"AlterDatabaseSetStmt", "CreateCastStmt", "CreateOpClassStmt", "CreateOpFamilyStmt",
	}
	alone = []string{"CreatedbStmt", "DropdbStmt"}
)

func byType(node *pg.Node, src string) Step {
	name := strings.TrimPrefix(reflect.TypeOf(node.Node).Elem().Name(), "Node_")
	in := func(list []string) bool {
		for _, n := range list {
			if n == name {
				return true
			}
		}
		return false
	}
	switch {
	case in(coordinatorOnly):
		return Step{Kind: Spread, Forms: &Forms{Coordinator: []string{src}}}
	case in(everywhere):
		return Step{Kind: Spread, Forms: both(src)}
	case in(alone):
		f := both(src)
		f.Alone = true
		if db := node.GetCreatedbStmt(); db != nil {
			f.Undo = "DROP DATABASE IF EXISTS " + Ident(db.Dbname)
		}
		return Step{Kind: Spread, Forms: f}
	}
	return refuse(strings.TrimSuffix(name, "Stmt") + " statements")
}

// both is one text for coordinators and datanodes.
func both(src string) *Forms { return &Forms{Coordinator: []string{src}, Datanode: []string{src}} }

const followCall = "CALL pg_catalog.standin_follow()"

// follow is a change of a table that its partitions must follow.
func follow(src string, rel *pg.RangeVar) Step {
	f := both(src)
	if rel != nil {
		f.Tables = []string{relation(rel)}
		f.Coordinator = append(f.Coordinator, followCall)
	}
	return Step{Kind: Spread, Forms: f}
}

func rename(n *pg.RenameStmt, src string) Step {
	if n.RenameType == pg.ObjectType_OBJECT_INDEX {
		c := proto.Clone(n).(*pg.RenameStmt)
		c.MissingOk = true
		text, err := deparse(&pg.Node{Node: &pg.Node_RenameStmt{RenameStmt: c}})
		if err != nil {
			return Step{Kind: Refuse, Err: err}
		}
		return Step{Kind: Spread, Forms: &Forms{Coordinator: []string{text}, Datanode: []string{src}}}
	}
	return follow(src, n.Relation)
}

func grant(n *pg.GrantStmt, src string) Step {
	f := both(src)
	switch {
	case n.Objtype == pg.ObjectType_OBJECT_SEQUENCE:
		f.Datanode = nil
	case n.Objtype == pg.ObjectType_OBJECT_TABLE && n.Targtype == pg.GrantTargetType_ACL_TARGET_OBJECT:
		f.Tables = relations(n.Objects)
	}
	return Step{Kind: Spread, Forms: f}
}

func drop(n *pg.DropStmt, src string) Step {
	switch n.RemoveType {
	case pg.ObjectType_OBJECT_TABLE:
		f := both(src)
		f.Coordinator = append(f.Coordinator, followCall)
		f.Tables = objects(n.Objects)
		return Step{Kind: Spread, Forms: f}
	case pg.ObjectType_OBJECT_INDEX:
		if n.Concurrent {
			return refuse("DROP INDEX CONCURRENTLY")
		}
		c := proto.Clone(n).(*pg.DropStmt)
		c.MissingOk = true
		text, err := deparse(&pg.Node{Node: &pg.Node_DropStmt{DropStmt: c}})
		if err != nil {
			return Step{Kind: Refuse, Err: err}
		}
		return Step{Kind: Spread, Forms: &Forms{Coordinator: []string{text}, Datanode: []string{src}}}
	case pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_STATISTIC_EXT:
		return Step{Kind: Spread, Forms: &Forms{Coordinator: []string{src}}}
	case pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_RULE, pg.ObjectType_OBJECT_POLICY, pg.ObjectType_OBJECT_FOREIGN_TABLE,
		pg.ObjectType_OBJECT_FOREIGN_SERVER, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_PUBLICATION:
		return refuse("this kind of DROP")
	}
	f := both(src)
	if n.RemoveType == pg.ObjectType_OBJECT_SCHEMA {
		f.Coordinator = append(f.Coordinator, followCall)
	}
	return Step{Kind: Spread, Forms: f}
}

func createIndex(n *pg.IndexStmt, src string) Step {
	if n.Concurrent {
		return refuse("CREATE INDEX CONCURRENTLY")
	}
	// A coordinator has only foreign partitions, which take no unique index: there it is an ordinary one, so that the
	// name exists and can be dropped.
	c := proto.Clone(n).(*pg.IndexStmt)
	c.Unique, c.NullsNotDistinct, c.TableSpace = false, false, ""
	text, err := deparse(&pg.Node{Node: &pg.Node_IndexStmt{IndexStmt: c}})
	if err != nil {
		return Step{Kind: Refuse, Err: err}
	}
	f := &Forms{Coordinator: []string{text}, Datanode: []string{src}, Tables: []string{relation(n.Relation)}}
	if n.Unique {
		var cols []string
		for _, p := range n.IndexParams {
			cols = append(cols, p.GetIndexElem().GetName())
		}
		f.Coordinator = []string{checkKey(n.Relation, cols), text}
		f.Main = 1
	}
	return Step{Kind: Spread, Forms: f}
}

// checkKey is the call that refuses a key without the distribution column.
func checkKey(rel *pg.RangeVar, cols []string) string {
	return fmt.Sprintf("CALL pg_catalog.standin_check_key(%s, %s)", Literal(relation(rel)), Array(cols))
}

func deparse(n *pg.Node) (string, *wire.Error) {
	text, err := pg.Deparse(&pg.ParseResult{Version: parserVersion, Stmts: []*pg.RawStmt{{Stmt: n}}})
	if err != nil {
		return "", wire.Errorf("XX000", "AntDB stand-in cannot write this statement for its nodes: %v", err)
	}
	return text, nil
}

// relation is a table's name as it must be written.
func relation(r *pg.RangeVar) string {
	if r.Schemaname != "" {
		return Ident(r.Schemaname) + "." + Ident(r.Relname)
	}
	return Ident(r.Relname)
}

func relations(nodes []*pg.Node) []string {
	var out []string
	for _, n := range nodes {
		if r := n.GetRangeVar(); r != nil {
			out = append(out, relation(r))
		}
	}
	return out
}

// objects are the names in a DROP.
func objects(nodes []*pg.Node) []string {
	var out []string
	for _, n := range nodes {
		var parts []string
		for _, i := range n.GetList().GetItems() {
			parts = append(parts, Ident(i.GetString_().GetSval()))
		}
		out = append(out, strings.Join(parts, "."))
	}
	return out
}

// Array writes an array of strings, NULL when there are none.
func Array(items []string) string {
	if len(items) == 0 {
		return "NULL"
	}
	q := make([]string, len(items))
	for i, s := range items {
		q[i] = Literal(s)
	}
	return "ARRAY[" + strings.Join(q, ", ") + "]"
}

// parserVersion is the grammar that trees are written for; the deparser insists on it.
const parserVersion = 170007
