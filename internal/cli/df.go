// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// usage is what df prints for programs.
type usage struct {
	Node      string                        `json:"node"`
	Volumes   map[string]instanceapi.Volume `json:"volumes,omitempty"`
	WALBytes  int64                         `json:"walBytes"`
	Databases []instanceapi.DatabaseSize    `json:"databases,omitempty"`
	Error     string                        `json:"error,omitempty"`
}

func (a *app) df() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "df [CLUSTER]",
		Short: "Show how full volumes are, write-ahead logs, and databases on each datanode",
		Long: `Show how full volumes are, write-ahead logs, and databases on each datanode.

Sizes are of file systems as the pods see them. A class that makes volumes in folders of the host shows the host's.`,
		Example: `  kubectl antdb df
  kubectl antdb df demo -o json`,
		Args: atMost(1),
	}
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, f, err := a.examine(cmd.Context(), argument(args, 0), inquiry{sizes: true})
		if err != nil {
			return err
		}
		if !format.machine() {
			_, err = fmt.Fprint(a.Out, view.Volumes(a.style(), f))
			return err
		}
		var all []usage
		for _, n := range c.Status.Nodes {
			p := f.Probes[n.Name]
			all = append(all, usage{Node: n.Name, Volumes: p.Volumes, WALBytes: p.WALBytes, Databases: p.Databases, Error: p.Err})
		}
		return format.print(a.Out, slices.Clip(all))
	}
	return cmd
}
