// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The operator's home.
const (
	operatorNamespace = "antdb-system"
	operatorName      = "antdb-operator"
)

// delete-pod POD…: deletes pods gracefully and does not wait.
func deletePod(ctx context.Context, c *call) error {
	if len(c.args) == 0 {
		return usage("delete-pod POD…")
	}
	for _, name := range c.args {
		uid, err := c.space.DeletePod(ctx, name)
		if err != nil {
			return err
		}
		c.deleted[name] = uid
	}
	return nil
}

// back POD [DURATION]: waits until the pod that delete-pod deleted was made anew and serves.
func back(ctx context.Context, c *call) error {
	if len(c.args) < 1 || len(c.args) > 2 {
		return usage("back POD [DURATION]")
	}
	old, ok := c.deleted[c.args[0]]
	if !ok {
		return usage("back comes after delete-pod " + c.args[0])
	}
	ctx, cancel, err := c.within(ctx, 1, usual)
	if err != nil {
		return err
	}
	defer cancel()
	begin := time.Now()
	if err := c.space.WaitAnew(ctx, c.args[0], old); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "%s serves again after %s\n", c.args[0], time.Since(begin).Round(100*time.Millisecond))
	return err
}

// killScript kills the server of a pod, which is the child of the pod's first process, as nothing else kills it.
const killScript = `for dir in /proc/[0-9]*; do
	read -r line <"$dir/stat" || continue
	set -- $line
	if [ "$4" = 1 ] && [ "$2" = "(postgres)" ]; then kill -9 "$1" && echo "killed $1" && found=1; fi
done
[ -n "$found" ]`

// kill-server POD: kill -9 of the server in the pod; the pod stays.
func killServer(ctx context.Context, c *call) error {
	if len(c.args) != 1 {
		return usage("kill-server POD")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return c.program(ctx, nil, nil, "kubectl", "exec", c.args[0], "-c", "antdb", "--", "sh", "-c", killScript)
}

// operator stop, start, restart, kill, writes, host.
func operator(ctx context.Context, c *call) error {
	if len(c.args) != 1 {
		return usage("operator stop|start|restart|kill|writes|host")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	home := c.space.At(operatorNamespace)
	switch c.args[0] {
	case "stop":
		return home.Scale(ctx, operatorName, 0)
	case "start":
		return home.Scale(ctx, operatorName, 1)
	case "restart": // as an upgrade does
		return home.ReplacePods(ctx, operatorName, metav1.DeleteOptions{})
	case "kill": // without a word of farewell: its lease must run out
		now := int64(0)
		return home.ReplacePods(ctx, operatorName, metav1.DeleteOptions{GracePeriodSeconds: &now})
	case "writes":
		n, err := home.Settle(ctx, operatorName)
		if err == nil {
			_, err = fmt.Fprintf(c.stdout, "%v\n", n)
		}
		return err
	case "host":
		host, err := home.Host(ctx, operatorName)
		if err == nil {
			_, err = fmt.Fprintln(c.stdout, host)
		}
		return err
	default:
		return usage("operator stop|start|restart|kill|writes|host")
	}
}

// host kill|start|join NAME, host cut NAME [POD-ADDRESS]: what happens to machines, and to the cable of one pod.
func host(ctx context.Context, c *call) error {
	if len(c.args) < 2 || len(c.args) > 3 || c.sandbox == "" {
		return usage("host kill|start|join NAME, host cut NAME [POD-ADDRESS], in a sandbox only")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	state := filepath.Dir(c.kubeconfig)
	source, err := filepath.Abs("../../sandbox")
	if err != nil {
		return err
	}
	if c.args[0] == "kill" || c.args[0] == "cut" { // whatever becomes of the story, others need the host
		undo := map[string]string{"kill": "start", "cut": "join"}[c.args[0]]
		c.ts.Defer(func() { c.mend(state, source, undo, c.args[1]) })
	}
	return c.program(ctx, nil, nil, c.sandbox, append([]string{"--state", state, "--source", source, "host"}, c.args...)...)
}

// mend puts a host right after a story. Where the story did so itself it changes nothing.
func (s *story) mend(state, source, verb, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.sandbox, "--state", state, "--source", source, "host", verb, name).CombinedOutput()
	if err != nil {
		s.log.Log(fmt.Sprintf("host %s %s: %v: %s", verb, name, err, out))
	}
}
