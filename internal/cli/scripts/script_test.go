// SPDX-License-Identifier: Apache-2.0

package scripts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/cli/scripts"
)

func TestWhatEndsTheTransactionIsFoundAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string // LINE WHAT
	}{
		"nothing":                 {text: ""},
		"statements":              {text: "create table t (id int);\ninsert into t values (1);\n"},
		"commit":                  {text: "select 1;\n\n  COMMIT ;\n", want: []string{"3 COMMIT"}},
		"end":                     {text: "END;", want: []string{"1 END"}},
		"end without semicolon":   {text: "select 1;\ncommit\n", want: []string{"2 COMMIT"}},
		"abort":                   {text: "abort work;", want: []string{"1 ABORT"}},
		"rollback":                {text: "rollback;", want: []string{"1 ROLLBACK"}},
		"rollback work":           {text: "rollback work and chain;", want: []string{"1 ROLLBACK"}},
		"rollback to a savepoint": {text: "savepoint a; rollback to a; rollback transaction to savepoint a; release a;"},
		"prepare transaction":     {text: "prepare transaction 'x';", want: []string{"1 PREPARE TRANSACTION"}},
		"prepare a statement":     {text: "prepare p as select 1; execute p;"},
		"begin is only warned of": {text: "begin; start transaction;"},
		"in a comment":            {text: "-- commit;\n/* commit; /* rollback; */ end; */ select 1;"},
		"after a comment":         {text: "/* x */ -- y\ncommit;", want: []string{"2 COMMIT"}},
		"in quotes":               {text: `select '; commit; ', "; commit;", 'it''s; commit;', E'\'; commit;', e'\\'; commit;`, want: []string{"1 COMMIT"}},
		"no escape in plain text": {text: `select '\'; commit; --'`, want: []string{"1 COMMIT"}},
		"a type before a text":    {text: `select date'2026-01-01\'; commit;`, want: []string{"1 COMMIT"}},
		"in dollar quotes":        {text: "do $$begin commit; end$$;\ndo $a$ begin $$; commit; $$ end $a$; commit;", want: []string{"2 COMMIT"}},
		"parameters are no quote": {text: "select $1; commit; select $1;", want: []string{"1 COMMIT"}},
		"a name with a dollar":    {text: "select a$b$ from t; commit;", want: []string{"1 COMMIT"}},
		"a quote that is open":    {text: "select 1;\nselect 'a;\ncommit;\n", want: []string{"2 the quote"}},
		"other quotes":            {text: "select E'\\'", want: []string{"1 the quote"}},
		"a name that is open":     {text: "select \"a;\ncommit;", want: []string{"1 the quote"}},
		"dollars that are open":   {text: "do $a$ commit; $b$ $$", want: []string{"1 the quote"}},
		"a comment that is open":  {text: "\n/* /* */ commit;", want: []string{"2 the comment"}},
		"in parentheses":          {text: "create rule r as on insert to t do also (select 1; commit; select 2);\ncommit;", want: []string{"2 COMMIT"}},
		"within a case":           {text: "select case when true then 1 end;"},
		"rows of a copy": {
			text: "copy t from stdin;\ncommit;\n'\n\\.\ncommit;\nCOPY public.t (a, b) FROM STDIN WITH (FORMAT csv);\nrollback;\r\n\\.\r\nrollback;",
			want: []string{"5 COMMIT", "9 ROLLBACK"},
		},
		"a copy of a file":        {text: "copy t from '/tmp/stdin';\ncommit;", want: []string{"2 COMMIT"}},
		"rows of psql's copy":     {text: "\\copy t from stdin\ncommit;\n\\.\ncommit;", want: []string{"4 COMMIT"}},
		"another session":         {text: "select 1;\n\\c app\n\\connect - anna\n", want: []string{`2 \c`, `3 \connect`}},
		"files of the pod":        {text: "\\i other.sql\n\\ir a\n\\include b\n\\include_relative c\n", want: []string{`1 \i`, `2 \ir`, `3 \include`, `4 \include_relative`}},
		"commands of psql":        {text: "\\echo 'it\\'s; commit;\n\\set x 'commit;'\n\\d\n\\timing on\nselect 1 \\gset\ncommit;", want: []string{"6 COMMIT"}},
		"a statement sent by \\g": {text: "commit \\g\nselect 1;", want: []string{"1 COMMIT"}},
		"a statement taken back":  {text: "commit \\r\nselect 1;"},
		"two in one message":      {text: "select 1\\; commit;", want: []string{"1 COMMIT"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range scripts.Join(scripts.File{Name: "f", Text: []byte(c.text)}).Findings() {
				got = append(got, strings.TrimPrefix(f.Where, "f:")+" "+f.What)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("found (-want +got):\n%s", d)
			}
		})
	}
}

func TestFilesAreJoinedWithoutRunningIntoEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"whole lines":             {[]string{"a;\n", "b;\n"}, "a;\nb;\n"},
		"no line break":           {[]string{"a;", "b"}, "a;\nb\n;\n"},
		"an open statement":       {[]string{"select 1\n", "select 2;\n"}, "select 1\n;\nselect 2;\n"},
		"only a comment":          {[]string{"-- x", "a;\n"}, "-- x\na;\n"},
		"open rows":               {[]string{"copy t from stdin;\n1\n2", "b;\n"}, "copy t from stdin;\n1\n2\n\\.\nb;\n"},
		"rows that have not come": {[]string{"copy t from stdin;", "b;\n"}, "copy t from stdin;\n\\.\nb;\n"},
		"nothing":                 {[]string{"", "b;\n"}, "b;\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var files []scripts.File
			for _, f := range c.files {
				files = append(files, scripts.File{Name: "f", Text: []byte(f)})
			}
			if d := cmp.Diff(c.want, string(scripts.Join(files...).Text())); d != "" {
				t.Errorf("text (-want +got):\n%s", d)
			}
		})
	}
}

func TestLinesKeepTheirPlaces(t *testing.T) {
	s := scripts.Join(scripts.File{Name: "a.sql", Text: []byte("1;\n2")}, scripts.File{Name: "b.sql", Text: []byte("commit;")})
	for line, want := range map[int]string{1: "a.sql:1", 2: "a.sql:2", 3: "a.sql:2", 4: "b.sql:1", 9: "b.sql:1"} {
		if got := s.Where(line); got != want {
			t.Errorf("line %d is at %s, not at %s", line, got, want)
		}
	}
	if f := s.Findings(); len(f) != 1 || f[0].Where != "b.sql:1" {
		t.Errorf("found %v", f)
	}
}

func FuzzNoTextIsReadForEver(f *testing.F) {
	for _, seed := range []string{"", "'", "$$", "$a$", "/*", "\\", "\\\\", "copy t from stdin;", "copy t from stdin;\n\\.", "(;", "e'", "é;\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := scripts.Join(scripts.File{Name: "f", Text: []byte(text)})
		if !strings.HasPrefix(string(s.Text()), text) {
			t.Errorf("%q became %q", text, s.Text())
		}
	})
}
