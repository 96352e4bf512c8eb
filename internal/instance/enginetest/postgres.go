// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/dbadmin/pgfake"
)

func postgres(args []string) int {
	if len(args) == 1 && args[0] == "--version" {
		fmt.Println("postgres (5.0.1 based on PostgreSQL) 11.10")
		return 0
	}
	data := option(args, "-D")
	if option(args, "-C") != "" {
		return checkSettings(strings.TrimPrefix(option(args, "-c"), "config_file="))
	}
	if args[0] == "--single" {
		return recoverAlone(data, args)
	}
	note("start %s", strings.Join(args, " "))
	return serve(data, args)
}

var setting = regexp.MustCompile(`(?m)^([a-z_]+) = '(.*)'$`)

// settings reads a configuration file with what it includes.
func settings(file string) map[string]string {
	all := map[string]string{}
	text, err := os.ReadFile(file)
	if err != nil {
		return all
	}
	for _, m := range setting.FindAllStringSubmatch(string(text), -1) {
		if m[1] == "include_if_exists" {
			for name, value := range settings(m[2]) {
				all[name] = value
			}
			continue
		}
		all[m[1]] = m[2]
	}
	return all
}

// checkSettings refuses the value "silly".
func checkSettings(file string) int {
	code := 0
	for name, value := range settings(file) {
		if value == "silly" {
			fmt.Fprintf(os.Stderr, "LOG:  invalid value for parameter %q: %q\n", name, value)
			code = 1
		}
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "FATAL:  configuration file %q contains errors\n", file)
	}
	return code
}

// server is one life of a fake server.
type server struct {
	data  string
	conf  map[string]string
	store *store
}

func serve(data string, args []string) int {
	if err := os.Chdir(data); err != nil {
		return fatal(err.Error())
	}
	conf := settings(filepath.Join(data, "postgresql.conf"))
	for i, a := range args {
		if name, value, ok := strings.Cut(a, "="); ok && i > 0 && args[i-1] == "-c" {
			conf[name] = value
		}
	}
	if holder := firstLine("postmaster.pid"); holder != "" {
		if pid, err := strconv.Atoi(holder); err == nil && syscall.Kill(pid, 0) == nil {
			return fatal(fmt.Sprintf("lock file \"postmaster.pid\" already exists (%d)", pid))
		}
	}
	if isOn(FailStart) || conf["shared_preload_libraries"] == "nosuch" {
		return fatal(`could not access file "nosuch": No such file or directory`)
	}
	whileOn(HangStart)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	s := &server{data: data, conf: conf, store: &store{path: filepath.Join(data, "catalog.json"), conf: conf, loaded: time.Now()}}
	s.status("starting")
	socket := filepath.Join(conf["unix_socket_directories"], ".s.PGSQL."+conf["port"])
	_ = os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		return fatal(err.Error())
	}
	go pgfake.Serve(l, s.store.answer)
	s.status("ready   ")
	fmt.Fprintln(os.Stderr, "[1] LOG:  database system is ready to accept connections")
	code := s.run(signals)
	_ = os.Remove("postmaster.pid")
	return code
}

func (s *server) run(signals <-chan os.Signal) int {
	for received := range signals {
		note("signal %s", received)
		switch received {
		case syscall.SIGHUP:
			s.store.reload(settings(filepath.Join(s.data, "postgresql.conf")))
		case syscall.SIGINT:
			s.status("stopping")
			if !isOn(HangFast) {
				return 0
			}
		case syscall.SIGQUIT:
			return 0
		}
	}
	return 0
}

// status writes postmaster.pid as a server does: in place, line by line.
func (s *server) status(word string) {
	text := fmt.Sprintf("%d\n%s\n%d\n%s\n%s\n*\n  1234567    1\n%s\n",
		os.Getpid(), s.data, time.Now().UnixNano(), s.conf["port"], s.conf["unix_socket_directories"], word)
	_ = os.WriteFile("postmaster.pid", []byte(text), 0o600)
}

func firstLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func fatal(message string) int {
	fmt.Fprintln(os.Stderr, "[1] FATAL:  "+message)
	return 1
}
