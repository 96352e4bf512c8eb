// SPDX-License-Identifier: Apache-2.0

// Package engine builds and runs the engine's command lines.
//
// It knows programs, flags and what they print. It decides nothing about data directories or clusters.
package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/process"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// SnapshotReceiver is the title of the process by which a server listens to gc; a title has blanks behind it.
const SnapshotReceiver = "postgres: snapshot receiver process"

// SnapshotSender is the title of the process by which gc speaks to all others.
const SnapshotSender = "postgres: snapshot sender process"

// Engine runs the programs of an installation that is found by PATH.
type Engine struct {
	Children *process.Children
	Role     antdb.Role
	Node     string
}

// command runs a program with messages in English, which this package reads.
//
// PGSSLMODE keeps nodes from trying TLS with each other: the engine passes sockets between its processes and loses
// the encryption on the way.
func (e Engine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "PGSSLMODE=disable", "LC_ALL=C")
	cmd.Dir = "/" // one that exists whatever the image's is
	return cmd
}

// Server is the command line of the server itself.
func (e Engine) Server(data string) *exec.Cmd {
	return e.command(context.Background(), "postgres", e.Role.Flag(), "-D", data)
}

// RestoreServer is the command line of a coordinator, or gc, that changes nothing but itself and that nobody reaches
// from elsewhere.
func (e Engine) RestoreServer(data string) *exec.Cmd {
	return e.command(context.Background(), "postgres", "--restoremode", "-D", data, "-c", "listen_addresses=")
}

// Version is what the engine calls itself, and its PostgreSQL major version.
func (e Engine) Version(ctx context.Context) (text string, major int, err error) {
	out, _, err := e.Children.Run(e.command(ctx, "postgres", "--version"))
	if err != nil {
		return "", 0, err
	}
	text = strings.TrimSpace(out)
	major, err = pgconf.Major(text)
	return text, major, err
}

// InitOptions are the options of initdb that are the same for every node.
func InitOptions() []string {
	return []string{
		"-U", antdb.Superuser, "--no-sync", "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C",
		"--data-checksums",
	}
}

// InitDB makes a data directory. wal is the folder of the write-ahead log; empty for the usual place.
//
// It is not on disk yet when the program has ended. AntDB's initdb would sync it, but freezes the rows of every database
// after that (vacuumfreeze in src/bin/initdb/initdb.c, 5.0): the caller must sync in any case.
func (e Engine) InitDB(ctx context.Context, data, wal, passwordFile string) error {
	args := append([]string{"-D", data, "--nodename", e.Node, "--pwfile", passwordFile}, InitOptions()...)
	if wal != "" {
		args = append(args, "-X", wal)
	}
	_, _, err := e.Children.Run(e.command(ctx, "initdb", args...))
	return err
}

// templateNode is the name that initdb was given for a template.
const templateNode = "template"

// Adopt makes a copied template the node's own: a new write-ahead log, the node's name, the superuser's verifier. It
// writes what initdb would have written, and in the same way (setup_nodeself and vacuumfreeze in
// src/bin/initdb/initdb.c, 5.0): with transaction numbers that do not come from gc, and with no row that keeps one.
// It is not on disk yet when it returns.
func (e Engine) Adopt(ctx context.Context, data, verifier string) error {
	if _, _, err := e.Children.Run(e.command(ctx, "pg_resetwal", "-D", data)); err != nil {
		return err
	}
	cmd := e.command(ctx, "postgres", "--single", "--localxid", "-F", "-O", "-j", "-c", "search_path=pg_catalog",
		"-c", "exit_on_error=true", "-c", "pgxc_node_name="+e.Node, "-D", data, antdb.Superuser)
	// With -j a statement ends with a semicolon and an empty line.
	cmd.Stdin = strings.NewReader(strings.Join([]string{
		"DROP NODE " + topology.Identifier(templateNode),
		"CREATE NODE " + topology.Identifier(e.Node) + " WITH (TYPE = 'coordinator')",
		"ALTER ROLE " + topology.Identifier(antdb.Superuser) + " PASSWORD " + topology.Literal(verifier),
		"VACUUM FREEZE pgxc_node",
		"VACUUM FREEZE pg_authid",
		"",
	}, ";\n\n"))
	_, _, err := e.Children.Run(cmd)
	return err
}

// source is how another node is reached to copy from it: without a password, and never waiting for one that vanished.
func source(host string) string {
	return fmt.Sprintf("host=%s port=%d user=%s connect_timeout=10 keepalives_idle=15 keepalives_interval=5 keepalives_count=3",
		host, antdb.Port, antdb.Superuser)
}

