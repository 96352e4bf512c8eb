// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"sync"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// The two statements by which a coordinator pauses another one, in AntDB's words. They count only between nodes.
const (
	pauseText   = "SELECT PG_PAUSE_CLUSTER()"
	unpauseText = "SELECT PG_UNPAUSE_CLUSTER()"
)

// pauser is a coordinator's cluster lock: while a session, or another coordinator's connection, holds it, statements of
// all others wait before they begin. It waits for nobody: what has begun, a statement or a transaction, goes on.
type pauser struct {
	mu      sync.Mutex
	holder  any
	resumed chan struct{}
}

// take makes somebody the holder unless another one is.
func (p *pauser) take(who any) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holder != nil {
		return p.holder == who
	}
	p.holder, p.resumed = who, make(chan struct{})
	return true
}

// release lets everybody go on, if it was the holder who asked.
func (p *pauser) release(who any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holder == who && who != nil {
		p.holder = nil
		close(p.resumed)
	}
}

// blocks returns what to wait for; nil for the holder and when nobody holds it.
func (p *pauser) blocks(who any) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holder == nil || p.holder == who {
		return nil
	}
	return p.resumed
}

// waitForPause returns when the session may begin a statement. Settings do not end the wait, a cancel request does.
func (s *session) waitForPause() *wire.Error {
	for s.status == 'I' {
		resumed := s.srv.pause.blocks(s)
		if resumed == nil {
			return nil
		}
		select {
		case <-s.canceled:
		default:
		}
		select {
		case <-resumed:
		case <-s.canceled:
			return wire.Errorf("57014", "canceling statement due to user request")
		case m, ok := <-s.fromChild:
			if !ok {
				return wire.Fatalf("57P01", "terminating connection due to administrator command")
			}
			_ = s.client.Send(m)
		}
	}
	return nil
}

// pauseCluster carries pg_pause_cluster and pg_unpause_cluster out for a session.
func (s *session) pauseCluster(ctx context.Context, begin bool) ([]string, *wire.Error) {
	p := &s.srv.pause
	p.mu.Lock()
	held := p.holder == s
	p.mu.Unlock()
	if held == begin {
		return []string{"already"}, nil
	}
	rows, err := s.srv.ctl.rows(ctx, nodeColumns)
	if err != nil {
		return nil, wire.Errorf("08006", "read pgxc_node: %v", err)
	}
	others, failed := s.reachCoordinators(ctx, nodesOf(rows))
	if failed != nil {
		return nil, failed
	}
	text := unpauseText
	if begin {
		text = pauseText
	}
	for i, b := range others {
		if r := b.query(text); r.err != nil {
			failed = wire.Errorf("XX000", "Fail to send query: %q", text).WithDetail("node %s: %s", b.node.Name, r.err.Message)
			for _, done := range others[:i] {
				done.query(unpauseText)
			}
			break
		}
	}
	switch {
	case failed != nil || !begin:
		p.release(s)
	case !p.take(s):
		for _, done := range others {
			done.query(unpauseText)
		}
		failed = wire.Errorf("XX000", "pause cluster already in progress")
	}
	return []string{"done"}, failed
}

// pausePeer carries them out for a coordinator's connection and returns what the server behind shall answer.
func (s *Server) pausePeer(who any, text string) (string, bool) {
	switch {
	case text == pauseText && s.pause.take(who):
		return "SELECT true AS pg_pause_cluster", true
	case text == pauseText:
		return "CALL pg_catalog.standin_raise('XX000', 'pause cluster already in progress', '', '')", true
	case text == unpauseText:
		s.pause.release(who)
		return "SELECT true AS pg_unpause_cluster", true
	}
	return text, false
}
