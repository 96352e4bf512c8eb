// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
	rbacv1ac "k8s.io/client-go/applyconfigurations/rbac/v1"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// ServiceAccount is what the instances of a cluster run as.
func ServiceAccount(c *spec.Cluster) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(naming.ServiceAccount(c.Name), c.Namespace).
		WithLabels(naming.ClusterLabels(c.Name)).WithOwnerReferences(owner(c))
}

// Role lets an instance see the pods of its namespace, to know its peers' addresses, and change its own cluster's
// pods, to tell whether it serves.
func Role(c *spec.Cluster, instances []string) *rbacv1ac.RoleApplyConfiguration {
	return rbacv1ac.Role(naming.ServiceAccount(c.Name), c.Namespace).
		WithLabels(naming.ClusterLabels(c.Name)).WithOwnerReferences(owner(c)).
		WithRules(
			rbacv1ac.PolicyRule().WithAPIGroups("").WithResources("pods").WithVerbs("get", "list", "watch"),
			rbacv1ac.PolicyRule().WithAPIGroups("").WithResources("pods", "pods/status").
				WithResourceNames(instances...).WithVerbs("patch"),
		)
}

// RoleBinding gives the Role to the ServiceAccount.
func RoleBinding(c *spec.Cluster) *rbacv1ac.RoleBindingApplyConfiguration {
	name := naming.ServiceAccount(c.Name)
	return rbacv1ac.RoleBinding(name, c.Namespace).
		WithLabels(naming.ClusterLabels(c.Name)).WithOwnerReferences(owner(c)).
		WithRoleRef(rbacv1ac.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("Role").WithName(name)).
		WithSubjects(rbacv1ac.Subject().WithKind(rbacv1.ServiceAccountKind).WithName(name).WithNamespace(c.Namespace))
}

// ConfigMap holds each node's first configuration. A running server got its own by the instance API and keeps it in
// its volume, so nothing breaks without this object.
func ConfigMap(c *spec.Cluster) *corev1ac.ConfigMapApplyConfiguration {
	data := make(map[string]string, len(c.Nodes))
	for _, n := range c.Nodes {
		text, err := json.MarshalIndent(n.Config, "", "  ")
		if err != nil { // strings and booleans always marshal
			panic(err)
		}
		data[naming.ConfigKey(n.Name)] = string(text) + "\n"
	}
	return corev1ac.ConfigMap(naming.ConfigMap(c.Name), c.Namespace).
		WithLabels(naming.ClusterLabels(c.Name)).WithOwnerReferences(owner(c)).WithData(data)
}

// PodDisruptionBudgets let one pod of a role be drained at a time. They count what must stay, since Kubernetes cannot
// compute what may go for pods whose owner has no scale subresource.
func PodDisruptionBudgets(c *spec.Cluster) []*policyv1ac.PodDisruptionBudgetApplyConfiguration {
	var out []*policyv1ac.PodDisruptionBudgetApplyConfiguration
	for _, r := range []antdb.Role{antdb.RoleGTM, antdb.RoleCoordinator, antdb.RoleDatanode} {
		labels := naming.ClusterLabels(c.Name)
		labels[naming.LabelRole] = string(r)
		out = append(out, policyv1ac.PodDisruptionBudget(naming.PodDisruptionBudget(c.Name, r), c.Namespace).
			WithLabels(labels).WithOwnerReferences(owner(c)).
			WithSpec(policyv1ac.PodDisruptionBudgetSpec().
				WithMinAvailable(intstr.FromInt(c.Count(r)-1)).
				WithSelector(metav1ac.LabelSelector().WithMatchLabels(naming.RoleSelector(c.Name, r)))))
	}
	return out
}

// NetworkPolicies let the cluster's own pods reach each other on every port (the engine opens random ones and does
// not authenticate the stream to gc), the operator reach the instance API, applications the coordinators.
func NetworkPolicies(c *spec.Cluster, op Operator) []*networkingv1ac.NetworkPolicyApplyConfiguration {
	if c.NetworkPolicy == nil {
		return nil
	}
	self := metav1ac.LabelSelector().WithMatchLabels(map[string]string{naming.LabelCluster: c.Name})
	cluster := policy(c, naming.NetworkPolicyCluster(c.Name), map[string]string{naming.LabelCluster: c.Name},
		networkingv1ac.NetworkPolicyIngressRule().WithFrom(networkingv1ac.NetworkPolicyPeer().WithPodSelector(self)))
	if op.Namespace != "" {
		cluster.Spec.WithIngress(ingress(naming.PortInstance, networkingv1ac.NetworkPolicyPeer().
			WithNamespaceSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: op.Namespace})).
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(op.Labels))))
	}
	if len(c.NetworkPolicy.Monitoring) > 0 {
		cluster.Spec.WithIngress(ingress(naming.PortMetrics, peers(c.NetworkPolicy.Monitoring)...))
	}
	applications := policy(c, naming.NetworkPolicyApplications(c.Name), naming.RoleSelector(c.Name, antdb.RoleCoordinator),
		ingress(naming.PortSQL, peers(c.NetworkPolicy.Applications)...))
	return []*networkingv1ac.NetworkPolicyApplyConfiguration{cluster, applications}
}

func policy(c *spec.Cluster, name string, pods map[string]string, rule *networkingv1ac.NetworkPolicyIngressRuleApplyConfiguration) *networkingv1ac.NetworkPolicyApplyConfiguration {
	return networkingv1ac.NetworkPolicy(name, c.Namespace).
		WithLabels(naming.ClusterLabels(c.Name)).WithOwnerReferences(owner(c)).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(pods)).
			WithPolicyTypes(networkingv1.PolicyTypeIngress).
			WithIngress(rule))
}

func ingress(port int, from ...*networkingv1ac.NetworkPolicyPeerApplyConfiguration) *networkingv1ac.NetworkPolicyIngressRuleApplyConfiguration {
	return networkingv1ac.NetworkPolicyIngressRule().WithFrom(from...).
		WithPorts(networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt(port)))
}

// peers turns the user's peers into apply configurations; both spell the same JSON.
func peers(in []networkingv1.NetworkPolicyPeer) []*networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	var out []*networkingv1ac.NetworkPolicyPeerApplyConfiguration
	text, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil { // two spellings of one API type
		panic(err)
	}
	return out
}
