// SPDX-License-Identifier: Apache-2.0

// Command reference writes a page for each command of kubectl antdb into a folder, from the commands themselves.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/antdb-operator/antdb-operator/internal/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: reference FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// write replaces the pages of a folder.
func write(folder string) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root := cli.NewCommand(&cli.Env{Out: io.Discard, Err: io.Discard, Now: time.Now})
	root.InitDefaultCompletionCmd()
	return pages(root, folder)
}

func pages(cmd *cobra.Command, folder string) error {
	if err := os.WriteFile(filepath.Join(folder, file(cmd)), page(cmd), 0o644); err != nil {
		return err
	}
	for _, c := range visible(cmd) {
		if err := pages(c, folder); err != nil {
			return err
		}
	}
	return nil
}

// file is the name of a command's page.
func file(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return "README.md"
	}
	return strings.Join(strings.Fields(cmd.CommandPath())[2:], "-") + ".md"
}

// visible are the commands below one that have a page.
func visible(cmd *cobra.Command) []*cobra.Command {
	if cmd.Name() == "completion" { // one page is enough for all shells
		return nil
	}
	var out []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			out = append(out, c)
		}
	}
	return out
}

func page(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!-- written by make gen; do not edit -->\n# %s\n\n", cmd.CommandPath())
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	b.WriteString(strings.TrimSpace(about) + "\n")
	if cmd.HasParent() && cmd.Runnable() {
		fmt.Fprintf(&b, "\n```\n%s\n```\n", cmd.UseLine())
	}
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, "\nAlso: `%s`.\n", strings.Join(cmd.Aliases, "`, `"))
	}
	if cmd.Example != "" {
		b.WriteString("\n## Examples\n\n```sh\n")
		for line := range strings.Lines(cmd.Example) {
			b.WriteString(strings.TrimPrefix(line, "  "))
		}
		b.WriteString("\n```\n")
	}
	if below := visible(cmd); len(below) > 0 {
		b.WriteString("\n## Commands\n\n| command | does |\n|---|---|\n")
		for _, c := range below {
			fmt.Fprintf(&b, "| [%s](%s) | %s |\n", c.Name(), file(c), c.Short)
		}
	}
	flags(&b, "Flags", cmd.NonInheritedFlags())
	if cmd.HasParent() {
		b.WriteString("\nBesides these, the flags of [every command](README.md#flags).\n")
	}
	return b.Bytes()
}

func flags(b *bytes.Buffer, title string, all *pflag.FlagSet) {
	var rows []string
	all.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		switch value := f.DefValue; value {
		case "", "false", "0", "0s", "[]":
		default:
			usage += " (default " + value + ")"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s |\n", strings.TrimSpace(name+" "+kind), strings.ReplaceAll(usage, "|", "\\|")))
	})
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n## %s\n\n| flag | means |\n|---|---|\n%s", title, strings.Join(rows, ""))
	}
}
