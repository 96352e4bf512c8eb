// SPDX-License-Identifier: Apache-2.0

package front

import (
	"sync"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// transfer copies the rows of a query on one datanode into a table on another.
type transfer struct {
	from, to    *branch
	query, into string
}

// transferAll runs transfers side by side as far as each node is in one of them at a time.
func transferAll(todo []transfer) *wire.Error {
	for len(todo) > 0 {
		busy := map[*branch]bool{}
		var round, later []transfer
		for _, t := range todo {
			if busy[t.from] || busy[t.to] {
				later = append(later, t)
				continue
			}
			busy[t.from], busy[t.to] = true, true
			round = append(round, t)
		}
		errs := make([]*wire.Error, len(round))
		var wg sync.WaitGroup
		for i, t := range round {
			wg.Go(func() { errs[i] = t.run() })
		}
		wg.Wait()
		for _, e := range errs {
			if e != nil {
				return e
			}
		}
		todo = later
	}
	return nil
}

func (t transfer) run() *wire.Error {
	t.from.mu.Lock()
	defer t.from.mu.Unlock()
	t.to.mu.Lock()
	defer t.to.mu.Unlock()
	if failed := t.to.expect("COPY "+t.into+" FROM STDIN (FORMAT binary)", 'G'); failed != nil {
		return failed
	}
	failed := t.from.expect("COPY ("+t.query+") TO STDOUT (FORMAT binary)", 'H')
	if failed == nil {
		failed = t.relay()
	}
	end := wire.Msg{Type: 'c'}
	if failed != nil {
		end = wire.Msg{Type: 'f', Body: []byte("the source failed\x00")}
	}
	if t.to.conn == nil {
		return failed
	}
	if err := t.to.conn.Send(end); err != nil {
		return t.to.lost(err).err
	}
	if r := t.to.untilReady(); failed == nil {
		failed = r
	}
	return failed
}

// expect sends a statement and waits for the message that opens its copying.
func (b *branch) expect(sql string, opens byte) *wire.Error {
	if b.conn == nil {
		return wire.Errorf("08006", "connection to node %s is lost", b.node.Name)
	}
	if err := b.send(wire.Query(sql)); err != nil {
		return b.lost(err).err
	}
	for {
		m, err := b.read()
		switch {
		case err != nil:
			return b.lost(err).err
		case m.Type == opens:
			return nil
		case m.Type == 'E':
			failed := wire.DecodeError(m.Body)
			b.untilReady()
			return failed
		}
	}
}

// relay passes rows on until the source has no more. What the destination has against them it says at the end.
func (t transfer) relay() *wire.Error {
	for {
		m, err := t.from.read()
		if err != nil {
			return t.from.lost(err).err
		}
		switch m.Type {
		case 'd':
			if err := t.to.conn.Write(m); err != nil {
				failed := t.to.lost(err).err
				t.from.drop() // nobody reads the rest
				return failed
			}
		case 'E':
			failed := wire.DecodeError(m.Body)
			t.from.untilReady()
			return failed
		case 'Z':
			return nil
		}
	}
}

// untilReady reads the rest of an answer and returns the error in it.
func (b *branch) untilReady() *wire.Error {
	var failed *wire.Error
	for {
		m, err := b.read()
		if err != nil {
			return b.lost(err).err
		}
		switch m.Type {
		case 'E':
			if failed = wire.DecodeError(m.Body); failed.Severity == "FATAL" {
				b.drop()
				return failed
			}
		case 'Z':
			return failed
		}
	}
}
