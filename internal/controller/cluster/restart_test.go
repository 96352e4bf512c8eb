// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// request asks for something by an annotation.
func (s *scene) request(annotation, value string) {
	s.change(func(c *v1alpha1.AntDBCluster) {
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		c.Annotations[annotation] = value
		c.Generation-- // an annotation changes no generation
	})
}

// answered tells whether a request has been forgotten.
func (s *scene) answered(annotation string) bool {
	_, asked := s.cluster().Annotations[annotation]
	return !asked
}

func (s *scene) restarted() bool { return s.answered(v1alpha1.AnnotationRestart) }

// restarts counts by node how often servers were restarted for a request.
func (s *scene) restarts(id string) map[string]int {
	out := map[string]int{}
	for _, node := range []string{"gc", "cn1", "cn2", "dn1", "dn2"} {
		for _, token := range s.world.Restarts(node) {
			if strings.HasSuffix(token, "#"+id) {
				out[node]++
			}
		}
	}
	return out
}

var eachOnce = map[string]int{"gc": 1, "cn1": 1, "cn2": 1, "dn1": 1, "dn2": 1}

func TestARequestToRestartGoesRoundOnceAndIsForgotten(t *testing.T) {
	s := settled(t)
	pods := s.pods()
	for _, id := range []string{"2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"} {
		s.request(v1alpha1.AnnotationRestart, id)
		s.until("everybody was restarted", 60, s.restarted)
		s.settle(10)
		if d := cmp.Diff(eachOnce, s.restarts(id)); d != "" {
			t.Errorf("restarts for %s (-want +got):\n%s", id, d)
		}
		for _, n := range s.cluster().Status.Nodes {
			if n.Instances[0].RestartedFor != id {
				t.Errorf("%s was restarted for %q", n.Name, n.Instances[0].RestartedFor)
			}
		}
	}
	var order []string
	for _, e := range s.events.last(1000) {
		if rest, ok := strings.CutPrefix(e, "Normal Restarting: "); ok {
			order = append(order, strings.Fields(rest)[0])
		}
	}
	if got := strings.Join(order, " "); got != "dn1 dn2 cn1 cn2 gc dn1 dn2 cn1 cn2 gc" {
		t.Errorf("restarted in the order %s", got)
	}
	if d := cmp.Diff(pods, s.pods()); d != "" {
		t.Errorf("pods (-before +after):\n%s", d)
	}
	s.check()
}

func TestOnlyTheNamedNodesAreRestarted(t *testing.T) {
	s := settled(t)
	s.request(v1alpha1.AnnotationRestart, "r1/cn2,dn1")
	s.until("they were restarted", 30, s.restarted)
	if d := cmp.Diff(map[string]int{"cn2": 1, "dn1": 1}, s.restarts("r1")); d != "" {
		t.Errorf("restarts (-want +got):\n%s", d)
	}
}

// Whatever becomes of the operator, or of the way to an instance, at any pass: nobody is restarted twice for one request.
func TestNobodyIsRestartedTwiceForOneRequest(t *testing.T) {
	disturbances := map[string]func(s *scene, pass int){
		"killed before it writes":    func(s *scene, _ int) { s.killedAfter(0) },
		"killed after one write":     func(s *scene, _ int) { s.killedAfter(1) },
		"killed at every other pass": func(s *scene, pass int) { s.killedAfter(pass % 2 * 9) },
		"an instance is not reached": func(s *scene, pass int) {
			s.world.Hide([]string{"dn1", "dn2", "cn1", "cn2", "gc"}[pass%5], 3)
			_ = s.pass()
		},
		"the operator sleeps a little": func(s *scene, _ int) { s.step(); s.passes(1) },
	}
	for name, disturb := range disturbances {
		t.Run(name, func(t *testing.T) {
			s := settled(t)
			s.request(v1alpha1.AnnotationRestart, "r1")
			for pass := range 25 {
				disturb(s, pass)
			}
			s.until("everybody was restarted", 80, s.restarted)
			s.settle(20)
			if d := cmp.Diff(eachOnce, s.restarts("r1")); d != "" {
				t.Errorf("restarts (-want +got):\n%s", d)
			}
			s.check()
		})
	}
}

func TestAPodThatIsMadeAnewMeanwhileCountsAsRestarted(t *testing.T) {
	s := settled(t)
	s.request(v1alpha1.AnnotationRestart, "r1")
	s.deletePod("cn1")
	s.until("everybody was restarted", 80, s.restarted)
	if n := s.restarts("r1")["cn1"]; n > 0 {
		t.Errorf("the server in the new pod of cn1 was restarted %d times", n)
	}
	s.settle(20)
}

func TestAClusterThatIsStoppedAndStartedHasNobodyLeftToRestart(t *testing.T) {
	s := settled(t)
	s.request(v1alpha1.AnnotationRestart, "r1")
	s.stop(true)
	s.until("it is stopped", 30, s.isStopped)
	s.passes(5)
	if s.restarted() {
		t.Error("the request was forgotten while nothing ran")
	}
	s.stop(false)
	s.settle(40)
	s.until("the request is answered", 5, s.restarted)
	if n := s.restarts("r1"); len(n) > 0 {
		t.Errorf("restarted in new pods: %v", n)
	}
}

func TestANewRequestTakesThePlaceOfTheOneThatIsUnderWay(t *testing.T) {
	for passes := range 20 {
		s := settled(t)
		s.request(v1alpha1.AnnotationRestart, "r1/dn1")
		s.passes(passes)
		s.request(v1alpha1.AnnotationRestart, "r2/dn1,dn2")
		s.until(fmt.Sprintf("after %d passes: the new request is answered", passes), 40, s.restarted)
		if d := cmp.Diff(map[string]int{"dn1": 1, "dn2": 1}, s.restarts("r2")); d != "" {
			t.Errorf("after %d passes (-want +got):\n%s", passes, d)
		}
	}
}

func TestARequestForANodeThatThereIsNotIsToldAndForgotten(t *testing.T) {
	s := settled(t)
	s.request(v1alpha1.AnnotationRestart, "r1/dn1,dn7")
	s.until("it is answered", 5, s.restarted)
	s.settle(5)
	if n := s.events.count(v1alpha1.EventRequestRefused); n != 1 {
		t.Errorf("it was told %d times", n)
	}
	if n := s.restarts("r1"); len(n) > 0 {
		t.Errorf("restarted: %v", n)
	}
}

func TestARestartWaitsForTheOperationThatRuns(t *testing.T) {
	s := settled(t)
	s.counts(3, 2)
	s.until("a coordinator is copied", enoughToScale, func() bool { return s.runs("demo-op1", "Copy") })
	s.request(v1alpha1.AnnotationRestart, "r1/dn1")
	s.until("the operation has ended", enoughToScale, func() bool { return s.operationNamed("demo-op1").Status.EndedAt != nil })
	if n := s.restarts("r1"); len(n) > 0 {
		t.Errorf("restarted while an operation ran: %v", n)
	}
	s.settle(enoughToScale)
	s.ended("demo-op1", v1alpha1.OperationCompleted)
	if d := cmp.Diff(map[string]int{"dn1": 1}, s.restarts("r1")); d != "" {
		t.Errorf("restarts (-want +got):\n%s", d)
	}
}
