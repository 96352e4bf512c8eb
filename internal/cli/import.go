// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/internal/cli/legacy"
	"github.com/antdb-operator/antdb-operator/internal/cli/manifest"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

func (a *app) imports() *cobra.Command {
	var w legacy.Wish
	var ha string
	cmd := &cobra.Command{
		Use:   "import antdb_info.txt",
		Short: "Print the cluster that an antdb_info.txt of the former scripts describes",
		Long: `Print the cluster that an antdb_info.txt of the former scripts for postgres-operator 4 describes.

The file is read and never executed. With --postgres-ha the parameters and pg_hba lines of the Patroni configuration are
taken over. What has no place any more is told in a note, above the YAML as comments: nothing is left out in silence.
Nothing is created: give the output to kubectl apply.`,
		Example: `  kubectl antdb import antdb_info.txt --postgres-ha postgres-ha.yaml --image registry.example/antdb:5.0 >antdb.yaml
  kubectl antdb import antdb_info.txt --image registry.example/antdb:5.0 | kubectl apply -f -`,
		Args: exactly("FILE", "it is the antdb_info.txt of the former scripts"),
	}
	f := cmd.Flags()
	f.StringVar(&ha, "postgres-ha", "", "the Patroni configuration, postgres-ha.yaml")
	f.StringVar(&w.Name, "name", "antdb", "name of the cluster")
	f.StringVar(&w.Image, "image", "", "image of the engine for all roles, in place of those in the file")
	f.StringVar(&w.GTM, "gtm-storage", "2Gi", "size of the volume of gc")
	f.StringVar(&w.Coordinator, "coordinator-storage", "2Gi", "size of the volume of each coordinator")
	f.StringVar(&w.Datanode, "datanode-storage", "10Gi", "size of the volume of each datanode")
	f.StringVar(&w.Class, "storage-class", "", "class of all volumes; the default class without it")
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		info, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		var patroni []byte
		if ha != "" {
			if patroni, err = os.ReadFile(ha); err != nil {
				return err
			}
		}
		c, notes, err := legacy.Import(string(info), string(patroni), w)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if named := *a.flags.Namespace; named != "" {
			c.Namespace = named
		}
		object, err := manifest.Cluster(c)
		if err != nil {
			return err
		}
		if format.value == formJSON { // there are no comments in JSON
			a.warn("%s", view.Notes(a.style(), notes))
			return format.print(a.Out, object)
		}
		format.value = formYAML
		a.say("%s", view.Notes(a.style(), notes))
		return format.print(a.Out, object)
	}
	return cmd
}
