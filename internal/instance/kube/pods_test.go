// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/antdb-operator/antdb-operator/internal/instance/kube"
)

// pods makes a client of a server that answers as a test says.
func pods(t *testing.T, answer http.HandlerFunc) *kube.Pods {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	p, err := kube.NewPods(&rest.Config{Host: s.URL}, "ns")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestOnlyThePodsOfTheClusterAreListedAndWatched(t *testing.T) {
	p := pods(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/ns/pods" || r.URL.Query().Get("labelSelector") != "antdb.io/cluster=demo" {
			http.Error(w, "unexpected "+r.URL.String(), http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"demo-dn1-1"},"status":{"podIP":"192.0.2.1"}}`
		if r.URL.Query().Get("watch") == "" {
			_, _ = fmt.Fprintf(w, `{"apiVersion":"v1","kind":"PodList","metadata":{"resourceVersion":"7"},"items":[%s]}`, pod)
			return
		}
		_, _ = fmt.Fprintf(w, `{"type":"MODIFIED","object":%s}`, pod)
	})
	lw := p.OfCluster("demo")
	list, err := lw.List(metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if l := list.(*corev1.PodList); len(l.Items) != 1 || l.Items[0].Status.PodIP != "192.0.2.1" || l.ResourceVersion != "7" {
		t.Errorf("list %+v", l)
	}
	events, err := lw.Watch(metav1.ListOptions{ResourceVersion: "7"})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	select {
	case e := <-events.ResultChan():
		if pod, ok := e.Object.(*corev1.Pod); !ok || pod.Name != "demo-dn1-1" {
			t.Errorf("event %+v", e)
		}
	case <-time.After(10 * time.Second):
		t.Error("no event")
	}
}

func TestAPatchGoesToThePodOrItsStatus(t *testing.T) {
	var got []string
	p := pods(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Content-Type"), string(body)}, " "))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"1"}}}`)
	})
	ctx := bounded(t)
	if _, err := p.Patch(ctx, "demo-dn1-1", types.MergePatchType, []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	pod, err := p.Patch(ctx, "demo-dn1-1", types.StrategicMergePatchType, []byte(`{"b":2}`), "status")
	if err != nil {
		t.Fatal(err)
	}
	if pod.Labels["a"] != "1" {
		t.Errorf("the pod is told to have labels %v", pod.Labels)
	}
	want := []string{
		`PATCH /api/v1/namespaces/ns/pods/demo-dn1-1 application/merge-patch+json {"a":1}`,
		`PATCH /api/v1/namespaces/ns/pods/demo-dn1-1/status application/strategic-merge-patch+json {"b":2}`,
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("requests %q, want %q", got, want)
		}
	}
}

func TestARefusedPatchNamesThePod(t *testing.T) {
	p := pods(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "forbidden", http.StatusForbidden) })
	_, err := p.Patch(bounded(t), "demo-dn1-1", types.MergePatchType, []byte(`{}`))
	if err == nil || !strings.Contains(err.Error(), "patch pod demo-dn1-1") {
		t.Errorf("got %v", err)
	}
}
