// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"fmt"

	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Slots lists the physical replication slots of this server that are ours.
func (s *Session) Slots(ctx context.Context) ([]string, error) {
	names, err := s.texts(ctx, "select slot_name::text from pg_replication_slots where slot_type = 'physical' and starts_with(slot_name::text, "+
		topology.Literal(naming.SplitPrefix)+") order by 1")
	if err != nil {
		return nil, fmt.Errorf("list replication slots: %w", err)
	}
	return names, nil
}

// CreateSlot makes a physical slot that keeps the log from now on.
func (s *Session) CreateSlot(ctx context.Context, name string) error {
	if err := s.Exec(ctx, "select pg_create_physical_replication_slot("+topology.Literal(name)+", true)"); err != nil {
		return fmt.Errorf("make replication slot %s: %w", name, err)
	}
	return nil
}

// DropSlot ends whoever uses a slot, and drops it. It fails while that one has not gone yet.
func (s *Session) DropSlot(ctx context.Context, name string) error {
	of := topology.Literal(name)
	err := s.Exec(ctx, "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = "+of+" and active_pid is not null")
	if err == nil {
		err = s.Exec(ctx, "select pg_drop_replication_slot("+of+")")
	}
	if err != nil {
		return fmt.Errorf("drop replication slot %s: %w", name, err)
	}
	return nil
}
