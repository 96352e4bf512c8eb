// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
)

// Messages are those of all events with a reason, in the order in which they were told.
func (n *Namespace) Messages(ctx context.Context, reason string) ([]string, error) {
	list, err := n.core.CoreV1().Events(n.Name).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
	if err != nil {
		return nil, fmt.Errorf("list events %s: %w", reason, err)
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return told(a).Compare(told(b)) })
	out := make([]string, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, list.Items[i].Message)
	}
	return out, nil
}

func told(e corev1.Event) time.Time {
	if !e.EventTime.IsZero() {
		return e.EventTime.Time
	}
	return e.FirstTimestamp.Time
}

// WaitMessage waits for an event with that reason whose message fits, and returns the message.
func (n *Namespace) WaitMessage(ctx context.Context, reason string, fits *regexp.Regexp) (string, error) {
	message, others := "", []string{}
	err := n.await(ctx, events, fields.OneTermEqualSelector("reason", reason), func(o *unstructured.Unstructured) bool {
		if o == nil {
			return false
		}
		text, _, _ := unstructured.NestedString(o.Object, "message")
		if fits.MatchString(text) {
			message = text
			return true
		}
		others = append(others, text)
		return false
	})
	switch {
	case late(ctx, err) && len(others) == 0:
		return "", fmt.Errorf("wait for event %s: there was none", reason)
	case late(ctx, err):
		return "", fmt.Errorf("wait for event %s that says %q: there was none, but\n  %s", reason, fits, strings.Join(others, "\n  "))
	case err != nil:
		return "", fmt.Errorf("wait for event %s: %w", reason, err)
	}
	return message, nil
}
