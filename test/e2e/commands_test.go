// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
)

// commands are what stories can say besides what every testscript can. README.md lists them for the reader.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"apply":          command(apply),
		"as":             command(as),
		"back":           command(back),
		"checksums":      command(checksums),
		"client":         command(client),
		"delete-pod":     command(deletePod),
		"disturb":        command(disturb),
		"event":          command(event),
		"events":         command(listEvents),
		"host":           command(host),
		"kill-server":    command(killServer),
		"kubectl":        command(kubectl),
		"operation":      command(operation),
		"operator":       command(operator),
		"refused":        command(refused),
		"same":           command(same),
		"serving":        command(serving),
		"snapshot":       command(snapshot),
		"sql":            command(sql),
		"step":           command(step),
		"unharmed":       command(unharmed),
		"wait-condition": command(waitCondition),
		"wait-ready":     command(waitReady),
		"writer":         command(write),
	}
}

// kubectl ARG…: the story's namespace is the default.
func kubectl(ctx context.Context, c *call) error {
	ctx, cancel := context.WithTimeout(ctx, usual)
	defer cancel()
	return c.program(ctx, nil, nil, "kubectl", c.args...)
}

// apply FILE: kubectl apply, with the engine image under test.
func apply(ctx context.Context, c *call) error {
	if len(c.args) != 1 {
		return usage("apply FILE")
	}
	text, err := os.ReadFile(c.ts.MkAbs(c.args[0]))
	if err != nil {
		return err
	}
	return c.applyText(ctx, string(text))
}

func (c *call) applyText(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return c.program(ctx, strings.NewReader(strings.ReplaceAll(text, sampleImage, c.image)), nil, "kubectl", "apply", "-f", "-")
}

// as VARIABLE: what the last command said on stdout is the variable's value from now on.
func as(_ context.Context, c *call) error {
	if len(c.args) != 1 {
		return usage("as VARIABLE")
	}
	c.ts.Setenv(c.args[0], strings.TrimSpace(c.ts.ReadFile("stdout")))
	return nil
}

// wait-ready CLUSTER [DURATION]: CLUSTER is also what sql means from now on.
func waitReady(ctx context.Context, c *call) error {
	if len(c.args) < 1 || len(c.args) > 2 {
		return usage("wait-ready CLUSTER [DURATION]")
	}
	ctx, cancel, err := c.within(ctx, 1, usual)
	if err != nil {
		return err
	}
	defer cancel()
	begin := time.Now()
	if _, err := c.space.WaitCondition(ctx, c.args[0], cluster.Ready); err != nil {
		return err
	}
	c.ts.Setenv("CLUSTER", c.args[0])
	c.ts.Logf("ready after %s", time.Since(begin).Round(100*time.Millisecond))
	return nil
}

// wait-condition CLUSTER Type=Status[:Reason] [PATTERN [DURATION]]: waits until the cluster has the condition with a
// message that fits, and prints the message.
func waitCondition(ctx context.Context, c *call) error {
	if len(c.args) < 2 || len(c.args) > 4 {
		return usage("wait-condition CLUSTER Type=Status[:Reason] [PATTERN [DURATION]]")
	}
	want, err := cluster.ParseWant(c.args[1])
	if err != nil {
		return usage(err.Error())
	}
	if want.Message, err = c.pattern(2); err != nil {
		return err
	}
	ctx, cancel, err := c.within(ctx, 3, usual)
	if err != nil {
		return err
	}
	defer cancel()
	message, err := c.space.WaitCondition(ctx, c.args[0], want)
	if err == nil {
		_, err = fmt.Fprintln(c.stdout, message)
	}
	return err
}

// pattern reads the n-th argument; without one it fits everything.
func (c *call) pattern(n int) (*regexp.Regexp, error) {
	text := ""
	if len(c.args) > n {
		text = c.args[n]
	}
	fits, err := regexp.Compile(text)
	if err != nil {
		return nil, usage(err.Error())
	}
	return fits, nil
}

// event REASON [PATTERN [DURATION]]: waits for an event whose message fits, and prints the message.
func event(ctx context.Context, c *call) error {
	if len(c.args) < 1 || len(c.args) > 3 {
		return usage("event REASON [PATTERN [DURATION]]")
	}
	fits, err := c.pattern(1)
	if err != nil {
		return err
	}
	ctx, cancel, err := c.within(ctx, 2, time.Minute)
	if err != nil {
		return err
	}
	defer cancel()
	message, err := c.space.WaitMessage(ctx, c.args[0], fits)
	if err == nil {
		_, err = fmt.Fprintln(c.stdout, message)
	}
	return err
}

// events REASON: the messages of all events with that reason, in their order.
func listEvents(ctx context.Context, c *call) error {
	if len(c.args) != 1 {
		return usage("events REASON")
	}
	messages, err := c.space.Messages(ctx, c.args[0])
	for _, m := range messages {
		_, _ = fmt.Fprintln(c.stdout, m)
	}
	return err
}

// snapshot NAME: notes identity and version of every object of the namespace.
func snapshot(ctx context.Context, c *call) error {
	if len(c.args) != 1 {
		return usage("snapshot NAME")
	}
	i, err := c.space.Inventory(ctx)
	c.inventories[c.args[0]] = i
	return err
}

// same NAME: fails if any object was written, made or deleted since the snapshot.
func same(ctx context.Context, c *call) error {
	if len(c.args) != 1 || c.inventories[c.args[0]] == nil {
		return usage(fmt.Sprintf("same NAME; there are snapshots %v", slices.Sorted(maps.Keys(c.inventories))))
	}
	i, err := c.space.Inventory(ctx)
	if err != nil {
		return err
	}
	if changes := i.Since(c.inventories[c.args[0]]); len(changes) > 0 {
		return errors.New(strings.Join(changes, "\n"))
	}
	_, err = fmt.Fprintf(c.stdout, "%d objects, none was written\n", len(i))
	return err
}

// serving start and serving stop: prints in which order nodes stopped and began to serve in between.
func serving(ctx context.Context, c *call) (err error) {
	switch {
	case len(c.args) == 1 && c.args[0] == "start" && c.timeline == nil:
		c.timeline, err = c.space.Watch(ctx)
	case len(c.args) == 1 && c.args[0] == "stop" && c.timeline != nil:
		for _, line := range c.timeline.Stop() {
			_, _ = fmt.Fprintln(c.stdout, line)
		}
		c.timeline = nil
	default:
		return usage("serving start, and later serving stop")
	}
	return err
}
