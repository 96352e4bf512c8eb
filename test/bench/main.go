// SPDX-License-Identifier: Apache-2.0

// Command bench measures what the operator costs: how long a cluster takes to be Ready against six servers made by hand
// on the same machine, bare and as pods, what a writer sees when pods are deleted, what a settled cluster costs, what
// the operator itself takes with many clusters, and how fast rows move to new datanodes. It writes docs/benchmarks.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/antdb-operator/antdb-operator/test/bench/floor"
)

// options are the flags.
type options struct {
	kubeconfig, image, engine, deploy, out string
	namespace, deployment                  string
	home, user, scratch                    string
	operator, assets                       string
	parts, clusters, rows                  string
	runs                                   int
	rest                                   time.Duration
}

func main() {
	o := options{}
	f := flag.NewFlagSet("bench", flag.ExitOnError)
	f.StringVar(&o.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "the Kubernetes to measure on, with the operator running")
	f.StringVar(&o.image, "image", "localhost/antdb:dev", "the engine image")
	f.StringVar(&o.engine, "engine", "stand-in", "what the engine is called in the report")
	f.StringVar(&o.deploy, "deploy", "deploy", "the project's deploy folder")
	f.StringVar(&o.out, "out", "docs/benchmarks.md", "the report; parts that are not measured stay")
	f.StringVar(&o.namespace, "namespace", "antdb-system", "where the operator runs")
	f.StringVar(&o.deployment, "deployment", "antdb-operator", "the operator's Deployment")
	f.StringVar(&o.home, "engine-home", "", "the same engine installed on this machine (a folder with bin), for the floor; without it there is none")
	f.StringVar(&o.user, "user", "postgres", "the user who runs the servers of the floor")
	f.StringVar(&o.scratch, "scratch", os.TempDir(), "where the servers of the floor keep their data")
	f.StringVar(&o.operator, "operator", "bin/antdb-operator", "the operator's program, for many clusters")
	f.StringVar(&o.assets, "assets", os.Getenv("KUBEBUILDER_ASSETS"), "folder with etcd and kube-apiserver, for many clusters")
	f.StringVar(&o.parts, "parts", "ready,outage,settled,scale,move", "what to measure")
	f.StringVar(&o.clusters, "clusters", "1,10,100", "how many clusters the operator is given")
	f.StringVar(&o.rows, "rows", "100000,1000000", "how many rows the tables have that are moved")
	f.IntVar(&o.runs, "runs", 5, "how often each time is measured")
	f.DurationVar(&o.rest, "rest", time.Minute, "how long the operator is watched at rest")
	_ = f.Parse(os.Args[1:]) // it exits on errors
	ctrl.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	begin := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("%7.1fs  %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
	wanted := strings.Split(o.parts, ",")
	report, err := os.ReadFile(o.out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read report: %w", err)
	}
	text := string(report)
	if text == "" {
		text = header
	}
	for _, part := range []struct {
		name    string
		measure func(context.Context, options, func(string, ...any)) (string, error)
	}{{"ready", measureReady}, {"outage", measureOutages}, {"settled", measureSettled}, {"scale", measureScale}, {"move", measureMove}} {
		if !slices.Contains(wanted, part.name) {
			continue
		}
		section, err := part.measure(ctx, o, say)
		if err != nil {
			return fmt.Errorf("measure %s: %w", part.name, err)
		}
		mark := part.name
		if part.name == "ready" || part.name == "outage" || part.name == "move" {
			mark += " " + o.engine
		}
		text = put(text, mark, section)
		if err := os.WriteFile(o.out, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	say("%s is written", o.out)
	return nil
}

// measureReady takes floor, pods by hand and the operator in turns, so that all see the same machine.
func measureReady(ctx context.Context, o options, say func(string, ...any)) (string, error) {
	var bare []floor.Phases
	var pods, ready []time.Duration
	for i := range o.runs {
		if o.home != "" {
			p, err := floor.Floor{Home: o.home, Scratch: o.scratch, User: o.user}.Run(ctx)
			if err != nil {
				return "", err
			}
			bare = append(bare, p)
			say("run %d: six servers by hand %s", i+1, round(p.Total()))
		}
		took, err := podsByHand(ctx, o)
		if err != nil {
			return "", err
		}
		pods = append(pods, took)
		say("run %d: six pods by hand %s", i+1, round(took))
		if took, err = timeToReady(ctx, o); err != nil {
			return "", err
		}
		ready = append(ready, took)
		say("run %d: cluster Ready after %s", i+1, round(took))
	}
	return readySection(o, bare, pods, ready), nil
}

func measureOutages(ctx context.Context, o options, say func(string, ...any)) (section string, err error) {
	n, remove, err := space(ctx, o)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if err := n.Create(ctx, manifest(name, o.image, true)); err != nil {
		return "", err
	}
	wait, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := n.WaitReady(wait, 1); err != nil {
		return "", err
	}
	all, err := outages(ctx, n, o, say)
	if err != nil {
		return "", err
	}
	return outageSection(o, all), nil
}

func measureSettled(ctx context.Context, o options, say func(string, ...any)) (section string, err error) {
	n, remove, err := space(ctx, o)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, remove()) }()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := n.Create(ctx, manifest(name, o.image, false)); err != nil {
		return "", err
	}
	if err := n.WaitReady(ctx, 1); err != nil {
		return "", err
	}
	reconciles, writes, err := settled(ctx, n, o)
	if err != nil {
		return "", err
	}
	say("%v reconciles over a settled cluster, %v writes", reconciles, writes)
	return settledSection(reconciles, writes), nil
}

func measureScale(ctx context.Context, o options, say func(string, ...any)) (string, error) {
	var all []load
	for _, number := range strings.Split(o.clusters, ",") {
		clusters, err := strconv.Atoi(number)
		if err != nil {
			return "", fmt.Errorf("flag --clusters: %w", err)
		}
		l, err := scale(ctx, o, clusters, say)
		if err != nil {
			return "", err
		}
		all = append(all, l)
	}
	return scaleSection(all), nil
}