// BaseBackup copies the data directory of another node. It is on disk when the program has ended. slot keeps the log on
// the other node for what follows it afterwards; empty without one.
func (e Engine) BaseBackup(ctx context.Context, from, slot, data, wal string) error {
	args := []string{
		"-d", source(from), "--no-password", "-D", data, "--nodename", e.Node, "--wal-method=stream", "--checkpoint=fast",
	}
	if slot != "" {
		args = append(args, "--slot", slot)
	}
	if wal != "" {
		args = append(args, "--waldir", wal)
	}
	_, _, err := e.Children.Run(e.command(ctx, "pg_basebackup", args...))
	return err
}

// RecoverCopy brings a copied data directory into a consistent state without becoming part of any cluster: a server
// without network and without helpers recovers and ends. adb_check_sync_nextid=off makes it leave out what the log says
// of two-phase transactions, which are the source's to decide.
func (e Engine) RecoverCopy(ctx context.Context, data string) error {
	_, _, err := e.Children.Run(e.command(ctx, "postgres", "--single", e.Role.Flag(), "-D", data,
		"-c", "adb_check_sync_nextid=off", "-c", "pgxc_node_name="+e.Node, "-c", "max_prepared_transactions=1000",
		antdb.Superuser))
	return err
}

// DumpSchema writes the schemas, roles and databases of another node to a file, without rows.
func (e Engine) DumpSchema(ctx context.Context, from, file string) error {
	_, _, err := e.Children.Run(e.command(ctx, "pg_dumpall", "-d", source(from), "--no-password",
		"--schema-only", "--dump-adb_slot", "-f", file))
	return err
}

// LoadingServer is the command line of a server in restore mode that takes local connections only, on a data directory
// without our settings.
func (e Engine) LoadingServer(data, sockets string) *exec.Cmd {
	return e.command(context.Background(), "postgres", "--restoremode", "-D", data, "-c", "listen_addresses=",
		"-c", "unix_socket_directories="+sockets, "-c", "port="+strconv.Itoa(antdb.Port))
}

// Load runs a dump on the local server and returns what was complained of. It goes on after errors.
func (e Engine) Load(ctx context.Context, sockets, file string) (complaints string, err error) {
	_, complaints, err = e.Children.Run(e.command(ctx, "psql", "-h", sockets, "-p", strconv.Itoa(antdb.Port), "-U", antdb.Superuser,
		"-d", antdb.Superuser, "--no-psqlrc", "--quiet", "-o", os.DevNull,
		"-c", "DROP DATABASE IF EXISTS "+antdb.InitialDatabase, "-f", file))
	return complaints, err
}

// Freeze marks every row of every database of the local server as older than all transactions.
func (e Engine) Freeze(ctx context.Context, sockets string) error {
	_, _, err := e.Children.Run(e.command(ctx, "vacuumdb", "-h", sockets, "-p", strconv.Itoa(antdb.Port), "-U", antdb.Superuser,
		"--all", "--freeze", "--quiet"))
	return err
}

var controlLine = regexp.MustCompile(`(?m)^([^:\n]+):\s+(.*)$`)

// Control is what pg_controldata tells of a data directory.
type Control struct {
	SystemIdentifier string
	Timeline         int64
}

// Control reads the control file of a data directory.
func (e Engine) Control(ctx context.Context, data string) (Control, error) {
	out, _, err := e.Children.Run(e.command(ctx, "pg_controldata", "-D", data))
	if err != nil {
		return Control{}, err
	}
	values := map[string]string{}
	for _, m := range controlLine.FindAllStringSubmatch(out, -1) {
		values[m[1]] = strings.TrimSpace(m[2])
	}
	c := Control{SystemIdentifier: values["Database system identifier"]}
	if c.SystemIdentifier == "" {
		return Control{}, errors.New("run pg_controldata: it names no system identifier")
	}
	if c.Timeline, err = strconv.ParseInt(values["Latest checkpoint's TimeLineID"], 10, 64); err != nil {
		return Control{}, fmt.Errorf("run pg_controldata: read timeline: %w", err)
	}
	return c, nil
}

// CheckSettings lets the engine read a candidate configuration without starting a server, and lists what it refuses.
func (e Engine) CheckSettings(ctx context.Context, data, configFile string) ([]pgconf.Problem, error) {
	_, diagnostics, err := e.Children.Run(e.command(ctx, "postgres", e.Role.Flag(), "-D", data,
		"-c", "config_file="+configFile, "-C", "max_connections"))
	if err == nil {
		return nil, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("check settings: %w", ctx.Err())
	}
	if problems := pgconf.Complaints(diagnostics); len(problems) > 0 {
		return problems, nil
	}
	return nil, err
}
