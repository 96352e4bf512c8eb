// SPDX-License-Identifier: Apache-2.0

package dbadmin

import (
	"context"
	"fmt"

	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// Catalog reads the server's own pgxc_node.
func (s *Session) Catalog(ctx context.Context) ([]topology.Node, error) {
	nodes, err := collect[topology.Node](ctx, s, topology.Select)
	if err != nil {
		return nil, fmt.Errorf("read pgxc_node: %w", err)
	}
	return nodes, nil
}
