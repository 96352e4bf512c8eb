// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/wire"
)

// ownNode is the node id under which the server behind asks its own front, for what only the front knows.
const ownNode = 0

// own answers a question of the server behind to its front: one column of text.
func (l *link) own(ctx context.Context, m wire.Msg) bool {
	if m.Type != 'Q' {
		return false
	}
	var rows []string
	var failed *wire.Error
	switch question, _ := wire.CString(m.Body); question {
	case "pause":
		rows, failed = l.s.pauseCluster(ctx, true)
	case "unpause":
		rows, failed = l.s.pauseCluster(ctx, false)
	case "rxact":
		rows = l.s.srv.rxact.list()
	default:
		failed = wire.Errorf("XX000", "AntDB stand-in: the front does not know %q", question)
	}
	if failed != nil {
		return l.reply(result{err: failed}, 'I')
	}
	out := []wire.Msg{wire.Encode(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{
		{Name: []byte("v"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1},
	}})}
	for _, r := range rows {
		out = append(out, wire.Encode(&pgproto3.DataRow{Values: [][]byte{[]byte(r)}}))
	}
	return l.Send(append(out, wire.Complete("SELECT"), wire.Ready('I'))...) == nil
}
