// SPDX-License-Identifier: Apache-2.0

package rescue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/instance/rescue"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// scene is a commit, and what happens meanwhile.
type scene struct {
	mu sync.Mutex
	// hangs keeps the commit from its end until gc's sessions on both coordinators were ended.
	hangs bool
	// away is how often each datanode lets nobody in.
	away map[string]int
	// unreachable is a coordinator's address; unknown one on which gc's session is not found.
	unreachable, unknown string
	refused              error
	did                  []string
	ended                chan struct{}
}

func (s *scene) note(format string, arguments ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, fmt.Sprintf(format, arguments...))
}

func (s *scene) Backend(_ context.Context, node string) (int, error) {
	if node == s.unknown {
		return 0, errors.New("no answer from " + node)
	}
	return map[string]int{"cn1": 11, "cn2": 22}[node], nil
}

func (s *scene) Commit(context.Context) error {
	if s.hangs {
		<-s.ended
		<-s.ended
	}
	s.note("committed")
	return s.refused
}

type session struct {
	*scene
	host string
}

func (s session) End(_ context.Context, pid int) error {
	s.note("end %d at %s", pid, s.host)
	s.ended <- struct{}{}
	return nil
}

func (s session) Close() { s.note("leave %s", s.host) }

func (s *scene) ways() rescue.Ways {
	s.ended = make(chan struct{}, 2)
	return rescue.Ways{
		Coordinators: func() []topology.Node {
			return []topology.Node{{Name: "cn1", Host: "cn1-h"}, {Name: "cn2", Host: "cn2-h"}}
		},
		Reach: func(_ context.Context, host string) (rescue.Coordinator, error) {
			if host == s.unreachable {
				return nil, errors.New("no route")
			}
			return session{s, host}, nil
		},
		Answers: func(_ context.Context, host string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.away[host] > 0 {
				s.away[host]--
				return errors.New("the database system is starting up")
			}
			return nil
		},
		Sleep: func(ctx context.Context, _ time.Duration) bool {
			if !s.hangs {
				<-ctx.Done()
			}
			return ctx.Err() == nil
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

func TestACommitComesToItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		scene  *scene
		did    []string
		failed bool
	}{
		"by itself":                               {&scene{}, []string{"committed"}, false},
		"by letting the coordinators go":          {&scene{hangs: true}, []string{"end 11 at cn1-h", "end 22 at cn2-h", "committed"}, false},
		"but not while a datanode lets nobody in": {&scene{hangs: true, away: map[string]int{"dn2-h": 2}}, []string{"dn2 is away", "dn2 is away", "end 11 at cn1-h", "end 22 at cn2-h", "committed"}, false},
		"whether it is committed nobody knows":    {&scene{refused: errors.New("connection lost")}, []string{"committed"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.scene
			crew, err := s.ways().Call(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			datanodes := []topology.Node{{Name: "dn1", Host: "dn1-h"}, {Name: "dn2", Host: "dn2-h"}}
			err = crew.Commit(s, datanodes, func(name string) { s.note("%s is away", name) })
			if errors.Is(err, rescue.ErrCommit) != c.failed || !c.failed && err != nil {
				t.Errorf("got %v", err)
			}
			// The coordinators are let go at once, in either order.
			if i := slices.Index(s.did, "end 22 at cn2-h"); i >= 0 && i+1 < len(s.did) && s.did[i+1] == "end 11 at cn1-h" {
				s.did[i], s.did[i+1] = s.did[i+1], s.did[i]
			}
			if d := cmp.Diff(c.did, s.did); d != "" {
				t.Errorf("what was done (-want +got):\n%s", d)
			}
		})
	}
}

func TestNothingIsCommittedThatCouldNotBeRescued(t *testing.T) {
	s := &scene{unknown: "cn2"}
	crew, err := s.ways().Call(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := crew.Commit(s, nil, nil); err == nil || errors.Is(err, rescue.ErrCommit) || len(s.did) > 0 {
		t.Errorf("got %v after %v", err, s.did)
	}
}

func TestACrewIsWholeOrNotThere(t *testing.T) {
	s := &scene{unreachable: "cn2-h"}
	if _, err := s.ways().Call(t.Context()); err == nil {
		t.Error("called without cn2")
	}
	if d := cmp.Diff([]string{"leave cn1-h"}, s.did); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
