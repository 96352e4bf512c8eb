// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"fmt"

	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Reach runs a statement on another node through this coordinator.
func (s *Session) Reach(ctx context.Context, node string) error {
	if err := s.Exec(ctx, "EXECUTE DIRECT ON ("+topology.Identifier(node)+") 'select 1'"); err != nil {
		return fmt.Errorf("reach %s: %w", node, err)
	}
	return nil
}
