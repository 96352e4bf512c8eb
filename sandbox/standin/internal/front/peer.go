// SPDX-License-Identifier: Apache-2.0

package front

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// rxactPeer is the name under which the resolver of another node comes: it must work while the GTM is away.
const rxactPeer = "rxact"

// servePeer serves another node's front: its statements are PostgreSQL's already and are passed on as they come.
func (s *Server) servePeer(name string, client, child *wire.Conn) {
	if client.Flush() != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer s.pause.release(client)
	go func() {
		defer cancel()
		_, _ = io.Copy(client.Conn, child.Raw())
		_ = client.Close()
	}()
	for {
		m, err := client.Read()
		if err != nil {
			break
		}
		if name != rxactPeer && (m.Type == 'Q' || m.Type == 'P') {
			if err := s.admitPeer(ctx); err != nil {
				_ = client.Send(err.Msg())
				break
			}
			if bytes.Contains(m.Body, []byte("pg_reload_conf")) {
				s.Reload()
			}
			if text, _ := wire.CString(m.Body); m.Type == 'Q' {
				if answer, ok := s.pausePeer(client, text); ok {
					m = wire.Query(answer)
				}
			}
		}
		if child.Write(m) != nil || (m.Type == 'Q' || m.Type == 'S' || m.Type == 'H' || m.Type == 'c' || m.Type == 'f') && child.Flush() != nil {
			break
		}
	}
	_ = child.Close()
	<-ctx.Done()
}

// admitPeer holds a peer's statement back as a client's.
func (s *Server) admitPeer(ctx context.Context) *wire.Error {
	opened := s.Gate.Opened()
	select {
	case <-opened:
		return nil
	default:
	}
	wait := time.NewTimer(s.conf.Load().Millis("snapshot_sync_waittime"))
	defer wait.Stop()
	select {
	case <-opened:
		return nil
	case <-wait.C:
		return wire.Fatalf("XX000", "cannot connect to GTMCOORD: wait stream timeout")
	case <-ctx.Done():
		return wire.Fatalf("57P01", "terminating connection due to administrator command")
	}
}
