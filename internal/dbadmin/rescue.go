// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"strconv"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// RescueApplication is the application_name of sessions on other nodes.
const RescueApplication = "antdb-rescue"

// Rescuer is a session on another coordinator, inside a transaction from its beginning.
type Rescuer struct{ session *Session }

// OpenRescuer connects to the coordinator at an address. Nothing that goes through gc gets past a pause.
func OpenRescuer(ctx context.Context, host string) (*Rescuer, error) {
	session, err := elsewhere(ctx, host)
	if err != nil {
		return nil, err
	}
	if err := session.Exec(ctx, "BEGIN"); err != nil {
		session.Close()
		return nil, err
	}
	return &Rescuer{session}, nil
}

// End ends a session of that coordinator.
func (r *Rescuer) End(ctx context.Context, pid int) error {
	return r.session.Exec(ctx, "select pg_terminate_backend("+strconv.Itoa(pid)+")")
}

// Close ends the session.
func (r *Rescuer) Close() { r.session.Close() }

// LetsIn tells why the server at an address lets nobody in; nil if it does. It runs no statement.
func LetsIn(ctx context.Context, host string) error {
	session, err := elsewhere(ctx, host)
	if err == nil {
		session.Close()
	}
	return err
}

// elsewhere connects to another node, as nodes do among themselves: without a password. Such connections are the only ones
// that do not go through the server's own socket.
func elsewhere(ctx context.Context, host string) (*Session, error) {
	return Server{Sockets: host, Port: antdb.Port}.open(ctx, Maintenance, map[string]string{
		"application_name": RescueApplication, "options": "-c idle_in_transaction_session_timeout=0",
	})
}
