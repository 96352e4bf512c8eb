// SPDX-License-Identifier: Apache-2.0

// Package wire knows how PostgreSQL messages are framed: whole messages in, whole messages out, bodies untouched.
// It refuses to know what the messages mean; pgproto3 encodes and decodes the few that the front looks into.
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Request codes that a first packet can carry instead of a protocol version.
const (
	Protocol3  = 196608
	CancelCode = 80877102
	SSLCode    = 80877103
	GSSCode    = 80877104
	// RegisterCode opens the stand-in's own stream between a node and its GTM, unauthenticated as AntDB's is.
	RegisterCode = 1234<<16 | 7001
)

const maxMessage = 1 << 30

// Msg is one message; its body is never shared with a later one.
type Msg struct {
	Type byte
	Body []byte
}

// Conn reads and writes messages on one socket. One goroutine may read while another writes.
type Conn struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
}

// NewConn wraps a socket.
func NewConn(c net.Conn) *Conn {
	return &Conn{Conn: c, r: bufio.NewReaderSize(c, 16<<10), w: bufio.NewWriterSize(c, 16<<10)}
}

// Startup reads a first packet: its code, and what follows the code.
func (c *Conn) Startup() (code uint32, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:4])) - 8
	if n < 0 || n > 10000 {
		return 0, nil, errors.New("invalid length of startup packet")
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	return binary.BigEndian.Uint32(head[4:]), body, err
}

// SendStartup writes a first packet and flushes it.
func (c *Conn) SendStartup(code uint32, body []byte) error {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	head = binary.BigEndian.AppendUint32(head, code)
	_, err := c.Conn.Write(append(head, body...))
	return err
}

// Read returns the next message.
func (c *Conn) Read() (Msg, error) {
	var head [5]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return Msg{}, err
	}
	n := int(binary.BigEndian.Uint32(head[1:])) - 4
	if n < 0 || n > maxMessage {
		return Msg{}, fmt.Errorf("invalid message length %d", n)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(c.r, body)
	return Msg{head[0], body}, err
}

// Write queues a message until Flush.
func (c *Conn) Write(m Msg) error {
	var head [5]byte
	head[0] = m.Type
	binary.BigEndian.PutUint32(head[1:], uint32(len(m.Body)+4))
	if _, err := c.w.Write(head[:]); err != nil {
		return err
	}
	_, err := c.w.Write(m.Body)
	return err
}

// Send queues the messages and flushes.
func (c *Conn) Send(ms ...Msg) error {
	for _, m := range ms {
		if err := c.Write(m); err != nil {
			return err
		}
	}
	return c.Flush()
}

// Flush sends what is queued.
func (c *Conn) Flush() error { return c.w.Flush() }

// Raw is the reading side for byte-for-byte relays, including what was read ahead.
func (c *Conn) Raw() io.Reader { return c.r }

// Byte reads one byte outside the message framing.
func (c *Conn) Byte() (byte, error) { return c.r.ReadByte() }

// Encode turns a pgproto3 message into a Msg.
func Encode(m pgproto3.Message) Msg {
	b, err := m.Encode(nil)
	if err != nil || len(b) < 5 {
		panic(fmt.Sprintf("encode %T: %v", m, err)) // only fixed-form messages come here
	}
	return Msg{b[0], b[5:]}
}

// Query is a simple query.
func Query(sql string) Msg { return Msg{'Q', append([]byte(sql), 0)} }

// Ready is ReadyForQuery with a transaction status.
func Ready(status byte) Msg { return Msg{'Z', []byte{status}} }

// Complete is CommandComplete with a tag.
func Complete(tag string) Msg { return Msg{'C', append([]byte(tag), 0)} }

// CString cuts the first zero-terminated string off b.
func CString(b []byte) (string, []byte) {
	for i, c := range b {
		if c == 0 {
			return string(b[:i]), b[i+1:]
		}
	}
	return string(b), nil
}

// Params decodes the key-value pairs of a startup packet.
func Params(body []byte) map[string]string {
	p := map[string]string{}
	for len(body) > 0 && body[0] != 0 {
		var k, v string
		k, body = CString(body)
		v, body = CString(body)
		p[k] = v
	}
	return p
}

// EncodeParams is the reverse of Params.
func EncodeParams(p map[string]string) []byte {
	var b []byte
	for k, v := range p {
		b = append(append(append(append(b, k...), 0), v...), 0)
	}
	return append(b, 0)
}

// Values decodes a DataRow in text format; a null is an empty string.
func Values(body []byte) []string {
	var row pgproto3.DataRow
	if row.Decode(body) != nil {
		return nil
	}
	out := make([]string, len(row.Values))
	for i, v := range row.Values {
		out[i] = string(v)
	}
	return out
}
