// SPDX-License-Identifier: Apache-2.0

package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

func uid(c *spec.Cluster) types.UID { return types.UID(c.UID) }

// Services are the application's Service and two for each node.
//
// A node's Services select its primary instance while its server accepts connections: by the label that the instance sets
// itself, since the kubelet takes the readiness of a pod that goes away back only after its network is gone, and by the
// readiness, since an instance that is lost takes no label back. A pooler that dials an address which went away hangs for
// more than a minute.
func Services(c *spec.Cluster) []*corev1ac.ServiceApplyConfiguration {
	selector := naming.RoleSelector(c.Name, antdb.RoleCoordinator)
	selector[naming.LabelServing] = "true"
	out := []*corev1ac.ServiceApplyConfiguration{
		service(c, naming.ApplicationService(c.Name), naming.ClusterLabels(c.Name), selector),
	}
	for _, n := range c.Nodes {
		if !n.Runs() {
			continue
		}
		labels := naming.NodeLabels(c.Name, n.Role, n.Name)
		selector := map[string]string{
			naming.LabelCluster: c.Name, naming.LabelNode: n.Name, naming.LabelInstanceRole: naming.InstancePrimary,
			naming.LabelAccepting: "true",
		}
		headless := service(c, naming.HeadlessService(c.Name, n.Name), labels, selector)
		headless.Spec.WithClusterIP(corev1.ClusterIPNone)
		out = append(out, service(c, naming.NodeService(c.Name, n.Name), labels, selector), headless)
	}
	return out
}

func service(c *spec.Cluster, name string, labels, selector map[string]string) *corev1ac.ServiceApplyConfiguration {
	return corev1ac.Service(name, c.Namespace).
		WithLabels(labels).WithOwnerReferences(owner(c)).
		WithSpec(corev1ac.ServiceSpec().
			WithType(corev1.ServiceTypeClusterIP).
			WithSelector(selector).
			WithPorts(corev1ac.ServicePort().WithName("postgresql").WithProtocol(corev1.ProtocolTCP).WithPort(naming.PortSQL)))
}
