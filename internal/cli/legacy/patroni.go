// SPDX-License-Identifier: Apache-2.0

package legacy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// patroni takes over a Patroni configuration.
func (i *imported) patroni(text string) error {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return fmt.Errorf("postgres-ha.yaml: %w", err)
	}
	if len(doc.Content) == 0 {
		i.note("postgres-ha.yaml is empty")
		return nil
	}
	if aliased(&doc) {
		return errors.New("postgres-ha.yaml: references (*name) are not read: write the values where they belong")
	}
	p := &patroni{imported: i, parameters: map[string]string{}, seen: map[string]string{}}
	p.walk("", doc.Content[0])
	if len(p.parameters) > 0 {
		i.cluster.Spec.Parameters = v1alpha1.Parameters(p.parameters)
	}
	i.cluster.Spec.HBA = p.hba
	switch {
	case len(p.hba) > 0:
		i.note("spec.hba holds %d of the pg_hba lines: only they let clients in now", len(p.hba))
	case p.lines > 0:
		i.note("no pg_hba line is left, so spec.hba has its default: everybody with a password (host all all all scram-sha-256)")
	}
	return nil
}

// aliased tells of a tree that refers to itself, which has no end.
func aliased(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || slices.ContainsFunc(n.Content, aliased)
}

type patroni struct {
	*imported

	parameters map[string]string
	seen       map[string]string // values that parameters had before
	hba        []string
	lines      int
}

// Where Patroni keeps settings. Those under postgresql are of the node itself and win over those of the cluster.
const (
	dynamic      = "bootstrap.dcs.postgresql.parameters"
	local        = "postgresql.parameters"
	localHBA     = "postgresql.pg_hba"
	dynamicHBA   = "bootstrap.dcs.postgresql.pg_hba"
	bootstrapHBA = "bootstrap.pg_hba"
)

// walk goes through the tree: what has a place is taken over, all else is noted.
func (p *patroni) walk(path string, n *yaml.Node) {
	switch {
	case (path == dynamic || path == local) && n.Kind == yaml.MappingNode:
		p.settings(n)
	case (path == localHBA || path == dynamicHBA || path == bootstrapHBA) && n.Kind == yaml.SequenceNode:
		for _, line := range n.Content {
			p.line(path, line)
		}
	case n.Kind == yaml.MappingNode:
		for at := 0; at+1 < len(n.Content); at += 2 {
			p.walk(strings.TrimPrefix(path+"."+n.Content[at].Value, "."), n.Content[at+1])
		}
	default:
		p.nowhere(path, n)
	}
}

// reasons for which settings of Patroni have no place, by the beginning of their path.
var reasons = map[string]string{
	"bootstrap.dcs.ttl":           "there is no Patroni",
	"bootstrap.dcs.loop_wait":     "there is no Patroni",
	"bootstrap.dcs.retry_timeout": "there is no Patroni",
	"bootstrap.dcs.synchronous":   "there are no standbys yet",
	"bootstrap.initdb":            "the operator runs initdb itself",
	"bootstrap.users":             "users are made by SQL: spec.bootstrap.postInitSQL",
	"bootstrap.post_":             "SQL for a new cluster stands in spec.bootstrap.postInitSQL",
	"postgresql.authentication":   "passwords stand in Secrets that the operator makes, or that spec.superuserSecret and spec.bootstrap.secret name",
	"postgresql.create_replica":   "there are no standbys yet",
	"postgresql.recovery":         "there is no restore yet",
	"postgresql.pgbackrest":       "there is no backup yet",
}

// nowhere notes a setting that has no place.
func (p *patroni) nowhere(path string, n *yaml.Node) {
	why := "it has no place here"
	for _, beginning := range slices.Sorted(maps.Keys(reasons)) {
		if strings.HasPrefix(path, beginning) {
			why = reasons[beginning]
		}
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		text = []byte(n.Value)
	}
	value := strings.Join(strings.Fields(string(text)), " ")
	if secretive(path) {
		value = "(not shown)"
	}
	p.note("%s = %s is left out: %s", path, value, why)
}

// secretive tells whether a value may be a password.
func secretive(path string) bool {
	return strings.Contains(path, "password") || strings.HasPrefix(path, "postgresql.authentication")
}

// logged are settings with which the server would write its messages where nobody reads them.
var logged = []string{
	"log_destination", "logging_collector", "log_directory", "log_filename", "log_file_mode", "log_truncate_on_rotation", "log_rotation_age", "log_rotation_size",
}

// archived are settings of the archive, which is of no use before there is a backup.
var archived = []string{"archive_mode", "archive_command", "archive_timeout", "restore_command"}

// settings takes over parameters.
func (p *patroni) settings(n *yaml.Node) {
	owned := pgconf.Owned()
	for at := 0; at+1 < len(n.Content); at += 2 {
		name, value := strings.ToLower(n.Content[at].Value), n.Content[at+1]
		if old, twice := p.seen[name]; twice && old != value.Value {
			p.note("%s is set twice: %s counts, not %s", name, value.Value, old)
		}
		p.seen[name] = value.Value
		switch why, own := owned[name]; {
		case value.Kind != yaml.ScalarNode:
			p.nowhere("parameters."+name, value)
		case own:
			p.note("%s = %s is left out: the operator keeps it, since %s", name, value.Value, why)
		case slices.Contains(logged, name):
			p.note("%s = %s is left out: servers write their messages to standard error, and kubectl antdb logs shows them", name, value.Value)
		case slices.Contains(archived, name):
			p.note("%s = %s is left out: there is no backup yet", name, value.Value)
		case len(pgconf.CheckParameters(map[string]string{name: value.Value})) > 0:
			p.note("%s = %s is left out: it is no name of a setting", name, value.Value)
		case value.Tag == "!!null":
			p.note("%s is left out: it has no value", name)
		default:
			p.parameters[name] = value.Value
		}
	}
}

// line takes over a line of pg_hba.conf that asks for a password.
func (p *patroni) line(path string, n *yaml.Node) {
	p.lines++
	line := strings.TrimSpace(n.Value)
	fields := strings.Fields(line)
	leave := func(why string) { p.note("pg_hba line %q is left out: %s", line, why) }
	switch {
	case n.Kind != yaml.ScalarNode:
		p.nowhere(path, n)
	case len(fields) == 0 || strings.HasPrefix(line, "#"):
		p.note("pg_hba comment %q is left out", line)
	case fields[0] == "local":
		leave("nobody comes by the socket but people who may exec into the pod, and they need no line: kubectl antdb psql")
	case slices.Contains(fields, "trust"):
		leave("trust lets in everybody without password; the nodes of the cluster trust each other without a line")
	case len(fields) > 1 && fields[1] == "replication":
		leave("there are no standbys yet")
	default:
		if wrong := pgconf.CheckHBA([]string{line}); len(wrong) > 0 {
			leave(strings.TrimPrefix(wrong[0].Message, fmt.Sprintf("hba line %q: ", line)))
			return
		}
		p.hba = append(p.hba, line)
	}
}
