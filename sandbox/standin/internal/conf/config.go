// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Names of what Mirror writes; the views of ViewsSQL know them.
const (
	mirrorDir   = "antdb-standin-conf"
	defaultFile = "antdb-standin-defaults.conf"
)

// Config is what the files and the command line say at one moment.
type Config struct {
	dataDir   string
	reader    reader
	auto      reader
	overrides map[string]string // from the command line, lower-case names
	antdb     map[string]string // AntDB's settings as in force
	errors    []fileError
}

// fileError is an AntDB setting that was refused, as pg_file_settings shows it.
type fileError struct {
	Name  string `json:"name"`
	File  string `json:"file"`
	Line  int    `json:"line"`
	Value string `json:"value"`
	Error string `json:"error"`
}

// Load reads the configuration of a data directory. With a previous configuration it is a reload: a refused or
// unchangeable value keeps what was in force, and Problems tells. Without one it is a start: the first problem is fatal.
func Load(dataDir string, overrides map[string]string, previous *Config) (*Config, error) {
	c := &Config{dataDir: dataDir, overrides: overrides, antdb: map[string]string{}}
	main := filepath.Join(dataDir, "postgresql.conf")
	if f := overrides["config_file"]; f != "" {
		main = f
	}
	if err := c.reader.read(main, 1); err != nil {
		return nil, err
	}
	if err := c.auto.read(filepath.Join(dataDir, "postgresql.auto.conf"), 1); err != nil && !os.IsNotExist(unwrapAll(err)) {
		return nil, err
	}
	for _, p := range params {
		c.antdb[p.Name] = p.Default
		if previous != nil && p.Context == "postmaster" {
			c.antdb[p.Name] = previous.antdb[p.Name]
		}
	}
	last := map[string]int{} // of a setting that is there more than once the last one counts, and the others are not looked at
	for i, s := range c.reader.settings {
		last[strings.ToLower(s.name)] = i
	}
	for i, s := range c.reader.settings {
		if i != last[strings.ToLower(s.name)] {
			continue
		}
		if err := c.take(s, previous); err != nil {
			return nil, err
		}
	}
	return c, c.takeOverrides()
}

// take puts one AntDB setting of a file in force, or records why not.
func (c *Config) take(s located, previous *Config) error {
	p, ok := Lookup(s.name)
	if !ok {
		return nil
	}
	v, err := p.Check(s.value)
	if err == nil && p.Context == "internal" {
		err = fmt.Errorf("parameter %q cannot be changed", p.Name)
	}
	if err == nil && previous != nil && p.Context == "postmaster" && v != previous.antdb[p.Name] {
		err = fmt.Errorf("parameter %q cannot be changed without restarting the server", p.Name)
	}
	if err == nil {
		c.antdb[p.Name] = v
		return nil
	}
	if previous == nil {
		return fmt.Errorf("%w in file %q line %d", err, s.file.path, s.line)
	}
	c.antdb[p.Name] = previous.antdb[p.Name]
	c.errors = append(c.errors, fileError{p.Name, s.file.path, s.line, s.value, err.Error()})
	return nil
}

func (c *Config) takeOverrides() error {
	for name, value := range c.overrides {
		p, ok := Lookup(name)
		if !ok {
			continue
		}
		v, err := p.Check(value)
		if err != nil {
			return err
		}
		c.antdb[p.Name] = v
	}
	return nil
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = u.Unwrap()
	}
}

// Get is the value of a setting: AntDB's as in force; PostgreSQL's as the command line, postgresql.auto.conf or the
// files say, or else the fallback.
func (c *Config) Get(name, fallback string) string {
	if v, ok := c.antdb[name]; ok {
		return v
	}
	if v, ok := c.overrides[name]; ok {
		return v
	}
	for _, r := range []reader{c.auto, c.reader} {
		for i := len(r.settings) - 1; i >= 0; i-- {
			if strings.EqualFold(r.settings[i].name, name) {
				return r.settings[i].value
			}
		}
	}
	return fallback
}

// Int is Get for a number.
func (c *Config) Int(name string, fallback int) int {
	n, err := strconv.Atoi(c.Get(name, ""))
	if err != nil {
		return fallback
	}
	return n
}

// Millis is Get for an AntDB setting in milliseconds.
func (c *Config) Millis(name string) time.Duration {
	return time.Duration(c.Int(name, 0)) * time.Millisecond
}

// Bool is Get for a switch.
func (c *Config) Bool(name string) bool {
	v, _ := Param{Name: name, Type: "bool"}.Check(c.Get(name, "off"))
	return v == "on"
}

