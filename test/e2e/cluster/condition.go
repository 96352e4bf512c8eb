// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Want is a condition that somebody waits for. Any reason will do when Reason is empty, any message when Message is
// nil.
type Want struct {
	Type, Status, Reason string
	Message              *regexp.Regexp
}

// Ready is what most people wait for.
var Ready = Want{Type: "Ready", Status: "True"}

// ParseWant reads "Type=Status" or "Type=Status:Reason".
func ParseWant(s string) (Want, error) {
	kind, rest, ok := strings.Cut(s, "=")
	status, reason, _ := strings.Cut(rest, ":")
	if !ok || kind == "" || !slices.Contains([]string{"True", "False", "Unknown"}, status) {
		return Want{}, fmt.Errorf("condition %q: write Type=Status or Type=Status:Reason, where Status is True, False or Unknown", s)
	}
	return Want{Type: kind, Status: status, Reason: reason}, nil
}

// String is what ParseWant reads.
func (w Want) String() string {
	s := w.Type + "=" + w.Status
	if w.Reason != "" {
		s += ":" + w.Reason
	}
	if w.Message != nil && w.Message.String() != "" {
		s += fmt.Sprintf(" (%q)", w.Message)
	}
	return s
}

// status is the part of an AntDBCluster that is looked at.
type status struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Status   struct {
		Conditions []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

// met tells whether the condition holds for the present spec; a condition that speaks of an older one does not count.
func (w Want) met(s status) bool {
	for _, c := range s.Status.Conditions {
		if c.Type == w.Type {
			return string(c.Status) == w.Status && (w.Reason == "" || c.Reason == w.Reason) &&
				(w.Message == nil || w.Message.MatchString(c.Message)) && c.ObservedGeneration >= s.Metadata.Generation
		}
	}
	return false
}

// String lists the conditions, one a line, as far as they are set.
func (s status) String() string {
	if len(s.Status.Conditions) == 0 {
		return "it has no conditions"
	}
	lines := make([]string, 0, len(s.Status.Conditions))
	for _, c := range s.Status.Conditions {
		line := fmt.Sprintf("  %s=%s:%s %s", c.Type, c.Status, c.Reason, c.Message)
		if c.ObservedGeneration < s.Metadata.Generation {
			line += fmt.Sprintf(" (of generation %d, the spec is at %d)", c.ObservedGeneration, s.Metadata.Generation)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return "its conditions are\n" + strings.Join(lines, "\n")
}

// WaitCondition waits until a cluster has a condition, and returns the condition's message.
func (n *Namespace) WaitCondition(ctx context.Context, name string, want Want) (message string, err error) {
	seen := status{}
	found := false
	err = n.await(ctx, clusters, named(name), func(o *unstructured.Unstructured) bool {
		found, seen = o != nil, status{}
		if !found || runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &seen) != nil {
			return false
		}
		return want.met(seen)
	})
	switch {
	case late(ctx, err) && !found:
		return "", fmt.Errorf("wait for %s of AntDBCluster %s: there is no such cluster", want, name)
	case late(ctx, err):
		return "", fmt.Errorf("wait for %s of AntDBCluster %s: it did not come in time; %s", want, name, seen)
	case err != nil:
		return "", fmt.Errorf("wait for %s of AntDBCluster %s: %w", want, name, err)
	}
	for _, c := range seen.Status.Conditions {
		if c.Type == want.Type {
			message = c.Message
		}
	}
	return message, nil
}
