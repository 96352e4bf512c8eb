// SPDX-License-Identifier: Apache-2.0

// Package conf reads PostgreSQL's configuration files, checks the settings that only AntDB has, and writes a copy
// that PostgreSQL 15 accepts: the same files and line numbers, AntDB's names as custom settings. It refuses to judge
// PostgreSQL's own settings: the server behind the front does that.
package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const maxDepth = 10

// entry is one line of a configuration file that sets or includes something.
type entry struct {
	line        int
	name, value string
}

// file is one configuration file as read.
type file struct {
	path    string
	lines   []string
	entries []entry
}

// reader collects a configuration file and everything it includes, in the order in which settings take effect.
type reader struct {
	files    []*file
	settings []located
}

// located is a setting and where it stands.
type located struct {
	entry
	file *file
}

func (r *reader) read(path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("could not open configuration file %q: maximum nesting depth exceeded", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("could not open configuration file: %w", err)
	}
	f := &file{path: path, lines: strings.Split(string(text), "\n")}
	r.files = append(r.files, f)
	for i, line := range f.lines {
		name, value, ok := parseLine(line)
		if !ok {
			continue
		}
		e := entry{line: i + 1, name: name, value: value}
		f.entries = append(f.entries, e)
		if err := r.apply(f, e, depth); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) apply(f *file, e entry, depth int) error {
	target := f.target(e)
	switch strings.ToLower(e.name) {
	case "include":
		return r.read(target, depth+1)
	case "include_if_exists":
		err := r.read(target, depth+1)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	case "include_dir":
		names, err := os.ReadDir(target)
		if err != nil {
			return fmt.Errorf("could not open configuration directory: %w", err)
		}
		for _, d := range names {
			if strings.HasSuffix(d.Name(), ".conf") && !strings.HasPrefix(d.Name(), ".") {
				if err := r.read(filepath.Join(target, d.Name()), depth+1); err != nil {
					return err
				}
			}
		}
	default:
		r.settings = append(r.settings, located{e, f})
	}
	return nil
}

// target is the path that an include directive names.
func (f *file) target(e entry) string {
	if filepath.IsAbs(e.value) {
		return e.value
	}
	return filepath.Join(filepath.Dir(f.path), e.value)
}

// isInclude tells whether a name is one of the three directives.
func isInclude(name string) bool {
	return slices.Contains([]string{"include", "include_if_exists", "include_dir"}, strings.ToLower(name))
}

// parseLine reads `name [=] value`. Lines that PostgreSQL would refuse are left for it to refuse.
func parseLine(line string) (name, value string, ok bool) {
	line = strings.TrimSpace(line)
	end := strings.IndexFunc(line, func(r rune) bool {
		return !(r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80)
	})
	if end <= 0 {
		return "", "", false
	}
	name, rest := line[:end], strings.TrimSpace(line[end:])
	rest = strings.TrimSpace(strings.TrimPrefix(rest, "="))
	if !strings.HasPrefix(rest, "'") {
		value, _, _ = strings.Cut(rest, "#")
		value = strings.TrimSpace(value)
		return name, value, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\'' && i+1 < len(rest) && rest[i+1] == '\'', c == '\\' && i+1 < len(rest):
			i++
			b.WriteByte(rest[i])
		case c == '\'':
			return name, b.String(), true
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// Quote writes a value as a configuration file holds it.
func Quote(v string) string {
	return "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(v) + "'"
}
