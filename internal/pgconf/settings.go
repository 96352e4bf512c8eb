// SPDX-License-Identifier: Apache-2.0

package pgconf

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// Own is what an instance knows of itself and the user cannot change.
type Own struct {
	Role    antdb.Role
	Node    string
	GTMHost string
	// Sockets is the folder of the unix socket and HBAFile the path of pg_hba.conf.
	Sockets string
	HBAFile string
}

func (o Own) settings() map[string]string {
	return map[string]string{
		"pgxc_node_name":          o.Node,
		"agtm_host":               o.GTMHost,
		"agtm_port":               strconv.Itoa(antdb.Port),
		"listen_addresses":        "*",
		"port":                    strconv.Itoa(antdb.Port),
		"unix_socket_directories": o.Sockets,
		"hba_file":                o.HBAFile,
	}
}

// Settings is the text of the file that postgresql.conf includes: defaults, then what the user set, then what the
// instance must have. The engine takes the last of several equal names, so the instance's own always win.
func Settings(own Own, parameters map[string]string) string {
	defaults := Defaults(own.Role)
	maps.DeleteFunc(defaults, func(name, _ string) bool { _, set := parameters[name]; return set })
	var b strings.Builder
	b.WriteString("# Written by the AntDB instance manager; changes are lost. Set spec.parameters of the AntDBCluster instead.\n")
	section(&b, "Defaults", defaults)
	section(&b, "Parameters", parameters)
	section(&b, "Kept by the instance manager", own.settings())
	return b.String()
}

func section(b *strings.Builder, title string, settings map[string]string) {
	b.WriteString("\n# " + title + "\n")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		b.WriteString(name + " = " + Quote(settings[name]) + "\n")
	}
}

// Include is the line at the end of postgresql.conf that brings in the settings file.
func Include(path string) string { return "include_if_exists = " + Quote(path) + "\n" }

// WithInclude is a postgresql.conf that brings in path and no other file of ours. It serves to make the first
// postgresql.conf and, with another path, one that tries a candidate.
func WithInclude(main, included, path string) string {
	text := strings.ReplaceAll(main, Include(included), "")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + Include(path)
}

var assignment = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_.]*)\s*=?\s*'?`)

// WithoutOwned takes settings that the operator keeps out of a file that ALTER SYSTEM wrote, which the engine reads
// last of all, and names them.
func WithoutOwned(auto string) (text string, removed []string) {
	owned := Owned()
	var kept strings.Builder
	for line := range strings.Lines(auto) {
		if m := assignment.FindStringSubmatch(line); m != nil {
			if _, isOwned := owned[strings.ToLower(m[1])]; isOwned {
				removed = append(removed, strings.ToLower(m[1]))
				continue
			}
		}
		kept.WriteString(line)
	}
	return kept.String(), removed
}
