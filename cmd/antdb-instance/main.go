// SPDX-License-Identifier: Apache-2.0

// Command antdb-instance is the first process in the container of every AntDB server: it makes, configures, starts,
// watches and stops the server, and answers to the operator.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance"
	"github.com/antdb-operator/antdb-operator/internal/instance/kube"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/instance/probe"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/scram"
)

const usage = `usage:
  antdb-instance run          manage the server of this pod
  antdb-instance copy DEST    copy this program to the file or into the folder DEST
  antdb-instance tables       print as JSON what this pod's server holds of each table
  antdb-instance probe [-without-sql] [-sizes] [HOST:PORT…]
                              print as JSON how this pod's server is, and whether it reaches datanodes and addresses
  antdb-instance settings     print as JSON the settings that this pod's server runs with
  antdb-instance activity     print as JSON what this pod's server does
  antdb-instance roles        print as JSON the roles of this pod's server
  antdb-instance password ROLE
                              print as JSON whether standard input is the password of a role
`

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "antdb-instance:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	switch {
	case len(args) > 0 && args[0] == instanceapi.CommandProbe:
		return look(os.Stdout, pod.DefaultPaths(), os.Getenv, args[1:])
	case len(args) == 2 && args[0] == instanceapi.CommandCopy:
		return copySelf(args[1])
	case len(args) == 2 && args[0] == instanceapi.CommandPassword:
		return password(os.Stdout, os.Stdin, server(pod.DefaultPaths()), args[1])
	case len(args) == 1:
		return word(args[0])
	}
	return unknown()
}

// word carries out a command that is one word.
func word(command string) error {
	out, server := os.Stdout, server(pod.DefaultPaths())
	switch command {
	case instanceapi.CommandRun:
		return run()
	case instanceapi.CommandTables:
		return tables(out, server)
	case instanceapi.CommandSettings:
		return tell(out, server, (*dbadmin.Session).Settings)
	case instanceapi.CommandActivity:
		return tell(out, server, (*dbadmin.Session).Activity)
	case instanceapi.CommandRoles:
		return tell(out, server, instance.Roles)
	}
	return unknown()
}

func unknown() error {
	fmt.Fprint(os.Stderr, usage)
	return errors.New("unknown command")
}

func run() error {
	launch, err := pod.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	conf, err := rest.InClusterConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	pods, err := kube.NewPods(conf, launch.Namespace)
	if err != nil {
		return err
	}
	own, err := ownAddresses()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	klog.SetSlogLogger(log.With("logger", "kubernetes")) // the client library knows no other way
	return instance.New(instance.Options{
		Launch:    launch,
		Paths:     pod.DefaultPaths(),
		Memory:    pod.Memory(os.DirFS("/")),
		Pods:      pods,
		Own:       own,
		API:       ":" + strconv.Itoa(naming.PortInstance),
		Metrics:   ":" + strconv.Itoa(naming.PortMetrics),
		Port:      naming.PortSQL,
		Log:       log.With("logger", "manager"),
		ServerLog: log.With("logger", "postgres"),
		Timing:    instance.DefaultTiming(),
	}).Run(ctx)
}

// server is the one of this pod.
func server(paths pod.Paths) dbadmin.Server {
	return dbadmin.Server{Sockets: paths.Sockets, Port: naming.PortSQL}
}

// tellLimit is how long a server may take to answer a short question.
const tellLimit = 10 * time.Second

// tell prints what a server answers.
func tell[T any](out io.Writer, server dbadmin.Server, question func(*dbadmin.Session, context.Context) (T, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), tellLimit)
	defer cancel()
	db, err := server.Open(ctx, dbadmin.Maintenance, tellLimit)
	if err != nil {
		return err
	}
	defer db.Close()
	answer, err := question(db, ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(answer)
}

// password tells whether a role's password is the one that comes in.
func password(out io.Writer, in io.Reader, server dbadmin.Server, role string) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read password: %w", err)
	}
	return tell(out, server, func(db *dbadmin.Session, ctx context.Context) (instanceapi.PasswordMatch, error) {
		stored, _, err := db.StoredPassword(ctx, role)
		return instanceapi.PasswordMatch{Matches: scram.Matches(stored, role, scram.FirstLine(text))}, err
	})
}

// probeLimit is how long a probe may take in all.
const probeLimit = 30 * time.Second

// look prints how the server of this pod is.
func look(out io.Writer, paths pod.Paths, getenv func(string) string, args []string) error {
	launch, err := pod.FromEnv(getenv)
	if err != nil {
		return err
	}
	q := probe.Question{Server: server(paths), Paths: paths, Node: launch.Node, Role: launch.Role, WALVolume: launch.WALVolume}
	flags := flag.NewFlagSet(instanceapi.CommandProbe, flag.ContinueOnError)
	flags.BoolVar(&q.WithoutSQL, instanceapi.ProbeWithoutSQL[1:], false, "open no session")
	flags.BoolVar(&q.Sizes, instanceapi.ProbeSizes[1:], false, "measure databases")
	if err := flags.Parse(args); err != nil {
		return err
	}
	q.Addresses = flags.Args()
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	return json.NewEncoder(out).Encode(probe.Look(ctx, q))
}

// tablesLimit is how long a server may take to tell what it holds.
const tablesLimit = 2 * time.Minute

// tables prints what a server holds.
func tables(out io.Writer, server dbadmin.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), tablesLimit)
	defer cancel()
	held, err := instance.Held(ctx, server)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(held)
}

// ownAddresses are the pod's own: a node may reach itself by its Service.
func ownAddresses() ([]netip.Addr, error) {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list own addresses: %w", err)
	}
	var own []netip.Addr
	for _, i := range interfaces {
		prefix, err := netip.ParsePrefix(i.String())
		if err == nil && prefix.Addr().IsGlobalUnicast() {
			own = append(own, prefix.Addr().Unmap())
		}
	}
	return own, nil
}

// copySelf puts this program where the database container finds it. The init container that calls it may be run again.
func copySelf(destination string) (err error) {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	if info, err := os.Stat(destination); err == nil && info.IsDir() {
		destination = filepath.Join(destination, filepath.Base(self))
	}
	source, err := os.Open(self)
	if err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	temporary, err := os.CreateTemp(filepath.Dir(destination), ".copy-*")
	if err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	_, err = io.Copy(temporary, source)
	err = errors.Join(err, temporary.Chmod(0o755), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), destination)
	}
	if err != nil {
		return fmt.Errorf("copy program to %s: %w", destination, errors.Join(err, os.Remove(temporary.Name())))
	}
	return nil
}
