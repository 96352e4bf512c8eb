// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
	"github.com/antdb-operator/antdb-operator/test/e2e/writer"
)

const (
	// longestStory bounds a story, whatever it waits for.
	longestStory = 40 * time.Minute
	// longestEnd bounds what is done after a story.
	longestEnd = 3 * time.Minute
)

// logger is what a story needs of its test.
type logger interface {
	Log(args ...any)
	Failed() bool
}

// story is what a running story remembers from one line to the next.
type story struct {
	settings
	log   logger
	ctx   context.Context
	space *cluster.Namespace

	writers     map[string]*writer.Writer
	deleted     map[string]types.UID // pods that delete-pod deleted last
	inventories map[string]cluster.Inventory
	timeline    *cluster.Timeline
	ended       map[string]bool // operations that were seen to end
}

// key under which a script finds its story.
type key struct{}

// newStory makes the namespace, with the strictest rules for pods that Kubernetes has.
func newStory(env *testscript.Env, s settings, name string) (*story, error) {
	log, ok := env.T().(logger)
	if !ok {
		return nil, fmt.Errorf("run story %s: %T is no test", name, env.T())
	}
	ctx, cancel := context.WithTimeout(context.Background(), longestStory)
	space, err := cluster.Open(s.kubeconfig, name+"-"+strings.ToLower(rand.Text()[:4]))
	if err != nil {
		cancel()
		return nil, err
	}
	_, err = space.Core().CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: space.Name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("make namespace %s: %w", space.Name, err)
	}
	st := &story{
		settings: s, log: log, ctx: ctx, space: space,
		writers: map[string]*writer.Writer{}, deleted: map[string]types.UID{}, inventories: map[string]cluster.Inventory{},
		ended: map[string]bool{},
	}
	env.Values[key{}] = st
	env.Defer(func() {
		defer cancel()
		st.end()
	})
	return st, nil
}

// end stops what the story left running, shows what the cluster looked like if the story failed, and cleans up.
func (s *story) end() {
	ctx, cancel := context.WithTimeout(context.Background(), longestEnd)
	defer cancel()
	if s.log.Failed() {
		s.log.Log(portrait(ctx, s))
	}
	for _, w := range s.writers {
		w.Stop()
	}
	if s.timeline != nil {
		s.timeline.Stop()
	}
	if s.log.Failed() && s.keep {
		s.log.Log("namespace " + s.space.Name + " is kept")
		return
	}
	core := s.space.Core().CoreV1()
	if err := core.Namespaces().Delete(ctx, s.space.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		s.log.Log(fmt.Sprintf("delete namespace %s: %v", s.space.Name, err))
		return
	}
	// Nobody wants what servers would write down before they stop.
	soon := int64(1)
	if err := core.Pods(s.space.Name).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &soon}, metav1.ListOptions{}); err != nil {
		s.log.Log(fmt.Sprintf("end the pods of %s: %v", s.space.Name, err))
	}
	if err := s.space.WaitGone(ctx); err != nil { // the next story needs the processors
		s.log.Log(err)
	}
}
