// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/internal/instance/publish"
)

const patience = 10 * time.Second

// pods records patches, and refuses while it is told to.
type pods struct {
	mu      sync.Mutex
	refuse  bool
	strict  bool // the status takes no metadata
	tries   int
	patches []string
}

func (p *pods) Patch(_ context.Context, pod string, kind types.PatchType, patch []byte, sub ...string) (*corev1.Pod, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries++
	if p.refuse {
		return nil, errors.New("the API server is away")
	}
	p.patches = append(p.patches, strings.Join(append([]string{pod, string(kind), string(patch)}, sub...), " "))
	var after corev1.Pod
	err := json.Unmarshal(patch, &after)
	if p.strict && len(sub) > 0 {
		after.ObjectMeta = metav1.ObjectMeta{}
	}
	return &after, err
}

func (p *pods) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.patches...)
}

func start(t *testing.T, p *pods, gap, delay time.Duration) *publish.Publisher {
	t.Helper()
	publisher := &publish.Publisher{
		Pods: p, Pod: "demo-dn1-1", Log: slog.New(slog.DiscardHandler),
		Now:          time.Now,
		FirstBackoff: time.Millisecond, LastBackoff: 5 * time.Millisecond, Gap: gap, Delay: delay,
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); publisher.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return publisher
}

func flush(t *testing.T, p *publish.Publisher) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p.Flush(ctx)
	if ctx.Err() != nil {
		t.Fatal("not written in time")
	}
}

func TestNewsAreALabelAnAnnotationAndConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock begins with the year 2000
		k := &pods{}
		p := start(t, k, 0, 0)
		p.Tell(publish.News{Accepting: true, Serving: true, Reason: "Serving", Report: "r1"})
		flush(t, p)
		want := []string{
			`demo-dn1-1 application/strategic-merge-patch+json {"metadata":{"annotations":{"antdb.io/report":"r1"},"labels":{"antdb.io/accepting":"true","antdb.io/serving":"true"}},` +
				`"status":{"conditions":[{"lastTransitionTime":"2000-01-01T00:00:00Z","message":"","reason":"","status":"True","type":"antdb.io/Accepting"},` +
				`{"lastTransitionTime":"2000-01-01T00:00:00Z","message":"","reason":"Serving","status":"True","type":"antdb.io/Serving"}]}} status`,
		}
		if d := cmp.Diff(want, k.all()); d != "" {
			t.Errorf("patches (-want +got):\n%s", d)
		}
	})
}

func TestMetadataThatTheStatusDoesNotTakeAreWrittenByThemselves(t *testing.T) {
	k := &pods{strict: true}
	p := start(t, k, 0, 0)
	p.Tell(publish.News{Accepting: true, Reason: "NoAnswer", Report: "r1"})
	flush(t, p)
	want := `demo-dn1-1 application/strategic-merge-patch+json ` +
		`{"metadata":{"annotations":{"antdb.io/report":"r1"},"labels":{"antdb.io/accepting":"true","antdb.io/serving":"false"}}}`
	if got := k.all(); len(got) != 2 || got[1] != want {
		t.Errorf("patches %q, want a second one %s", got, want)
	}
}

func TestWhatDoesNotChangeIsNotWritten(t *testing.T) {
	k := &pods{}
	p := start(t, k, 0, 0)
	news := publish.News{Serving: true, Reason: "Serving", Report: "r1"}
	for range 3 {
		p.Tell(news)
		flush(t, p)
	}
	if got := len(k.all()); got != 1 {
		t.Errorf("%d patches, want 1", got)
	}
	news.Report = "r2"
	p.Tell(news)
	flush(t, p)
	if got := k.all(); len(got) != 2 || !strings.Contains(got[1], `"antdb.io/report":"r2"`) {
		t.Errorf("patches %q: want one more, with the new report", got)
	}
}

func TestWhileTheAPIServerIsAwayOnlyTheLatestIsKept(t *testing.T) {
	k := &pods{refuse: true}
	p := start(t, k, 0, 0)
	p.Tell(publish.News{Report: "old"})
	deadline := time.Now().Add(patience)
	for {
		k.mu.Lock()
		tries := k.tries
		k.mu.Unlock()
		if tries >= 6 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d tries", tries)
		}
		<-time.After(time.Millisecond)
	}
	p.Tell(publish.News{Serving: true, Report: "new"})
	k.mu.Lock()
	k.refuse = false
	k.mu.Unlock()
	flush(t, p)
	for _, patch := range k.all() {
		if strings.Contains(patch, "old") {
			t.Errorf("old news were written: %s", patch)
		}
	}
}

