// SPDX-License-Identifier: Apache-2.0

package topology_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// catalog is a small model of pgxc_node on one node. It reads the SQL text, so that what is proved is what would run.
type catalog struct {
	self    string
	rows    map[string]topology.Node
	changed bool // since the pooler was told
	// dropped are the datanodes that were dropped: none of them may be created again.
	dropped map[string]bool
}

func newCatalog(self string, rows []topology.Node) *catalog {
	c := &catalog{self: self, rows: map[string]topology.Node{}, dropped: map[string]bool{}}
	for _, r := range rows {
		c.rows[r.Name] = r
	}
	return c
}

func (c *catalog) list() []topology.Node {
	var out []topology.Node
	for _, r := range c.rows {
		out = append(out, r)
	}
	return out
}

// run executes one statement as the engine would.
func (c *catalog) run(sql string) error {
	if sql == topology.ReloadPool {
		c.changed = false
		return nil
	}
	s := &scanner{text: sql}
	verb := s.word()
	if w := s.word(); w != "NODE" {
		return fmt.Errorf("%q is not about nodes", sql)
	}
	name, err := s.quoted('"')
	if err != nil {
		return err
	}
	have, exists := c.rows[name]
	c.changed = true
	switch {
	case verb == "CREATE" && exists:
		return fmt.Errorf("node %s exists", name)
	case verb == "CREATE" && c.dropped[name]:
		return fmt.Errorf("datanode %s was dropped a moment ago and is created again", name)
	case verb != "CREATE" && !exists:
		return fmt.Errorf("node %s does not exist", name)
	case verb == "DROP" && name == c.self:
		return fmt.Errorf("cannot drop the local node")
	case verb == "DROP":
		c.dropped[name] = have.Type == antdb.TypeDatanode
		delete(c.rows, name)
		return nil
	case verb != "CREATE" && verb != "ALTER":
		return fmt.Errorf("unknown verb %q", verb)
	}
	have.Name = name
	if err := s.options(&have); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	c.rows[name] = have
	return c.check()
}

func (c *catalog) check() error {
	primaries := 0
	for _, r := range c.rows {
		if r.Type != antdb.TypeDatanode && (r.Primary || r.Preferred) {
			return fmt.Errorf("PRIMARY and PREFERRED are for datanodes, not for %s", r)
		}
		if r.Primary {
			primaries++
		}
	}
	if primaries > 1 {
		return fmt.Errorf("%d primaries", primaries)
	}
	return nil
}

// scanner reads the few shapes of SQL about nodes.
type scanner struct{ text string }

func (s *scanner) word() string {
	s.text = strings.TrimLeft(s.text, " ")
	end := strings.IndexAny(s.text, ` "'=,()`)
	if end < 0 {
		end = len(s.text)
	}
	w := s.text[:end]
	s.text = s.text[end:]
	return w
}

func (s *scanner) eat(mark string) error {
	s.text = strings.TrimLeft(s.text, " ")
	rest, ok := strings.CutPrefix(s.text, mark)
	if !ok {
		return fmt.Errorf("expected %q before %q", mark, s.text)
	}
	s.text = rest
	return nil
}

// quoted reads a quoted text, in which the mark itself is doubled.
func (s *scanner) quoted(mark rune) (string, error) {
	if err := s.eat(string(mark)); err != nil {
		return "", err
	}
	var out strings.Builder
	for i := 0; i < len(s.text); {
		r, n := utf8.DecodeRuneInString(s.text[i:])
		if r != mark {
			out.WriteString(s.text[i : i+n])
			i += n
			continue
		}
		if strings.HasPrefix(s.text[i+n:], string(mark)) {
			out.WriteRune(mark)
			i += 2 * n
			continue
		}
		s.text = s.text[i+n:]
		return out.String(), nil
	}
	return "", fmt.Errorf("the quote is not closed: %q", s.text)
}

func (s *scanner) options(n *topology.Node) error {
	if w := s.word(); w != "WITH" {
		return fmt.Errorf("expected WITH, got %q", w)
	}
	if err := s.eat("("); err != nil {
		return err
	}
	for {
		key := s.word()
		if err := s.eat("="); err != nil {
			return err
		}
		if err := s.option(n, key); err != nil {
			return err
		}
		if s.eat(",") != nil {
			break
		}
	}
	if err := s.eat(")"); err != nil {
		return err
	}
	if s.text != "" {
		return fmt.Errorf("left over: %q", s.text)
	}
	return nil
}

