// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"slices"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// operatorNamespace is where the operator is installed.
const operatorNamespace = "antdb-system"

// versions are those of all parts.
type versions struct {
	Client   string   `json:"client"`
	Operator string   `json:"operator,omitempty"`
	Engines  []string `json:"engines,omitempty"`
}

func (a *app) version() *cobra.Command {
	var own bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of this program, the operator and the engines",
		Args:  atMost(0),
	}
	cmd.Flags().BoolVar(&own, "client", false, "of this program only")
	format := formFlag(cmd, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v := versions{Client: a.Version}
		if !own {
			k, err := a.connect()
			if err != nil {
				return err
			}
			v.Operator = k.operatorImage(cmd.Context())
			if v.Engines, err = k.engines(cmd.Context()); err != nil {
				return err
			}
		}
		if format.machine() {
			return format.print(a.Out, v)
		}
		a.say("kubectl antdb  %s\n", v.Client)
		if own {
			return nil
		}
		a.say("operator       %s\n", v.Operator)
		for _, e := range v.Engines {
			a.say("engine         %s\n", e)
		}
		return nil
	}
	return cmd
}

// operatorImage is the image of the operator, or why it is not known: few users may look into its namespace.
func (k *Kube) operatorImage(ctx context.Context) string {
	d := &appsv1.Deployment{}
	if err := k.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: naming.Operator}, d); err != nil {
		return "unknown: " + err.Error()
	}
	for _, c := range d.Spec.Template.Spec.Containers {
		return c.Image
	}
	return "unknown"
}

// engines are the versions of the servers in the namespace.
func (k *Kube) engines(ctx context.Context) ([]string, error) {
	all := &v1alpha1.AntDBClusterList{}
	if err := k.List(ctx, all, client.InNamespace(k.Namespace)); err != nil {
		return nil, err
	}
	var out []string
	for i := range all.Items {
		for _, n := range all.Items[i].Status.Nodes {
			for _, instance := range n.Instances {
				out = append(out, all.Items[i].Name+"  "+cmp.Or(instance.Version, "unknown"))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