func TestAnInstanceThatComesUpWritesOnceInAGapAndServesAtOnce(t *testing.T) {
	k := &pods{}
	p := start(t, k, time.Hour, 0)
	p.Tell(publish.News{Reason: "Initializing", Report: "r1"})
	await(t, k, 1)
	p.Tell(publish.News{Reason: "Starting", Report: "r2"})
	p.Tell(publish.News{Accepting: true, Reason: "Starting", Report: "r3"})
	await(t, k, 2)
	p.Tell(publish.News{Accepting: true, Reason: "NoAnswer", Report: "r4"})
	p.Tell(publish.News{Accepting: true, Serving: true, Reason: "Serving", Report: "r5"})
	await(t, k, 3)
	for i, want := range []string{"r1", "r3", "r5"} {
		if got := k.all()[i]; !strings.Contains(got, want) {
			t.Errorf("patch %d is %s, want one that says %s", i, got, want)
		}
	}
}

func TestUntilAServerAcceptsConnectionsNewsWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &pods{}
		p := start(t, k, 0, 5*time.Second)
		for _, step := range []struct {
			news    publish.News
			pause   time.Duration
			written []string
			why     string
		}{
			{publish.News{Report: "r1"}, 0, []string{"r1"}, "an earlier life may have left anything"},
			{publish.News{Report: "r2"}, 4 * time.Second, []string{"r1"}, "nobody waits for it"},
			{publish.News{Report: "r3"}, time.Second, []string{"r1", "r3"}, "the first of them waited long enough"},
			{publish.News{Report: "r4"}, 4 * time.Second, []string{"r1", "r3"}, "nobody waits for it"},
			{publish.News{Accepting: true, Report: "r5"}, 0, []string{"r1", "r3", "r5"}, "Services follow it"},
			{publish.News{Accepting: true, Reason: "NoAnswer", Report: "r6"}, 0, []string{"r1", "r3", "r5", "r6"}, "it runs"},
			{publish.News{Report: "r7"}, 0, []string{"r1", "r3", "r5", "r6", "r7"}, "Services follow it"},
			{publish.News{Reason: "Stopped", Report: "r8"}, 0, []string{"r1", "r3", "r5", "r6", "r7", "r8"}, "it ran"},
		} {
			p.Tell(step.news)
			time.Sleep(step.pause)
			synctest.Wait()
			if d := cmp.Diff(step.written, reports(k)); d != "" {
				t.Errorf("%s told, %s: written (-want +got):\n%s", step.news.Report, step.why, d)
			}
		}
	})
}

func TestTheFirstNewsOfANewPodWaitForItsServer(t *testing.T) {
	for name, c := range map[string]struct {
		takes   time.Duration
		written []string
	}{
		"it is up soon": {4 * time.Second, []string{"up"}},
		"it takes long": {6 * time.Second, []string{"coming", "up"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &pods{}
				p := start(t, k, 0, 5*time.Second)
				p.New = true
				p.Tell(publish.News{Report: "new"})
				time.Sleep(time.Second)
				p.Tell(publish.News{Report: "coming"})
				time.Sleep(c.takes - time.Second)
				p.Tell(publish.News{Accepting: true, Report: "up"})
				synctest.Wait()
				if d := cmp.Diff(c.written, reports(k)); d != "" {
					t.Errorf("written (-want +got):\n%s", d)
				}
			})
		})
	}
}

// reports are those of the patches so far.
func reports(k *pods) []string {
	var out []string
	for _, patch := range k.all() {
		out = append(out, regexp.MustCompile(`"antdb.io/report":"(.*?)"`).FindStringSubmatch(patch)[1])
	}
	return out
}

func TestWhoWaitsForTheLatestNewsWaitsForNoGap(t *testing.T) {
	k := &pods{}
	p := start(t, k, time.Hour, 0)
	p.Tell(publish.News{Reason: "Starting", Report: "r1"})
	await(t, k, 1)
	p.Tell(publish.News{Reason: "ShuttingDown", Report: "r2"})
	flush(t, p)
	if got := k.all(); len(got) != 2 || !strings.Contains(got[1], "ShuttingDown") {
		t.Errorf("patches %q", got)
	}
}

func await(t *testing.T, k *pods, patches int) {
	t.Helper()
	for deadline := time.Now().Add(patience); len(k.all()) < patches; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d patches: %q", len(k.all()), k.all())
		}
	}
}

func TestFlushWithoutNewsDoesNotWait(t *testing.T) {
	(&publish.Publisher{}).Flush(context.Background())
}