func (s *scanner) option(n *topology.Node, key string) (err error) {
	switch key {
	case "TYPE":
		var word string
		word, err = s.quoted('\'')
		n.Type = map[string]antdb.NodeType{"coordinator": antdb.TypeCoordinator, "datanode": antdb.TypeDatanode}[word]
		if n.Type == "" {
			return fmt.Errorf("unknown type %q", word)
		}
	case "HOST":
		s.text = strings.TrimLeft(s.text, " ")
		n.Host, err = s.quoted('\'')
	case "PORT":
		n.Port, err = strconv.Atoi(s.word())
	case "PRIMARY":
		n.Primary, err = strconv.ParseBool(s.word())
	case "PREFERRED":
		n.Preferred, err = strconv.ParseBool(s.word())
	case "GTM":
		n.GTM, err = strconv.ParseBool(s.word())
	default:
		err = fmt.Errorf("unknown option %q", key)
	}
	return err
}

// drawRows draws a catalog with at most one primary; types follow the names, since a node keeps its type for life.
func drawRows(t *rapid.T, label, self string) []topology.Node {
	names := []string{"gc", "cn1", "cn2", "cn3", "dn1", "dn2", "dn3", `d"n`}
	primary := rapid.SampledFrom(append([]string{""}, names[4:]...)).Draw(t, label+" primary")
	var out []topology.Node
	for _, name := range names {
		if name != self && !rapid.Bool().Draw(t, label+" has "+name) {
			continue
		}
		n := topology.Node{
			Name: name, Type: antdb.TypeCoordinator, GTM: name == "gc",
			Host: rapid.SampledFrom([]string{"here", "there", "o'brien"}).Draw(t, label+" host of "+name),
			Port: rapid.SampledFrom([]int{5432, 15432}).Draw(t, label+" port of "+name),
		}
		if name[0] == 'd' {
			n.Type, n.Primary = antdb.TypeDatanode, name == primary
			n.Preferred = rapid.Bool().Draw(t, label+" preferred "+name)
		}
		out = append(out, n)
	}
	return out
}

func TestDiffAlwaysLeadsToTheWantedCatalogWithOnePrimaryAtMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		self := rapid.SampledFrom([]string{"gc", "cn1", "cn2"}).Draw(t, "self")
		have, want := drawRows(t, "have", self), drawRows(t, "want", self)
		statements, err := topology.Diff(self, have, want)
		if err != nil {
			t.Fatal(err)
		}
		c := newCatalog(self, have)
		for _, s := range statements {
			if err := c.run(s.SQL); err != nil {
				t.Fatalf("%s: %v", s.SQL, err)
			}
		}
		if c.changed {
			t.Fatal("the pooler was not told of the last change")
		}
		if left := topology.Differences(c.list(), want); len(left) > 0 {
			t.Fatalf("after all statements there is left: %v", left)
		}
		again, err := topology.Diff(self, c.list(), want)
		if err != nil || len(again) > 0 {
			t.Fatalf("a second Diff has something to do: %v, %v", again, err)
		}
		if (len(statements) == 0) != (len(topology.Differences(have, want)) == 0) {
			t.Fatalf("Diff and Differences do not agree: %v and %v", statements, topology.Differences(have, want))
		}
	})
}

// reads tells what a server reads from a quoted text.
func reads(t *testing.T, text string, mark rune, original string) {
	s := &scanner{text: text}
	got, err := s.quoted(mark)
	if err != nil || s.text != "" {
		t.Fatalf("%q is read as %q, %q is left over, %v", text, got, s.text, err)
	}
	if got != original {
		t.Fatalf("%q became %q", original, got)
	}
}

func FuzzIdentifier(f *testing.F) {
	for _, seed := range []string{"", "dn1", `a"b`, `""`, `"; DROP NODE gc; --`, "é\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) { reads(t, topology.Identifier(s), '"', s) })
}

func FuzzLiteral(f *testing.F) {
	for _, seed := range []string{"", "10.0.0.1", "o'brien", "''", `\'`, "'); DROP NODE gc; --"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) { reads(t, topology.Literal(s), '\'', s) })
}