// Path is Get for a file that is relative to the data directory.
func (c *Config) Path(name, fallback string) string {
	p := c.Get(name, fallback)
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dataDir, p)
}

// Problems are the AntDB settings that a reload refused.
func (c *Config) Problems() []string {
	var out []string
	for _, e := range c.errors {
		out = append(out, fmt.Sprintf("%s in file %q line %d", e.Error, e.File, e.Line))
	}
	return out
}

// ChildArgs are the command line options that hand AntDB's overrides and the mirrored settings to the child.
func (c *Config) ChildArgs() []string {
	var args []string
	for name := range c.overrides {
		if p, ok := Lookup(name); ok {
			args = append(args, "-c", Prefix+p.Name+"="+c.antdb[p.Name])
		}
	}
	shown := map[string]string{
		"listen_addresses": c.Get("listen_addresses", "localhost"), "ssl": c.Get("ssl", "off"),
		"unix_socket_directories": c.Get("unix_socket_directories", "/var/run/postgresql"),
		"config_file":             c.reader.files[0].path, "hba_file": c.Path("hba_file", "pg_hba.conf"),
	}
	for _, name := range mirrored {
		args = append(args, "-c", Prefix+name+"="+shown[name])
	}
	return args
}

// Mirror writes the child's copy under dir and returns the path of its main file; the rules are pg_hba.conf as
// pg_hba_file_rules shall show it. The child's processes may be reading the copy: files are replaced one by one, and
// only those that differ.
func (c *Config) Mirror(dir, rules string) (string, error) {
	root, defaults := filepath.Join(dir, mirrorDir), filepath.Join(dir, defaultFile)
	current := map[string]bool{}
	if err := replace(defaults, c.defaults(rules)); err != nil {
		return "", err
	}
	for i, f := range c.reader.files {
		for _, e := range f.entries { // a directory without files must exist in the copy too
			if strings.EqualFold(e.name, "include_dir") {
				if err := os.MkdirAll(filepath.Join(root, f.target(e)), 0o700); err != nil {
					return "", fmt.Errorf("copy configuration: %w", err)
				}
			}
		}
		text := c.rewrite(f, root)
		if i == 0 {
			text += "\ninclude " + Quote(defaults) + "\n"
		}
		path := filepath.Join(root, f.path)
		current[path] = true
		if err := replace(path, text); err != nil {
			return "", err
		}
	}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || current[path] {
			return err
		}
		return os.Remove(path)
	})
	if err != nil {
		return "", fmt.Errorf("copy configuration: %w", err)
	}
	return filepath.Join(root, c.reader.files[0].path), nil
}

// replace gives a file a new content in one step.
func replace(path, text string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("copy configuration: %w", err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return fmt.Errorf("copy configuration: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("copy configuration: %w", err)
	}
	return nil
}

// defaults is read after everything else: it holds AntDB's settings that no file sets, and what was refused.
func (c *Config) defaults(rules string) string {
	set := map[string]bool{}
	for _, s := range c.reader.settings {
		set[strings.ToLower(s.name)] = true
	}
	var b strings.Builder
	for _, p := range params {
		if !set[p.Name] {
			fmt.Fprintf(&b, "%s%s = %s\n", Prefix, p.Name, Quote(c.antdb[p.Name]))
		}
	}
	for name, value := range map[string]string{"enable_partitionwise_aggregate": "on", "enable_partitionwise_join": "on"} {
		if !set[name] {
			fmt.Fprintf(&b, "%s = %s\n", name, value)
		}
	}
	refused, err := json.Marshal(c.errors)
	if err != nil || c.errors == nil {
		refused = []byte("[]")
	}
	fmt.Fprintf(&b, "%sfile_errors = %s\n%shba_rules = %s\n", Prefix, Quote(string(refused)), Prefix, Quote(rules))
	return b.String()
}

// rewrite is one file with the same lines, AntDB's names prefixed and includes led to the copies.
func (c *Config) rewrite(f *file, root string) string {
	lines := append([]string{}, f.lines...)
	for _, e := range f.entries {
		if isInclude(e.name) {
			lines[e.line-1] = e.name + " " + Quote(filepath.Join(root, f.target(e)))
		} else if p, ok := Lookup(e.name); ok {
			lines[e.line-1] = Prefix + p.Name + " = " + Quote(c.antdb[p.Name])
		}
	}
	return strings.Join(lines, "\n")
}
