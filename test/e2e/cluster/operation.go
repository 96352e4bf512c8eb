// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var operations = schema.GroupVersionResource{Group: "antdb.io", Version: "v1alpha1", Resource: "antdboperations"}

// Operation is an AntDBOperation as far as it is looked at.
type Operation struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Cluster string   `json:"cluster"`
		Type    string   `json:"type"`
		Nodes   []string `json:"nodes"`
	} `json:"spec"`
	Status struct {
		Phase   string `json:"phase"`
		Message string `json:"message"`
		Steps   []struct {
			Name    string `json:"name"`
			State   string `json:"state"`
			Message string `json:"message"`
		} `json:"steps"`
		Move *struct {
			RowsDone           int64 `json:"rowsDone"`
			BytesDone          int64 `json:"bytesDone"`
			LongestPauseMillis int64 `json:"longestPauseMillis"`
			Retries            int   `json:"retries"`
		} `json:"move"`
	} `json:"status"`
}

// Title is type and nodes, such as "AddNodes cn3".
func (o Operation) Title() string {
	return strings.TrimSpace(o.Spec.Type + " " + strings.Join(o.Spec.Nodes, ","))
}

// Step returns the state of a step of the journal; empty if there is none.
func (o Operation) Step(name string) string {
	for _, s := range o.Status.Steps {
		if s.Name == name {
			return s.State
		}
	}
	return ""
}

// Ended tells whether nothing more will be done.
func (o Operation) Ended() bool {
	return slices.Contains([]string{"Completed", "Cancelled", "Failed", "Refused"}, o.Status.Phase)
}

// String is the operation in a line, and its journal, one step a line.
func (o Operation) String() string {
	lines := []string{fmt.Sprintf("%s (%s): %s: %s", o.Title(), o.Metadata.Name, o.Status.Phase, o.Status.Message)}
	if m := o.Status.Move; m != nil {
		lines = append(lines, fmt.Sprintf("  moved %d rows, %d bytes, longest pause %d ms, %d retries",
			m.RowsDone, m.BytesDone, m.LongestPauseMillis, m.Retries))
	}
	for _, s := range o.Status.Steps {
		lines = append(lines, fmt.Sprintf("  %-16s %-8s %s", s.Name, s.State, s.Message))
	}
	return strings.Join(lines, "\n")
}

// EndedOperations are the names of operations that have ended.
func (n *Namespace) EndedOperations(ctx context.Context) ([]string, error) {
	list, err := n.objects.Resource(operations).Namespace(n.Name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list operations: %w", err)
	}
	var out []string
	for i := range list.Items {
		var o Operation
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &o); err != nil {
			return nil, fmt.Errorf("read operation %s: %w", list.Items[i].GetName(), err)
		}
		if o.Ended() {
			out = append(out, o.Metadata.Name)
		}
	}
	return out, nil
}

// WaitOperation waits until an operation with that title is as wanted, and returns it. Of several with the same title the
// youngest counts, and those whose names are in before do not.
func (n *Namespace) WaitOperation(ctx context.Context, title string, before map[string]bool, done func(Operation) bool) (Operation, error) {
	var found Operation
	seen := map[string]Operation{}
	err := n.await(ctx, operations, fields.Everything(), func(u *unstructured.Unstructured) bool {
		if u == nil {
			return false
		}
		var o Operation
		if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &o) != nil {
			return false
		}
		seen[o.Metadata.Name] = o
		if o.Title() == title && !before[o.Metadata.Name] && !o.Metadata.CreationTimestamp.Before(&found.Metadata.CreationTimestamp) {
			found = o
		}
		return found.Metadata.Name != "" && found.Metadata.Name == o.Metadata.Name && done(found)
	})
	if err == nil {
		return found, nil
	}
	all := make([]string, 0, len(seen))
	for _, o := range seen {
		all = append(all, o.String())
	}
	slices.Sort(all)
	if late(ctx, err) {
		err = ctx.Err()
	}
	return found, fmt.Errorf("wait for operation %q: %w; there are %d:\n%s", title, err, len(all), strings.Join(all, "\n"))
}
