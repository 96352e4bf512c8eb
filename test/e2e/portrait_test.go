// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// conditions prints one condition a line.
const conditions = `{range .items[*]}{.metadata.name}: {.status.phase} {.status.readyNodes}{"\n"}` +
	`{range .status.conditions[*]}  {.type}={.status}:{.reason} {.message}{"\n"}{end}` +
	`{range .status.nodes[*]}  {.name} {.instances[0].state} serving={.instances[0].serving} host={.instances[0].host} {.instances[0].message}{"\n"}{end}{end}`

// portrait is what the cluster of a failed story looked like: objects, conditions, events, and what the operator and
// the instances said last.
func portrait(ctx context.Context, s *story) string {
	var b strings.Builder
	show := func(title string, args ...string) {
		fmt.Fprintf(&b, "\n=== %s\n%s", title, s.ask(ctx, args...))
	}
	fmt.Fprintf(&b, "what namespace %s looks like:", s.space.Name)
	show("clusters", "get", "antdbclusters", "-o", "jsonpath="+conditions)
	show("objects", "get", "pods,services,persistentvolumeclaims", "-o", "wide")
	show("hosts", "get", "nodes")
	show("events", "get", "events", "--sort-by=.metadata.creationTimestamp", "-o",
		`custom-columns=AT:.metadata.creationTimestamp,ON:.involvedObject.name,REASON:.reason,MESSAGE:.message`)
	pods, err := s.space.Core().CoreV1().Pods(s.space.Name).List(ctx, metav1.ListOptions{})
	if err != nil {
		fmt.Fprintf(&b, "\nlist pods: %v", err)
		return b.String()
	}
	for i := range pods.Items {
		show("log of "+pods.Items[i].Name, "logs", pods.Items[i].Name, "-c", "antdb", "--tail=250")
	}
	log := s.ask(ctx, "logs", "-n", operatorNamespace, "deployment/"+operatorName, "--tail=2000")
	fmt.Fprintf(&b, "\n=== log of the operator, as far as it speaks of this namespace\n%s", lastOf(log, s.space.Name, 60))
	return b.String()
}

// ask runs kubectl in the story's namespace and returns what it says, be it an error.
func (s *story) ask(ctx context.Context, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"-n", s.space.Name}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(&out, "%v\n", err)
	}
	return out.String()
}

// lastOf are the last lines of a text that contain a word.
func lastOf(text, word string, most int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			lines = append(lines, line)
		}
	}
	if len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	return strings.Join(lines, "")
}
