// SPDX-License-Identifier: Apache-2.0

package dbadmin

import "context"

// Check is the one connection that asks again and again whether SQL runs. It has no time limit of its own: a gc that
// waits for its nodes can neither cancel a statement nor drop its session, so a second try would only leak a backend.
type Check struct{ session *Session }

// OpenCheck connects.
func (s Server) OpenCheck(ctx context.Context) (*Check, error) {
	session, err := s.open(ctx, Maintenance, nil)
	if err != nil {
		return nil, err
	}
	return &Check{session}, nil
}

// Ask runs a statement that needs a snapshot, and hence the GTM.
func (c *Check) Ask(ctx context.Context) error { return c.session.Exec(ctx, "select 1") }

// Dead tells that the connection is of no use any more.
func (c *Check) Dead() bool { return c.session.conn.IsClosed() }

// Close ends the connection.
func (c *Check) Close() { c.session.Close() }
