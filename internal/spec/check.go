// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Check finds what the rules of the CRD cannot see: what depends on the namespace, or on two places of the spec at
// once. Each finding names field, value and rule. A cluster with findings is left as it is.
func Check(c *v1alpha1.AntDBCluster) []string {
	var out []string
	want := Resolve(c)
	if err := naming.CheckLength(c.Name, c.Namespace, want.LongestNode()); err != nil {
		out = append(out, err.Error())
	}
	for _, n := range want.Nodes {
		if n.Data.Size.Sign() <= 0 || n.WAL != nil && n.WAL.Size.Sign() <= 0 {
			out = append(out, fmt.Sprintf("storage of %s: size: allowed is a quantity above 0, such as 10Gi", n.Name))
		}
	}
	out = append(out, checkOverrides("spec.coordinators", antdb.RoleCoordinator, &c.Spec.Coordinators.RoleSpec, c.Spec.Coordinators.Overrides)...)
	out = append(out, checkOverrides("spec.datanodes", antdb.RoleDatanode, &c.Spec.Datanodes.RoleSpec, c.Spec.Datanodes.Overrides)...)
	return out
}

func checkOverrides(field string, role antdb.Role, r *v1alpha1.RoleSpec, overrides []v1alpha1.NodeOverride) []string {
	var out []string
	for _, o := range overrides {
		if of, _, err := antdb.ParseNodeName(o.Name); err != nil || of != role {
			out = append(out, fmt.Sprintf("%s.overrides: name %q is not the name of a %s", field, o.Name, role))
		}
		if o.WALStorage != nil && r.WALStorage == nil {
			out = append(out, fmt.Sprintf("%s.overrides[%s].walStorage: allowed only where %s.walStorage is set", field, o.Name, field))
		}
	}
	return out
}

// CheckEscape tells why the coordinators in the escape annotation cannot be taken out of gc's catalog; missing are the
// nodes without a running instance.
func (c *Cluster) CheckEscape(missing []string) []string {
	var out []string
	for _, name := range c.EscapeGTMWait {
		role, _, err := antdb.ParseNodeName(name)
		_, known := c.Node(name)
		switch {
		case err != nil || !known:
			out = append(out, fmt.Sprintf("annotation %s: %q is not a node of this cluster", v1alpha1.AnnotationEscapeGTMWait, name))
		case role != antdb.RoleCoordinator:
			out = append(out, fmt.Sprintf("annotation %s: %q is a %s: only coordinators can be left out, a %s holds what the cluster cannot do without",
				v1alpha1.AnnotationEscapeGTMWait, name, role, role))
		case !slices.Contains(missing, name):
			out = append(out, fmt.Sprintf("annotation %s: %q is running: only a missing coordinator can be left out",
				v1alpha1.AnnotationEscapeGTMWait, name))
		}
	}
	return out
}

// names splits a list as users write it: by commas and blanks.
func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
